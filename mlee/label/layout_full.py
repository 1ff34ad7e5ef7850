"""Where everything on the full card stands: 100 x 184 mm, measured in millimetres, text in points [pt]."""

from __future__ import annotations

from mlee.label.content import LETTERS
from mlee.label.layout import (
    GREY,
    PALE,
    WHITE,
    Box,
    Card,
    EnergyBoxes,
    Fact,
    HeaderBoxes,
    ScaleBoxes,
    Slot,
    TileBoxes,
    millimetres,
)


def _mm(x: float, y: float, width: float, height: float, radius: float = 0.0) -> Box:
    return Box(*map(millimetres, (x, y, width, height, radius)))


def _full_tile(y: float) -> TileBoxes:
    return TileBoxes(
        panel=_mm(6, y, 88, 8.9, 1),
        block=_mm(6, y, 16, 8.9, 1),
        letter=Slot(_mm(6, y, 16, 8.9), 19, 10, bold=True, align="centre"),
        letter_left=Slot(_mm(6.6, y, 7, 8.9), 19, 10, bold=True, align="centre"),
        beside=(
            Slot(_mm(13.4, y + 0.9, 8.2, 3.5), 7.5, 5, bold=True, align="centre"),
            Slot(_mm(13.4, y + 4.4, 8.2, 3.5), 7.5, 5, bold=True, align="centre"),
        ),
        pictogram=_mm(24, y + 1.3, 6.3, 6.3),
        value=Slot(_mm(32.5, y + 0.5, 33.5, 4.8), 12, 7, bold=True),
        name=Slot(_mm(32.5, y + 5.1, 34.5, 3.4), 7.75, 5.5, colour=GREY),
        index=Slot(_mm(68, y + 1.0, 24.5, 3.8), 8, 5.5, align="right"),
        bounds=Slot(_mm(68, y + 5.1, 24.5, 3.4), 7.75, 5.5, colour=GREY, align="right"),
    )


def _full_fact(y: float, key: str, field: str) -> Fact:
    return Fact(
        field=field,
        slot=Slot(_mm(24, y, 70, 4.2), 9.5, 6.5),
        key=key,
        key_slot=Slot(_mm(6, y, 17, 4.2), 8.5, 6.5, colour=GREY),
    )


FULL = Card(
    size=("100mm", "184mm"),
    width=millimetres(100),
    height=millimetres(184),
    header=HeaderBoxes(
        band=_mm(0, 0, 100, 29),
        mark=_mm(6, 4, 11, 11, 1.6),
        heading=Slot(_mm(19.5, 3.6, 47, 6.2), 14, 8, bold=True, colour=WHITE),
        task=Slot(_mm(19.5, 10.2, 47, 5), 11, 8, colour=PALE),
        address=Slot(_mm(6, 18.4, 60, 7.4), 8.5, 6, lines=2, colour=WHITE),
        qr=_mm(69, 2, 25, 25, 1),
    ),
    model=Slot(_mm(6, 30.8, 88, 10.4), 24, 12, lines=2, bold=True),
    facts=(
        _full_fact(41.6, "Data set", "dataset"),
        _full_fact(46.0, "Hardware", "hardware"),
        _full_fact(50.4, "Software", "software"),
    ),
    rules=(_mm(6, 56.2, 88, 0.2), _mm(6, 164.6, 88, 0.2)),
    scale=ScaleBoxes(
        heading=Slot(_mm(6, 57.4, 58, 4.6), 8.5, 6.5, colour=GREY),
        bars=tuple(_mm(6, 62.6 + 6.5 * row, 27 + 7 * row, 5.7) for row in range(len(LETTERS))),
        letter=13,
        arrow=_mm(71, 0, 23, 10.6),
        arrow_letter=26,
        bracket=_mm(65, 0, 2.2, 0),
        unrated=Slot(_mm(69, 71.4, 25, 14.8, 1), 12, 8, lines=2, bold=True, colour=GREY, align="centre"),
    ),
    energy=EnergyBoxes(
        panel=_mm(0, 98, 100, 25.4),
        number=Slot(_mm(6, 99.6, 60, 15), 38, 14, lines=1, bold=True),
        number_above_total=Slot(_mm(6, 99.2, 60, 11.6), 30, 14, bold=True),
        total=Slot(_mm(6, 110.6, 88, 4.6), 9.5, 6.5, lines=1, bold=True),
        gap=millimetres(3),
        beside=(Slot(_mm(0, 0.6, 0, 5.6), 12.5, 6.5, bold=True), Slot(_mm(0, 6.2, 0, 4.8), 10.5, 6.5)),
        right=millimetres(94),
        provenance=Slot(_mm(6, 116, 27, 5.8, 0.8), 9.5, 6, bold=True, align="centre"),
        sensors=Slot(_mm(35, 115.3, 59, 3.6), 8, 5.5),
        not_included=Slot(_mm(35, 118.9, 59, 3.6), 8, 5.5, bold=True),
    ),
    tiles=tuple(_full_tile(125.2 + 9.7 * row) for row in range(4)),
    foot=Slot(_mm(6, 165.4, 88, 16.6), 6.75, 5, colour=GREY),
    foot_row=millimetres(3),
    foot_fields=("foot", "digest"),
)
