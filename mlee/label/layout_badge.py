"""Where everything on the one-line badge stands, as data. Lengths are in points [pt] from the upper left corner, y down."""

from __future__ import annotations

from dataclasses import dataclass

from mlee.label.layout import INK, WHITE, Box, Slot, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """Mark and name at the left; the letter; the range of letters at the right."""

    size: tuple[str, str]  # as SVG says it
    width: float
    height: float
    name_field: Box
    mark: Box
    name: Slot
    letter_field: Box
    letter: Slot
    letter_estimated: Slot  # when "est." stands beside it
    estimated: Slot
    range: Slot
    unrated: Slot


BADGE = Badge(
    size=("164px", "22px"),
    width=pixels(164),
    height=pixels(22),
    name_field=Box(*map(pixels, (0, 0, 86, 22))),
    mark=Box(*map(pixels, (4, 4, 14, 14, 2))),
    name=Slot(Box(*map(pixels, (22, 0, 62, 22))), 8.25, 6, bold=True, colour=WHITE),
    letter_field=Box(*map(pixels, (86, 0, 44, 22))),
    letter=Slot(Box(*map(pixels, (86, 0, 44, 22))), 12, 8, bold=True, align="centre"),
    letter_estimated=Slot(Box(*map(pixels, (87, 0, 17, 22))), 12, 8, bold=True, align="centre"),
    estimated=Slot(Box(*map(pixels, (104, 0, 24, 22))), 7.125, 5, bold=True, align="centre"),
    range=Slot(Box(*map(pixels, (130, 0, 34, 22))), 8.25, 6, colour=INK, align="centre"),
    unrated=Slot(Box(*map(pixels, (88, 0, 74, 22))), 8.25, 6, colour=INK, align="centre"),
)
