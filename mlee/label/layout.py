"""Where everything on a card stands, as data. Lengths are in points [pt] from the upper left corner, y down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mlee.label.content import Letter

Align = Literal["left", "centre", "right"]
Variant = Literal["full", "compact", "badge"]

INK, GREY, RULE, PANEL, PALE = "#16202b", "#4d5864", "#c9d0d7", "#f0f3f6", "#c3ced9"
BLACK, WHITE = "#000000", "#ffffff"
#: Fill and letter of each class: the fills differ for every kind of colour vision, the letters by at least 6.5 : 1.
PALETTE: Mapping[Letter, tuple[str, str]] = MappingProxyType(
    {
        "A": ("#195c23", WHITE),
        "B": ("#54bb71", BLACK),
        "C": ("#ddd23d", BLACK),
        "D": ("#e27312", BLACK),
        "E": ("#ba1535", WHITE),
    }
)
_PT_PER_MM = 72 / 25.4
_PT_PER_PX = 0.75


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, with rounded corners where `radius` is not 0."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 0.0

    @property
    def right(self) -> float:
        """Its right edge [pt]."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge [pt]."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Its horizontal centre line [pt]."""
        return self.y + self.height / 2

    def inset(self, margin: float) -> Box:
        """Return the box `margin` [pt] inside."""
        return Box(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)


@dataclass(frozen=True, slots=True)
class Slot:
    """A box for one text, and how large it may be [pt]; its lines are centred in the height."""

    box: Box
    size: float
    smallest: float
    lines: int = 1
    bold: bool = False
    colour: str = INK
    align: Align = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderBoxes:
    """The dark band with mark, heading, task, address and QR code."""

    band: Box
    mark: Box
    heading: Slot
    task: Slot
    address: Slot | None
    qr: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line about the subject: a field of the content, and its key where there is room for one."""

    field: str
    slot: Slot
    key: str = ""
    key_slot: Slot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBoxes:
    """The bars A-E; arrow and bracket stand beside the bar they belong to."""

    heading: Slot
    bars: tuple[Box, ...]
    letter: float  # size of the letters in the bars [pt]
    arrow: Box  # its y counts for nothing
    arrow_letter: float  # [pt]
    bracket: Box  # its y and height count for nothing
    unrated: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBoxes:
    """The panel with the largest number, and where it comes from; `number` is lower when there is a total below."""

    panel: Box
    number: Slot
    number_above_total: Slot
    total: Slot
    gap: float  # between the number and what stands beside it [pt]
    beside: tuple[Slot, Slot]  # uncertainty and "per ..."; x and width follow the number, y counts from its top
    right: float  # where the text beside the number must end [pt]
    provenance: Slot
    sensors: Slot
    not_included: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class TileBoxes:
    """One row: class, pictogram, value, name, and at the right the index and the bounds of the class."""

    panel: Box
    block: Box
    letter: Slot
    letter_left: Slot  # when there is something to say beside it
    beside: tuple[Slot, Slot]
    pictogram: Box
    value: Slot
    name: Slot
    index: Slot | None
    bounds: Slot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A whole card."""

    size: tuple[str, str]  # as SVG says it
    width: float
    height: float
    header: HeaderBoxes
    model: Slot
    facts: tuple[Fact, ...]
    rules: tuple[Box, ...]
    scale: ScaleBoxes
    energy: EnergyBoxes
    tiles: tuple[TileBoxes, ...]
    foot: Slot  # for all its lines together
    foot_row: float  # greatest height of a line [pt]
    foot_fields: tuple[str, ...]  # of the content


def millimetres(length: float) -> float:
    """Convert millimetres to points [pt]."""
    return length * _PT_PER_MM


def pixels(length: float) -> float:
    """Convert a length from CSS pixels to points [pt]."""
    return length * _PT_PER_PX
