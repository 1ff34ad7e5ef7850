"""Where everything on the compact card stands: 260 x 364 CSS pixels, measured in them, text in points [pt]."""

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
    pixels,
)


def _px(x: float, y: float, width: float, height: float, radius: float = 0.0) -> Box:
    return Box(*map(pixels, (x, y, width, height, radius)))


def _compact_tile(y: float) -> TileBoxes:
    return TileBoxes(
        panel=_px(12, y, 236, 21, 3),
        block=_px(12, y, 44, 21, 3),
        letter=Slot(_px(12, y, 44, 21), 12, 7, bold=True, align="centre"),
        letter_left=Slot(_px(13, y, 19, 21), 12, 7, bold=True, align="centre"),
        beside=(
            Slot(_px(32, y + 1.5, 23, 9.5), 5.25, 3.5, bold=True, align="centre"),
            Slot(_px(32, y + 11, 23, 9.5), 5.25, 3.5, bold=True, align="centre"),
        ),
        pictogram=_px(61, y + 3.5, 15, 15),
        value=Slot(_px(138, y + 2, 105, 18), 9, 5, bold=True, align="right"),
        name=Slot(_px(81, y + 2, 56, 18), 6.75, 5, lines=2, colour=GREY),
        index=None,
        bounds=None,
    )


COMPACT = Card(
    size=("260px", "364px"),
    width=pixels(260),
    height=pixels(364),
    header=HeaderBoxes(
        band=_px(0, 0, 260, 36),
        mark=_px(12, 8, 20, 20, 3),
        heading=Slot(_px(39, 8, 134, 20), 10.5, 7, bold=True, colour=WHITE),
        task=Slot(_px(178, 8, 70, 20), 8.25, 6, colour=PALE, align="right"),
        address=None,
        qr=None,
    ),
    model=Slot(_px(12, 39.5, 236, 23), 15, 8.5, lines=2, bold=True),
    facts=tuple(
        Fact(field=field, slot=Slot(_px(12, 62.5 + 11.2 * row, 236, 11.2), 6.75, 5.25, colour=GREY))
        for row, field in enumerate(("dataset", "hardware", "software"))
    ),
    rules=(_px(12, 97.5, 236, 0.75),),
    scale=ScaleBoxes(
        heading=Slot(_px(12, 98.5, 160, 12.5), 6.75, 5.25, colour=GREY),
        bars=tuple(_px(12, 112 + 15 * row, 76 + 19 * row, 13) for row in range(len(LETTERS))),
        letter=8.25,
        arrow=_px(188, 0, 60, 26),
        arrow_letter=18,
        bracket=_px(172, 0, 6, 0),
        unrated=Slot(_px(180, 130, 68, 38, 3), 9, 6, lines=2, bold=True, colour=GREY, align="centre"),
    ),
    energy=EnergyBoxes(
        panel=_px(0, 194, 260, 62.5),
        number=Slot(_px(12, 197, 150, 34), 23, 9, bold=True),
        number_above_total=Slot(_px(12, 199, 150, 22), 16.5, 9, bold=True),
        total=Slot(_px(12, 221.5, 236, 11), 6.75, 5, bold=True),
        gap=pixels(7),
        beside=(Slot(_px(0, 1.5, 0, 12), 8.25, 5.25, bold=True), Slot(_px(0, 13.5, 0, 10.5), 7.5, 5.25)),
        right=pixels(248),
        provenance=Slot(_px(12, 235, 68, 16, 2), 7.125, 5, bold=True, align="centre"),
        sensors=Slot(_px(85, 233.5, 163, 10), 6, 4.5),
        not_included=Slot(_px(85, 243.5, 163, 10), 6, 4.5, bold=True),
    ),
    tiles=tuple(_compact_tile(261 + 22.8 * row) for row in range(4)),
    foot=Slot(_px(12, 352, 236, 10), 5.625, 4, colour=GREY),
    foot_row=pixels(10),
    foot_fields=("short_url",),
)
