"""The energy label inside a page: the drawing of `mlee.label` as a short SVG element, since a site holds many of them.

It looks as the label's own SVG file does. What makes it short: colours of text come from the style sheet, rounded boxes are
rectangles again, the QR code is a picture of one pixel a module, and what is the same in all labels stands in one file,
their ground, on which each label is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reportlab.graphics.shapes import Rect, String  # type: ignore[import-untyped]

from mlee.label import draw
from mlee.label.content import LabelContent
from mlee.label.draw_fonts import load
from mlee.label.export_svg import FAMILY, outline, paint
from mlee.label.layout import BLACK, GREY, INK, PALE, WHITE
from mlee.label.layout_full import FULL
from mlee.label.numbers import RECTANGLE, number
from mlee.label.text import ASCENT, DESCENT, plain, width
from mlee.site.markup import escape
from mlee.site.pixels import picture

#: The steps of a box with rounded corners, as `mlee.label.draw_sketch` draws it.
_ROUNDED = [0, 1, 2, 1, 2, 1, 2, 1, 2, 3]
#: A path of more rectangles than this is a QR code.
_MANY = 40
_CLASSES = {INK: "", GREY: "g", WHITE: "w", BLACK: "k", PALE: "p"}
_COLOURS = "".join(f".label{f' .{name}' if name else ' text'}{{fill:{colour}}}" for colour, name in _CLASSES.items())
CSS = f".label{{font-family:{FAMILY}}}{_COLOURS}.label .b{{font-weight:700}}\n"
_SIZE = f"{number(FULL.width)} {number(FULL.height)}"


class _Shape(NamedTuple):
    markup: str
    box: tuple[float, float, float, float]  # left, lower, right, upper [pt]

    def meets(self, other: _Shape) -> bool:
        mine, others = self.box, other.box
        return mine[0] < others[2] and others[0] < mine[2] and mine[1] < others[3] and others[1] < mine[3]


@dataclass(frozen=True, slots=True)
class Ground:
    """Shapes that many labels share, in the order they are drawn."""

    parts: tuple[str, ...]

    def svg(self) -> str:
        """Write them as a file of their own."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="label" viewBox="0 0 {_SIZE}">\n<style>{CSS}</style>'
        return "\n".join((head, *self.parts, "</svg>", ""))


def common_ground(contents: Iterable[LabelContent]) -> Ground:
    """Find the shapes that all these labels share and that none of them draws upon what is its own."""
    labels = [_shapes(content) for content in contents]
    if not labels:
        return Ground(())
    shared = set.intersection(*({shape.markup for shape in label} for label in labels))
    while covered := {markup for label in labels for markup in _covering(label, shared)}:
        shared -= covered
    return Ground(tuple(shape.markup for shape in labels[0] if shape.markup in shared))


def label(content: LabelContent, ground: Ground, address: str) -> str:
    """Write the full card as an SVG element; `address` is where the ground is, which is used where it fits."""
    shapes = _shapes(content)
    shared = set(ground.parts)
    parts = [shape.markup for shape in shapes]
    if shared and shared <= set(parts) and not _covering(shapes, shared):
        below = f'<image width="{number(FULL.width)}" height="{number(FULL.height)}" href="{escape(address)}"/>'
        parts = [below, *(part for part in parts if part not in shared)]
    head = (
        f'<svg class="label" viewBox="0 0 {_SIZE}" role="img" aria-labelledby="lt" aria-describedby="ld">'
        f'<title id="lt">{escape(plain(content.title))}</title><desc id="ld">{escape(plain(content.description))}</desc>'
    )
    return "\n".join((head, *parts, "</svg>"))


def _covering(shapes: Sequence[_Shape], shared: set[str]) -> list[str]:
    """Shared shapes that are drawn upon one that is not: they cannot come first."""
    own: list[_Shape] = []
    found = []
    for shape in shapes:
        if shape.markup not in shared:
            own.append(shape)
        elif any(shape.meets(other) for other in own):
            found.append(shape.markup)
    return found


def _shapes(content: LabelContent) -> list[_Shape]:
    drawing = draw.build(content)
    return [_shape(shape, drawing.height) for shape in drawing.contents]


def _shape(shape: Any, height: float) -> _Shape:
    if isinstance(shape, String):
        return _text(shape, height)
    if isinstance(shape, Rect):
        box = (shape.x, shape.y, shape.x + shape.width, shape.y + shape.height)
        return _Shape(_rectangle(box, height, 0.0, paint(shape)), box)
    xs, ys = shape.points[::2], shape.points[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    if shape.operators == _ROUNDED:
        return _Shape(_rectangle(box, height, xs[0] - box[0], paint(shape)), box)
    if len(shape.operators) > _MANY * len(RECTANGLE) and shape.operators[: len(RECTANGLE)] == list(RECTANGLE):
        side, address = number(box[2] - box[0]), picture(shape.points)
        place = f'x="{number(box[0])}" y="{number(height - box[3])}" width="{side}" height="{side}"'
        return _Shape(f'<image {place} image-rendering="pixelated" href="{address}"/>', box)
    return _Shape(f'<path d="{outline(shape, height)}"{paint(shape)}/>', box)


def _rectangle(box: tuple[float, float, float, float], height: float, radius: float, look: str) -> str:
    place = f'x="{number(box[0])}" y="{number(height - box[3])}"'
    corners = f' rx="{number(radius)}"' if radius else ""
    return f'<rect {place} width="{number(box[2] - box[0])}" height="{number(box[3] - box[1])}"{corners}{look}/>'


def _text(shape: Any, height: float) -> _Shape:
    colour = f"#{shape.fillColor.hexval()[2:]}"
    classes = " ".join(name for name in ("b" * (shape.fontName == "Vera-Bold"), _CLASSES.get(colour, "")) if name)
    look = f' class="{classes}"' if classes else ""
    look += "" if colour in _CLASSES else f' fill="{colour}"'
    length = width(shape.text, load(shape.fontName).widths) * shape.fontSize
    place = f'x="{number(shape.x)}" y="{number(height - shape.y)}" font-size="{number(shape.fontSize)}"'
    box = (shape.x, shape.y - DESCENT * shape.fontSize, shape.x + length, shape.y + ASCENT * shape.fontSize)
    return _Shape(f'<text {place} textLength="{number(length)}"{look}>{escape(shape.text)}</text>', box)
