"""The report as PDF: reportlab's flowing text, tables that continue on the next page, vector graphics, bookmarks."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.platypus import (  # type: ignore[import-untyped]
    CondPageBreak,
    KeepTogether,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from mlee import __version__
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.label import draw
from mlee.label.describe import LABELLED, METHOD_URL, describe
from mlee.label.layout import INK, PALETTE
from mlee.report.content import Group, Report
from mlee.report.document import (
    CELL,
    HEAD,
    HEAD_RIGHT,
    HEADING,
    RIGHT,
    RULE,
    SIZES,
    SMALL,
    SOFT,
    SUB,
    TEXT,
    TITLE,
    UNDER,
    Document,
    register_fonts,
    words,
)
from mlee.report.plots import bars, scatter
from mlee.units import printable

_PAIRS = (
    ("energy_per_sample", "top1_accuracy"),
    ("energy_per_epoch", "top1_accuracy"),
    ("time_per_sample", "top1_accuracy"),
)
_BARS = ("energy_per_sample", "energy_per_epoch", "time_per_sample", "time_per_epoch")
#: A table of so many rows is not torn apart.
_KEPT_ROWS = 12
#: Columns of metrics beside each other that leave room for a value with its class.
_MOST_METRICS = 9
_SHORT = {
    "energy_per_sample": "Energy / sample",
    "time_per_sample": "Time / sample",
    "energy_per_epoch": "Energy / epoch",
    "time_per_epoch": "Time / epoch",
    "energy_full_training": "Energy, full training (extrapolated)",
    "time_full_training": "Time, full training (extrapolated)",
    "top1_accuracy": "Top-1",
    "top5_accuracy": "Top-5",
    "macs": "MACs",
    "weights_size": "Weights",
}
_REFERENCES = (
    "R. Fischer, M. Jakobs, S. Mücke, K. Morik: A Unified Framework for Assessing Energy Efficiency of Machine Learning. "
    "ECML PKDD 2022 workshops. doi.org/10.1007/978-3-031-23618-1_3",
    f"mlee {__version__}: measuring, rating and labelling the energy of machine learning.",
)


def to_pdf(
    report: Report,
    rated: Rated,
    runs: Mapping[str, RunSummary],
    *,
    paper: str = "a4",
    labels: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> bytes:
    """Write a report; equal content gives equal bytes. `progress` is called after each group of models."""
    register_fonts()
    written = io.BytesIO()
    document = Document(written, report, SIZES[paper])
    document.build(list(_story(report, rated, runs, document.width, labels, progress)))
    return written.getvalue()


def _story(
    report: Report,
    rated: Rated,
    runs: Mapping[str, RunSummary],
    width: float,
    labels: bool,
    progress: Callable[[], None],
) -> Iterator[Any]:
    yield words(report.title, TITLE)
    days = " to ".join(dict.fromkeys(report.period)) if report.period else "unknown days"
    yield words(f"Runs of {days}" + (f" · {report.author}" if report.author else ""), UNDER)
    yield words("Summary", HEADING)
    for sentence in report.summary:
        yield words(sentence, TEXT)
    for group in report.groups:
        yield CondPageBreak(70 * mm)
        yield words(group.title, HEADING)
        yield _pairs(group.facts, width)
        yield Spacer(1, 6)
        note = f"Reference {group.reference}." if group.reference else "Not rated: there is no reference model."
        *others, last = _results(group, width)
        for part in (*([table] for table in others), [last, words(note, SMALL)]):
            yield from [KeepTogether(part)] if len(group.rows) <= _KEPT_ROWS else part
        yield from _pictures(rated, group, width)
        progress()
    if labels:
        yield from _labels(report, rated, runs, width)
    yield from _remarks(report)
    yield CondPageBreak(60 * mm)
    yield words("Methods", HEADING)
    for sentence in report.methods:
        yield words(sentence, TEXT)
    if report.settings:
        yield words("Settings of the runs", SUB)
        yield _pairs(report.settings, width)
    yield KeepTogether([words("References", HEADING), *(words(reference, TEXT) for reference in _REFERENCES)])


def _pairs(pairs: Sequence[tuple[str, str]], width: float) -> Any:
    table = Table(
        [[words(name, CELL), words(value, CELL)] for name, value in pairs],
        colWidths=[38 * mm, width - 38 * mm],
        hAlign="LEFT",
    )
    table.setStyle(TableStyle([*_TIGHT, ("TEXTCOLOR", (0, 0), (0, -1), colors.HexColor(SOFT))]))
    return table


_TIGHT = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 2),
    ("RIGHTPADDING", (0, 0), (-1, -1), 2),
    ("TOPPADDING", (0, 0), (-1, -1), 1.4),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1.4),
]


def _results(group: Group, width: float) -> Iterator[Any]:
    """Yield the table of a group, in several below each other where it has too many metrics for the width."""
    metrics = len(group.columns)
    tables = max(1, math.ceil(metrics / _MOST_METRICS))
    ends = [round(metrics * number / tables) for number in range(tables + 1)]
    first, rating = 34 * mm, 14 * mm
    each = (width - first - rating) / max(1, math.ceil(metrics / tables))
    for start, end in pairwise(ends):
        head = [words("Model", HEAD), words("Rating", HEAD)]
        head += [words(_SHORT.get(metric.key, metric.label), HEAD_RIGHT) for metric in group.columns[start:end]]
        rows = [
            [words(row.model, CELL), _class(row.rating, CELL), *(_class(cell, RIGHT) for cell in row.cells[start:end])]
            for row in group.rows
        ]
        widths = [first, rating, *[each] * (end - start)]
        table = Table([head, *rows], colWidths=widths, repeatRows=1, hAlign="LEFT", spaceAfter=6 if end < metrics else 0)
        table.setStyle(
            TableStyle(
                [
                    *_TIGHT,
                    ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.HexColor(INK)),
                    ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.HexColor(RULE)),
                    ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ]
            )
        )
        yield table


def _class(text: str, style: Any) -> Any:
    """Write a cell such as "~832 mJ B [A-C]" with its class in bold."""
    words = escape(printable(text)).split(" ")
    marked = [f"<b>{word}</b>" if word in PALETTE else word for word in words]
    return Paragraph(" ".join(marked), style)


def _pictures(rated: Rated, group: Group, width: float) -> Iterator[Any]:
    known = {metric.key: metric for metric in group.columns}
    for x, y in _PAIRS:
        if x in known and y in known:
            drawing = scatter(rated, group, known[x], known[y], width, 72 * mm)
            if drawing is not None:
                title = f"{known[y].label} and {known[x].label[0].lower()}{known[x].label[1:]}"
                yield KeepTogether([words(title, SUB), drawing, words(_LEGEND, SMALL)])
                break
    shown = [known[key] for key in _BARS if key in known]
    yield from _bars(rated, group, shown, width)


_LEGEND = "Colours are classes: of the model at a point, of the metric on the ground. Hollow: the energy was estimated."


def _bars(rated: Rated, group: Group, metrics: Sequence[Metric], width: float) -> Iterator[Any]:
    """Yield the bars of two metrics side by side."""
    half = (width - 6 * mm) / 2
    drawn = [(metric, bars(rated, group, metric, half)) for metric in metrics]
    drawn = [(metric, drawings) for metric, drawings in drawn if drawings][:2]
    for part in range(max((len(drawings) for _, drawings in drawn), default=0)):
        cells: list[Any] = ["", ""]
        for column, (metric, drawings) in enumerate(drawn):
            if part < len(drawings):
                title = metric.label + (f" ({part + 1} of {len(drawings)})" if len(drawings) > 1 else "")
                cells[column] = [words(title, SUB), drawings[part]]
        table = Table([cells], colWidths=[half + 3 * mm, half + 3 * mm])
        table.setStyle(TableStyle([*_TIGHT, ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
        yield table


def _labels(report: Report, rated: Rated, runs: Mapping[str, RunSummary], width: float) -> Iterator[Any]:
    """Yield the small cards of all models, three in a row."""
    drawings = []
    issued = date.fromisoformat(report.period[1]) if report.period else date(1970, 1, 1)
    for group in report.groups:
        if group.task not in LABELLED:
            continue
        for row in group.rows:
            drawing = draw.build(describe(rated, row.number, runs, issued), "compact")
            scale = (width / 3 - 4 * mm) / drawing.width
            drawing.width, drawing.height = drawing.width * scale, drawing.height * scale
            drawing.scale(scale, scale)
            drawings.append(drawing)
    if not drawings:
        return
    yield CondPageBreak(100 * mm)
    yield words("Energy labels", HEADING)
    for start in range(0, len(drawings), 3):
        three = [*drawings[start : start + 3], "", ""][:3]
        table = Table([three], colWidths=[width / 3] * 3)
        table.setStyle(TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 8)]))
        yield table
    yield words(f"What the labels mean: {METHOD_URL}", SMALL)


def _remarks(report: Report) -> Iterator[Any]:
    if not report.remarks:
        return
    yield CondPageBreak(40 * mm)
    yield words("Remarks", HEADING)
    for remark in report.remarks:
        models = remark.models
        who = ", ".join(models[:8]) + (f" and {len(models) - 8} more" if len(models) > 8 else "")
        text = f"<b>{escape(printable(remark.warning.code))}</b> {escape(printable(remark.warning.message))}"
        yield Paragraph(f'{text} <font color="{SOFT}">({escape(printable(who))})</font>', TEXT)
