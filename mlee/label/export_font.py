"""A font with only the glyphs that are used, as PDF embeds it.

Glyphs keep their numbers and unused outlines become empty, so nothing inside an outline needs rewriting. Characters the font
lacks share its hollow box, each under a number of its own, so that copying and searching still find the character.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from mlee.label.draw_fonts import Font

_MORE_COMPONENTS, _WORDS, _SCALE, _XY_SCALE, _TWO_BY_TWO = 0x20, 0x1, 0x8, 0x40, 0x80
_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Subset:
    """A TrueType file and the glyph number of each character."""

    file: bytes
    glyph_of: dict[str, int]
    advances: dict[int, int]  # by glyph number [em / 1000]


def subset(font: Font, characters: Iterable[str]) -> Subset:
    """Make the subset of `font` that draws `characters`."""
    glyph_of: dict[str, int] = {}
    extra = 0
    for char in sorted(characters):
        if char in font.glyph_of:
            glyph_of[char] = font.glyph_of[char]
        else:
            glyph_of[char] = len(font.glyphs) + extra
            extra += 1
    used = _with_components(font, {0, *(glyph for glyph in glyph_of.values() if glyph < len(font.glyphs))})
    outlines = [glyph if number in used else b"" for number, glyph in enumerate(font.glyphs)] + [font.glyphs[0]] * extra
    tables = {
        **font.tables,
        "glyf": b"".join(outlines),
        "loca": _locations(outlines),
        "hmtx": font.tables["hmtx"] + struct.pack(">Hh", *font.metrics[0]) * extra,
        "maxp": font.tables["maxp"][:4] + struct.pack(">H", len(outlines)) + font.tables["maxp"][6:],
        "hhea": font.tables["hhea"][:34] + struct.pack(">H", len(outlines)),
        "head": font.tables["head"][:8] + bytes(4) + font.tables["head"][12:50] + b"\0\1" + font.tables["head"][52:],
    }
    advances = {
        glyph: round(font.metrics[glyph if glyph < len(font.glyphs) else 0][0] * 1000 / font.units_per_em)
        for glyph in glyph_of.values()
    }
    return Subset(_file(tables), glyph_of, advances)


def _with_components(font: Font, used: set[int]) -> set[int]:
    """Add the glyphs that accented letters are composed of."""
    waiting = list(used)
    while waiting:
        glyph = font.glyphs[waiting.pop()]
        if len(glyph) < 10 or struct.unpack(">h", glyph[:2])[0] >= 0:
            continue
        position, flags = 10, _MORE_COMPONENTS
        while flags & _MORE_COMPONENTS:
            flags, component = struct.unpack(">HH", glyph[position : position + 4])
            if component not in used:
                used.add(component)
                waiting.append(component)
            position += 8 if flags & _WORDS else 6
            position += 2 if flags & _SCALE else 4 if flags & _XY_SCALE else 8 if flags & _TWO_BY_TWO else 0
    return used


def _locations(outlines: list[bytes]) -> bytes:
    offsets, offset = [0], 0
    for outline in outlines:
        offset += len(outline)
        offsets.append(offset)
    return struct.pack(f">{len(offsets)}L", *offsets)


def _file(tables: dict[str, bytes]) -> bytes:
    """Put tables together (OpenType specification, "Organization of an OpenType font")."""
    count = len(tables)
    power = count.bit_length() - 1
    header = struct.pack(">LHHHH", 0x00010000, count, 16 << power, power, 16 * (count - (1 << power)))
    offset = len(header) + 16 * count
    directory, bodies = [], []
    for tag in sorted(tables):
        body = tables[tag]
        padded = body + bytes(-len(body) % 4)
        directory.append(struct.pack(">4sLLL", tag.encode("ascii"), _checksum(padded), offset, len(body)))
        bodies.append(padded)
        offset += len(padded)
    file = b"".join([header, *directory, *bodies])
    adjustment = struct.pack(">L", (0xB1B0AFBA - _checksum(file)) & _MASK)
    head = (
        len(header) + 16 * count + sum(len(body) for tag, body in zip(sorted(tables), bodies, strict=True) if tag < "head")
    )
    return file[: head + 8] + adjustment + file[head + 12 :]


def _checksum(padded: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(padded) // 4}L", padded))
    return total & _MASK
