"""The page of one model in one environment: its label, every value with its class, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlee.assess.identity import SHORT
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.catalogue import PUBLICATIONS
from mlee.elex.words import all_warnings, identity, listed, uncertainty, verdict
from mlee.site.entries import Entry
from mlee.site.markup import badge, chip, escape, page
from mlee.site.reproduce import command, explanation, settings
from mlee.site.views import first_looked_for
from mlee.units import significant

_ROOT = "../"
_NOT_VALUED = "\N{EN DASH}"


def model_page(rated: Rated, entry: Entry, others: Sequence[Entry], label: str | None, title: str) -> str:
    """Write the page of an entry; `others` are results of the same model elsewhere, `label` its SVG element."""
    number = entry.number
    warnings = all_warnings(rated, number, entry.runs)
    publication = PUBLICATIONS.get(entry.network)
    parts = [
        f'<div class="subject">{badge(rated.compound[number], large=True)}<div>',
        f"<h1>{escape(entry.model)}</h1>",
        f'<p class="soft">{escape(entry.work)}, {escape(entry.environment)}</p></div></div>',
        '<div class="model">',
        f'<div class="side card">{label}</div>' if label else "",
        '<div class="facts">',
        '<section class="card" aria-labelledby="v"><h2 id="v">Values and classes</h2>',
        f"<p>{escape(verdict(rated, number))}.</p>".replace("..</p>", ".</p>"),
        _list("warnings", [escape(text) for text in warnings]) if warnings else "",
        _metrics(rated, entry),
        f'<p class="soft small">{_legend(rated, entry)}</p></section>',
        _section("h", "How it was measured", _pairs(_measured(entry))),
        _reproduce(entry),
        _others(rated, entry, others),
        "</div></div>",
    ]
    paper = ""
    if publication is not None:
        paper = f'<a href="{escape(publication.url)}" rel="noreferrer noopener">Paper of this model</a> · '
    return page(
        title=f"{entry.model}, {entry.work}, {entry.environment} - {title}",
        heading=f'<nav aria-label="Site"><a href="{_ROOT}index.html">{escape(title)}</a></nav>',
        body="\n".join(part for part in parts if part),
        root=_ROOT,
        foot=f"{paper}Result sha256 {entry.digest[:SHORT]}",
    )


def _section(name: str, heading: str, body: str) -> str:
    return f'<section class="card" aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{body}</section>'


def _list(name: str, items: Sequence[str]) -> str:
    return f'<ul class="{name}">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(key)}<dd>{escape(value)}' for key, value in pairs)}</dl>"


def _metrics(rated: Rated, entry: Entry) -> str:
    metrics = first_looked_for(listed(rated, entry.number))
    rows = [_metric(rated, entry, rated.position(metric.key), metric) for metric in metrics]
    head = "".join(f"<th scope=col>{name}" for name in ("Metric", "Value", "Index", "Class", "Weight"))
    return f'<table class="metrics"><thead><tr>{head}<tbody>{"".join(rows)}</table>'


def _metric(rated: Rated, entry: Entry, column: int, metric: Metric) -> str:
    number = entry.number
    index = float(rated.index[number, column])
    share = uncertainty(metric, entry.values, entry.value(metric))
    spread = f" <small>{share}</small>" if share else ""
    could_be = {int(part[number, column]) for part in (rated.rating_best, rated.rating_worst)} - {
        int(rated.rating[number, column])
    }
    classes = "".join(chip(rating) for rating in sorted(could_be))
    cells = [
        f"{escape(entry.text(metric))}{spread}",
        significant(index) if math.isfinite(index) else _NOT_VALUED,
        (chip(rated.rating[number, column]).strip() or _NOT_VALUED) + (f" <small>or{classes}</small>" if classes else ""),
        f"{metric.weight:g}",
    ]
    faint = "" if metric.weight > 0 else " class=faint"
    return f"<tr{faint}><th scope=row>{escape(metric.label)}{''.join(f'<td>{cell}' for cell in cells)}"


def _legend(rated: Rated, entry: Entry) -> str:
    options = rated.options
    said = [
        "Index: 1 is as good as the reference, more is better.",
        f"Rules {escape(options.rules.name)}, mode {escape(options.mode)}, thresholds {escape(rated.thresholds.name)}.",
    ]
    texts = [entry.text(metric) for metric in rated.metrics]
    if any(text.startswith("~") for text in texts):
        said.append("~ estimated, not measured.")
    if any(text.endswith("(p)") for text in texts):
        said.append("(p) published, not measured here.")
    return " ".join(said)


def _measured(entry: Entry) -> list[tuple[str, str]]:
    """Put together what was measured and with which settings; a single run is named."""
    pairs = [pair for pair in identity(entry.values, entry.runs) if pair[0] not in ("Task", "Environment")]
    pairs += settings(entry.runs)
    if len(entry.runs) == 1:
        pairs.append(("Run", entry.runs[0].run_id))
    return pairs or [("Source", "a table of another tool, which says no more")]


def _reproduce(entry: Entry) -> str:
    commands = list(dict.fromkeys(line for run in entry.runs if (line := command(run)) is not None))
    if not commands:
        return ""
    lines = f"<pre><code>{escape(commands[0])}</code></pre>"
    said = "With the options that the result records" if entry.runs[0].options else "With what the file of 2022 tells"
    explained = explanation(commands[0])
    said += f"; {explained}." if explained else "."
    return _section("r", "Measure it again", f"<p>{said}</p>{lines}")


def _others(rated: Rated, entry: Entry, others: Sequence[Entry]) -> str:
    items = []
    for other in others:
        where = other.environment if other.work == entry.work else f"{other.work}, {other.environment}"
        where = where if other.model == entry.model else f"{other.model}, {where}"
        metric = headline(rated, other)
        value = "" if metric is None else f' <span class="soft">{escape(other.text(metric))}</span>'
        address = other.file.rpartition("/")[2]
        items.append(f'{badge(rated.compound[other.number])} <a href="{address}">{escape(where)}</a>{value}')
    return _section("o", "The same model elsewhere", _list("others", items)) if items else ""


def headline(rated: Rated, entry: Entry) -> Metric | None:
    """Return the metric that a reader looks for first, of those that an entry has."""
    found = first_looked_for([metric for metric in rated.metrics if entry.value(metric) is not None])
    return found[0] if found else None
