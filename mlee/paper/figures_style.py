"""How all figures of the paper look, whatever the user's own settings of matplotlib are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from mlee.paper.tables import PALETTE
from mlee.units import printable

INK, GREY, PALE = "#17202b", "#5b6470", "#eceff2"
#: Class -> colour, and the colour of a letter on it; a class that does not exist is grey.
FILL: dict[str | None, str] = {**{name: f"#{colour}" for name, colour in PALETTE.items()}, None: "#c9ced4"}
ON_FILL: dict[str | None, str] = {"A": "white", "B": INK, "C": INK, "D": INK, "E": "white", None: INK}
#: Class -> colour of a zone behind points.
ZONE = {"A": "#aed6b8", "B": "#d5eedd", "C": "#f6f3c9", "D": "#f9dcc1", "E": "#efc3cc"}
_FONT = "DejaVu Sans"
_STYLE: dict[str, Any] = {
    "pdf.fonttype": 42,
    "font.family": _FONT,
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "text.parse_math": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.dpi": 72,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw with the style of the paper, on top of what matplotlib comes with."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def drawable(text: str, longest: int = 200) -> str:
    """Make a name fit for a figure: no control characters, nothing the font lacks, at most `longest` characters."""
    known = _characters()
    shown = "".join(character if ord(character) in known else "\N{REPLACEMENT CHARACTER}" for character in printable(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=_FONT))).get_charmap())


def renderer(figure: Figure) -> Any:
    """Lay the figure out once and for all, and return what measures texts in it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")
    return canvas.get_renderer()  # type: ignore[no-untyped-call]


def to_pdf(figure: Figure) -> bytes:
    """Write a figure as PDF: without a date, so that the same results give the same file."""
    out = io.BytesIO()
    figure.savefig(out, format="pdf", metadata={"CreationDate": None, "Creator": "mlee", "Producer": None})
    return out.getvalue()
