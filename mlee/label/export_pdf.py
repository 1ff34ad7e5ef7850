"""A drawing as PDF of one page: fonts embedded as subsets, text stays text, nothing of time or chance in it.

reportlab's own writer names a font it does not embed, loses the characters its fonts lack, dates each file to the year 2000
and takes most of its time with the modules of the QR code; a page of rectangles, paths and strings needs little of it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

from reportlab.graphics.shapes import Path, Rect, String  # type: ignore[import-untyped]

from mlee.label.draw_fonts import Font, FontName, load
from mlee.label.export_font import Subset, subset
from mlee.label.layout import Box
from mlee.label.numbers import RECTANGLE, number, steps

_PATH_OPERATORS = {"M": "m", "L": "l", "C": "c", "Z": "h"}
_CORNERS = "%s %s m %s %s l %s %s l %s %s l h"
_MANY = 64  # numbers in a path that are worth a closer look
_COMPRESSION = 6
_SYMBOLIC = 4
_ESCAPES = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def to_pdf(
    drawing: Any, *, title: str, description: str, language: str, url: str, links: Iterable[Box], creator: str
) -> bytes:
    """Write a drawing as PDF; `links` are the boxes [pt] that lead to `url`."""
    file = _File()
    catalogue, pages, page = file.reserve(), file.reserve(), file.reserve()
    subsets, fonts = _fonts(file, drawing)
    contents = file.stream(_contents(drawing, subsets))
    annotations = " ".join(_link(box, drawing.height, url) for box in links)
    file.put(
        catalogue,
        f"<</Type/Catalog/Pages {pages} 0 R/Lang{_string(language)}/ViewerPreferences<</DisplayDocTitle true>>>>",
    )
    file.put(pages, f"<</Type/Pages/Kids[{page} 0 R]/Count 1>>")
    file.put(
        page,
        f"<</Type/Page/Parent {pages} 0 R/MediaBox[0 0 {number(drawing.width)} {number(drawing.height)}]"
        f"/Resources<</Font<<{fonts}>>>>/Contents {contents} 0 R/Annots[{annotations}]>>",
    )
    info = file.add(f"<</Title{_string(title)}/Subject{_string(description)}/Creator{_string(creator)}>>")
    return file.finish(catalogue, info)


class _File:
    """The objects of a file, numbered from 1."""

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def reserve(self) -> int:
        self._objects.append(b"")
        return len(self._objects)

    def put(self, reserved: int, body: str | bytes) -> None:
        self._objects[reserved - 1] = body if isinstance(body, bytes) else body.encode("ascii")

    def add(self, body: str | bytes) -> int:
        reserved = self.reserve()
        self.put(reserved, body)
        return reserved

    def stream(self, body: bytes, entries: str = "") -> int:
        packed = zlib.compress(body, _COMPRESSION)
        head = f"<</Length {len(packed)}/Filter/FlateDecode{entries}>>stream\n".encode("ascii")
        return self.add(head + packed + b"\nendstream")

    def finish(self, catalogue: int, info: int) -> bytes:
        parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
        offset, offsets = len(parts[0]), []
        for place, body in enumerate(self._objects, start=1):
            offsets.append(offset)
            parts.append(b"%d 0 obj\n%b\nendobj\n" % (place, body))
            offset += len(parts[-1])
        size = len(offsets) + 1
        table = "".join(f"{start:010d} 00000 n \n" for start in offsets)
        identity = hashlib.sha256(b"".join(parts)).hexdigest()[:32]
        parts.append(
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<</Size {size}/Root {catalogue} 0 R/Info {info} 0 R"
            f"/ID[<{identity}><{identity}>]>>\nstartxref\n{offset}\n%%EOF\n".encode("ascii")
        )
        return b"".join(parts)


def _fonts(file: _File, drawing: Any) -> tuple[dict[FontName, Subset], str]:
    """Embed what the strings of a drawing use; return the subsets and the entries of the page's font resources."""
    characters: dict[FontName, set[str]] = {}
    for shape in drawing.contents:
        if isinstance(shape, String):
            characters.setdefault(shape.fontName, set()).update(shape.text)
    subsets = {name: subset(load(name), characters[name]) for name in sorted(characters)}
    entries = (f"/{name} {_embed(file, load(name), part, order)} 0 R" for order, (name, part) in enumerate(subsets.items()))
    return subsets, "".join(entries)


def _embed(file: _File, font: Font, part: Subset, order: int) -> int:
    """Add a composite font whose codes are glyph numbers (ISO 32000-1, 9.7)."""
    name = f"MLEE{'AB'[order]}A+{font.name}"
    data = file.stream(part.file, f"/Length1 {len(part.file)}")
    box = " ".join(str(round(edge)) for edge in font.box)
    descriptor = file.add(
        f"<</Type/FontDescriptor/FontName/{name}/Flags {_SYMBOLIC}/FontBBox[{box}]/ItalicAngle 0/Ascent {round(font.ascent)}"
        f"/Descent {round(font.descent)}/CapHeight {round(font.cap_height)}/StemV 87/FontFile2 {data} 0 R>>"
    )
    widths = "".join(f"{glyph}[{width}]" for glyph, width in sorted(part.advances.items()))
    descendant = file.add(
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont/{name}"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        f"/FontDescriptor {descriptor} 0 R/CIDToGIDMap/Identity/DW 600/W[{widths}]>>"
    )
    unicode_map = file.stream(_unicode_map(part))
    return file.add(
        f"<</Type/Font/Subtype/Type0/BaseFont/{name}/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]"
        f"/ToUnicode {unicode_map} 0 R>>"
    )


def _unicode_map(part: Subset) -> bytes:
    char_of = {glyph: char for char, glyph in part.glyph_of.items()}  # the last wins where two share a glyph
    rows = [f"<{glyph:04x}><{_utf16(char)}>" for glyph, char in sorted(char_of.items())]
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n"
        "/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n"
        "1 begincodespacerange<0000><ffff>endcodespacerange\n"
        f"{body}\nendcmap CMapName currentdict/CMap defineresource pop end end\n"
    ).encode("ascii")


def _contents(drawing: Any, subsets: dict[FontName, Subset]) -> bytes:
    words: list[str] = []
    state: dict[str, str] = {}

    def switch(key: str, operator: str) -> None:
        if state.get(key) != operator:
            state[key] = operator
            words.append(operator)

    for shape in drawing.contents:
        if shape.fillColor is not None:
            switch("fill", _colour(shape.fillColor) + " rg")
        if isinstance(shape, String):
            glyph_of = subsets[shape.fontName].glyph_of
            codes = "".join([f"{glyph_of[char]:04x}" for char in shape.text])
            place = f"{number(shape.x)} {number(shape.y)}"
            words.append(f"BT/{shape.fontName} {number(shape.fontSize)} Tf {place} Td<{codes}>Tj ET")
            continue
        stroked = shape.strokeColor is not None and bool(shape.strokeWidth)
        if stroked:
            switch("stroke", _colour(shape.strokeColor) + " RG")
            switch("width", number(shape.strokeWidth) + " w")
            switch("ends", "1 J 1 j" if getattr(shape, "strokeLineCap", 0) else "0 J 0 j")
            switch("dashes", f"[{' '.join(map(number, shape.strokeDashArray or ()))}]0 d")
        words.append(_outline(shape))
        words.append("B" if stroked and shape.fillColor is not None else "S" if stroked else "f")
    return "\n".join(words).encode("ascii")


def _outline(shape: Any) -> str:
    if isinstance(shape, Rect):
        return " ".join(map(number, (shape.x, shape.y, shape.width, shape.height))) + " re"
    if isinstance(shape, Path):
        written = [*map(number, shape.points)]
        if len(written) > _MANY and shape.operators == list(RECTANGLE) * (len(written) // 8):  # a QR code
            return " ".join([_CORNERS % corners for corners in zip(*[iter(written)] * 8, strict=True)])
        words: list[str] = []
        for kind, start, end in steps(shape):
            words += written[start:end]
            words.append(_PATH_OPERATORS[kind])
        return " ".join(words)
    raise TypeError(f"{type(shape).__name__} cannot be written as PDF")


def _link(box: Box, height: float, url: str) -> str:
    corners = " ".join(map(number, (box.x, height - box.bottom, box.right, height - box.y)))
    return f"<</Type/Annot/Subtype/Link/Rect[{corners}]/Border[0 0 0]/A<</S/URI/URI<{url.encode('ascii').hex()}>>>>>"


def _colour(colour: Any) -> str:
    return f"{colour.red:.3g} {colour.green:.3g} {colour.blue:.3g}"


def _string(text: str) -> str:
    if text.isascii() and text.isprintable():
        return "(" + text.translate(_ESCAPES) + ")"
    return f"<feff{_utf16(text)}>"


def _utf16(text: str) -> str:
    return text.encode("utf-16-be", "replace").hex()
