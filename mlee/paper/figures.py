"""The figures of the paper: scatters on the index scale with rating zones, and how many models have which rating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlee.assess.compound import MISSING, compound, letter
from mlee.assess.rating import Rated
from mlee.paper.order import environments, main_environment, short
from mlee.paper.tables import PALETTE

_GREY = "#5b6470"
_INK = "#17202b"
#: Class -> marker, so that a class is told without its colour too.
_MARKERS = dict(zip("ABCDE", "o^sDv", strict=True))
_STYLE: Any = {"pdf.fonttype": 42, "font.size": 8.5, "axes.edgecolor": _GREY, "axes.linewidth": 0.7, "svg.hashsalt": "mlee"}


def scatter(rated: Rated, task: str, x_key: str, y_key: str, path: Path) -> bool:
    """Draw two metrics of one task on the index scale; return whether there was anything to draw."""
    environment = main_environment(rated, task)
    if environment is None:
        return False
    table = rated.table
    rows = np.flatnonzero(((table["task"] == task) & (table["environment"] == environment)).to_numpy())
    x, y = (rated.index[rows, rated.position(key)] for key in (x_key, y_key))
    known = np.isfinite(x) & np.isfinite(y)
    rows, x, y = rows[known], x[known], y[known]
    if not len(rows):
        return False
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.0, 4.6), layout="constrained")
        axes = figure.subplots()
        labels = {metric.key: metric.label for metric in rated.metrics}
        log = x.max() / max(x.min(), 1e-9) > 8
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(_plain)
            axes.xaxis.set_minor_formatter(_sparse)
        axes.set_xlim(*_limits(x, log))
        axes.set_ylim(*_limits(y, False))
        _zones(axes, rated, task, x_key, y_key)
        axes.axhline(1, color="white", linewidth=1, zorder=1)
        axes.axvline(1, color="white", linewidth=1, zorder=1)
        for name, marker in _MARKERS.items():
            mine = np.array([letter(rated.compound[row]) == name for row in rows])
            if mine.any():
                axes.scatter(
                    x[mine],
                    y[mine],
                    s=42,
                    marker=marker,
                    color=f"#{PALETTE[name]}",
                    edgecolors=_INK,
                    linewidths=0.7,
                    label=name,
                    zorder=3,
                )
        _name_points(figure, axes, x, y, [str(table["model"].iloc[row]) for row in rows])
        axes.set_xlabel(f"{labels[x_key]} (index, more is better)")
        axes.set_ylabel(f"{labels[y_key]} (index, more is better)")
        missing = int((~known).sum())
        note = f"; {missing} models without a value not shown" if missing else ""
        axes.set_title(
            f"{task.capitalize()}, {environment}; rules {rated.options.rules.name}{note}", fontsize=8.5, color=_INK
        )
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8, handletextpad=0.2)
        _save(figure, path)
    return True


def histogram(rated: Rated, path: Path) -> bool:
    """Draw how many models have which compound rating, for each environment of inference."""
    names = environments(rated)
    if not names:
        return False
    table = rated.table
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        axes = figure.subplots()
        for position, name in enumerate(names):
            mine = ((table["task"] == "inference") & (table["environment"] == name)).to_numpy()
            found = rated.compound[mine]
            for number, grade in enumerate("ABCDE"):
                count = int((found == number).sum())
                place = position + (number - 2) * 0.17
                axes.bar(place, count, width=0.16, color=f"#{PALETTE[grade]}", edgecolor=_INK, linewidth=0.5)
                axes.text(place, count + 0.15, f"{grade}\n{count}" if count else grade, ha="center", va="bottom", fontsize=6)
        axes.set_xticks(range(len(names)), [short(name, "\n") for name in names], fontsize=7)
        axes.set_ylabel("Models")
        axes.margins(x=0.01, y=0.16)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(
            f"Compound ratings at inference ({rated.options.mode}; rules {rated.options.rules.name})", fontsize=8.5
        )
        _save(figure, path)
    return True


def _plain(value: float, _: float) -> str:
    return f"{value:g}"


def _sparse(value: float, _: float) -> str:
    """Name only the ticks 2 and 5 of each decade."""
    digit = value / 10 ** np.floor(np.log10(value))
    return f"{value:g}" if round(digit, 6) in (2, 5) else ""


def _limits(values: np.ndarray[Any, np.dtype[np.float64]], log: bool) -> tuple[float, float]:
    low, high = min(values.min(), 1.0), max(values.max(), 1.0)
    if log:
        margin = (high / low) ** 0.08
        return low / margin, high * margin
    margin = 0.08 * (high - low) or 0.1
    return low - margin, high + margin


def _zones(axes: Any, rated: Rated, task: str, x_key: str, y_key: str) -> None:
    """Colour the plane by the compound of the two axes' classes."""
    found = [rated.thresholds.get(task, key) for key in (x_key, y_key)]
    if found[0] is None or found[1] is None:
        return
    (x_low, x_high), (y_low, y_high) = axes.get_xlim(), axes.get_ylim()
    x_edges = [x_high, *(min(max(b, x_low), x_high) for b in found[0]), x_low]
    y_edges = [y_high, *(min(max(b, y_low), y_high) for b in found[1]), y_low]
    for i in range(5):
        for j in range(5):
            pair = np.array([[i, j]], dtype=np.int8)
            zone = compound(pair, np.ones(2), rated.options.mode, rated.options.rules)[0]
            if zone == MISSING:
                continue
            corner = (x_edges[i + 1], y_edges[j + 1])
            size = (x_edges[i] - x_edges[i + 1], y_edges[j] - y_edges[j + 1])
            axes.add_patch(
                Rectangle(corner, *size, color=f"#{PALETTE[str(letter(zone))]}", alpha=0.28, linewidth=0, zorder=0)
            )


def _name_points(figure: Figure, axes: Any, x: Any, y: Any, names: list[str]) -> None:
    """Write names beside points where they overlap neither points nor other names; the rest stay unnamed."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    points = axes.transData.transform(np.column_stack([x, y]))
    frame = axes.get_window_extent(renderer)
    taken: list[tuple[float, float, float, float]] = [(px - 5, py - 5, px + 5, py + 5) for px, py in points]
    for number in np.argsort(-points[:, 1]):
        for dx, dy, ha, va in _PLACES:
            text = axes.annotate(
                names[number],
                (x[number], y[number]),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=6.5,
                color=_INK,
                zorder=4,
            )
            box = text.get_window_extent(renderer)
            edges = (box.x0, box.y0, box.x1, box.y1)
            own = taken[number]
            inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
            if inside and not any(_overlap(edges, other) for other in taken if other is not own):
                taken.append(edges)
                break
            text.remove()


_PLACES = (
    *((6, 0, "left", "center"), (-6, 0, "right", "center"), (0, 6, "center", "bottom"), (0, -6, "center", "top")),
    *((5, 5, "left", "bottom"), (-5, 5, "right", "bottom"), (5, -5, "left", "top"), (-5, -5, "right", "top")),
    *((9, 10, "left", "bottom"), (-9, 10, "right", "bottom"), (9, -10, "left", "top"), (-9, -10, "right", "top")),
)


def _overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _save(figure: Figure, path: Path) -> None:
    # No date: the same results give the same file.
    figure.savefig(path, format="pdf", metadata={"CreationDate": None, "Creator": "mlee", "Producer": None})
