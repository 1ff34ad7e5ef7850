"""A drawing as SVG: text stays text and keeps to the width it was given, whatever font the reader has."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from reportlab.graphics.shapes import Path, Rect, String  # type: ignore[import-untyped]

from mlee.label.draw_fonts import load
from mlee.label.numbers import number, steps
from mlee.label.text import width

FAMILY = "'Bitstream Vera Sans','DejaVu Sans',Verdana,Geneva,sans-serif"


def to_svg(drawing: Any, *, title: str, description: str, language: str, size: tuple[str, str], key: str) -> bytes:
    """Write a drawing as SVG. `size` is width and height with units; `key` tells apart labels that share a page."""
    view = f"0 0 {number(drawing.width)} {number(drawing.height)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" viewBox="{view}" role="img" '
        f'lang={quoteattr(language)} xml:lang={quoteattr(language)} aria-labelledby="t{key} d{key}" '
        f'font-family="{FAMILY}" xml:space="preserve">',
        f'<title id="t{key}">{escape(title)}</title>',
        f'<desc id="d{key}">{escape(description)}</desc>',
        *(_shape(shape, drawing.height) for shape in drawing.contents),
        "</svg>",
    ]
    return "\n".join(parts).encode("utf-8")


def _shape(shape: Any, height: float) -> str:
    if isinstance(shape, String):
        return _text(shape, height)
    if isinstance(shape, Rect):
        place = f'x="{number(shape.x)}" y="{number(height - shape.y - shape.height)}"'
        return f'<rect {place} width="{number(shape.width)}" height="{number(shape.height)}"{paint(shape)}/>'
    if isinstance(shape, Path):
        return f'<path d="{outline(shape, height)}"{paint(shape)}/>'
    raise TypeError(f"{type(shape).__name__} cannot be written as SVG")


def _text(shape: Any, height: float) -> str:
    font = load(shape.fontName)
    length = number(width(shape.text, font.widths) * shape.fontSize)
    bold = ' font-weight="bold"' if shape.fontName == "Vera-Bold" else ""
    return (
        f'<text x="{number(shape.x)}" y="{number(height - shape.y)}" font-size="{number(shape.fontSize)}"{bold} '
        f'textLength="{length}" lengthAdjust="spacingAndGlyphs" fill="{_hex(shape.fillColor)}">{escape(shape.text)}</text>'
    )


def outline(path: Any, height: float) -> str:
    """Write a path; where only one coordinate changes, as in a QR code, it takes half the room."""
    written = [*map(number, path.points)]
    written[1::2] = [number(height - y) for y in path.points[1::2]]
    words: list[str] = []
    x = y = ""
    for kind, start, end in steps(path):
        if kind == "L" and written[start] == x:
            words.append(f"V{written[start + 1]}")
        elif kind == "L" and written[start + 1] == y:
            words.append(f"H{written[start]}")
        else:
            words.append(kind + " ".join(written[start:end]))
        if end > start:
            x, y = written[end - 2 : end]
    return "".join(words)


def paint(shape: Any) -> str:
    """Write fill and stroke of a shape as attributes."""
    fill = f' fill="{_hex(shape.fillColor)}"' if shape.fillColor is not None else ' fill="none"'
    if shape.strokeColor is None or not shape.strokeWidth:
        return fill
    caps = ' stroke-linecap="round" stroke-linejoin="round"' if getattr(shape, "strokeLineCap", 0) else ""
    dashes = f' stroke-dasharray="{" ".join(map(number, shape.strokeDashArray))}"' if shape.strokeDashArray else ""
    return f'{fill} stroke="{_hex(shape.strokeColor)}" stroke-width="{number(shape.strokeWidth)}"{caps}{dashes}'


def _hex(colour: Any) -> str:
    return f"#{colour.hexval()[2:]}"
