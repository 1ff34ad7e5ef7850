"""The two fonts of the label: their widths, and their outlines for embedding.

Bitstream Vera Sans comes with reportlab, may be embedded, and has the widths of DejaVu Sans, which nearly every Linux
machine has and which is close to Verdana elsewhere: an SVG file, which names its fonts only, looks the same in most places.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from reportlab.pdfbase.ttfonts import TTFontFile  # type: ignore[import-untyped]

FontName = Literal["Vera", "Vera-Bold"]

_FILES: Mapping[FontName, str] = {"Vera": "Vera.ttf", "Vera-Bold": "VeraBd.ttf"}
_SOFT_HYPHEN = 0xAD


@dataclass(frozen=True, slots=True)
class Font:
    """A TrueType font taken apart; `glyphs` hold the outlines by glyph number, number 0 is the hollow box."""

    name: str  # PostScript name
    widths: Mapping[str, float]  # [em]
    glyph_of: Mapping[str, int]
    glyphs: tuple[bytes, ...]
    metrics: tuple[tuple[int, int], ...]  # advance width and left side bearing of each glyph, in units of the em
    units_per_em: int
    box: tuple[float, float, float, float]  # [em / 1000]
    ascent: float  # [em / 1000]
    descent: float
    cap_height: float
    tables: Mapping[str, bytes]  # those that a subset keeps; hmtx with a pair for each glyph


def font(bold: bool) -> Font:
    """Return the regular or the bold font."""
    return load("Vera-Bold" if bold else "Vera")


@cache
def load(name: FontName) -> Font:
    """Read a font once."""
    file = TTFontFile(_FILES[name])
    tables = {tag: file.get_table(tag) for tag in ("head", "hhea", "maxp", "cvt ", "fpgm", "prep")}
    units: int = struct.unpack(">H", tables["head"][18:20])[0]
    outlines = file.get_table("glyf")
    count = len(file.glyphPos) - 1
    metrics = _metrics(file.get_table("hmtx"), struct.unpack(">H", tables["hhea"][34:36])[0], count)
    glyph_of = {chr(code): int(glyph) for code, glyph in file.charToGlyph.items() if code >= 32 and code != _SOFT_HYPHEN}
    return Font(
        name=file.name.decode("ascii"),
        widths=MappingProxyType({char: metrics[glyph][0] / units for char, glyph in glyph_of.items()}),
        glyph_of=MappingProxyType(glyph_of),
        glyphs=tuple(outlines[file.glyphPos[number] : file.glyphPos[number + 1]] for number in range(count)),
        metrics=metrics,
        units_per_em=units,
        box=tuple(file.bbox),
        ascent=file.ascent,
        descent=file.descent,
        cap_height=file.capHeight,
        tables=MappingProxyType(tables | {"hmtx": b"".join(struct.pack(">Hh", *pair) for pair in metrics)}),
    )


def _metrics(table: bytes, full: int, count: int) -> tuple[tuple[int, int], ...]:
    pairs = list(struct.iter_unpack(">Hh", table[: 4 * full]))
    bearings = [bearing for (bearing,) in struct.iter_unpack(">h", table[4 * full : 4 * full + 2 * (count - full)])]
    return tuple(pairs + [(pairs[-1][0], bearing) for bearing in bearings])
