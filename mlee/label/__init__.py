"""The energy label: one drawing, written as PDF, SVG or PNG."""

from __future__ import annotations

import zlib
from typing import Literal, get_args

from mlee import __version__
from mlee.label.content import LabelContent, Letter, Pictogram, Provenance, Task, Tile
from mlee.label.layout import Variant
from mlee.label.text import plain

Format = Literal["pdf", "svg", "png"]

__all__ = ["Format", "LabelContent", "Letter", "Pictogram", "Provenance", "Task", "Tile", "Variant", "render"]


def render(content: LabelContent, format: Format, variant: Variant = "full", dpi: float = 200) -> bytes:
    """Write a label as a file; equal content gives equal bytes. `dpi` counts for PNG only.

    Variants: the full card (100 x 184 mm), the compact card (260 x 364 px) and the one-line badge (164 x 22 px).
    """
    if format not in get_args(Format):
        raise ValueError(f"format must be one of {', '.join(get_args(Format))}, not {format!r}")
    if variant not in get_args(Variant):
        raise ValueError(f"variant must be one of {', '.join(get_args(Variant))}, not {variant!r}")
    from mlee.label import draw

    drawing = draw.build(content, variant)
    about = {"title": plain(content.title), "description": plain(content.description), "language": content.language}
    if format == "svg":
        from mlee.label import export_svg

        key = f"{zlib.crc32(repr((content, variant)).encode('utf-8', 'replace')):08x}"
        return export_svg.to_svg(drawing, size=draw.printed_size(variant), key=key, **about)
    from mlee.label import export_pdf

    pdf = export_pdf.to_pdf(drawing, url=content.url, links=draw.link_boxes(variant), creator=f"mlee {__version__}", **about)
    if format == "pdf":
        return pdf
    from mlee.label import export_png

    return export_png.to_png(pdf, title=about["title"], dpi=dpi)
