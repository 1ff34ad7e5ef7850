"""The drawing of a label, made once and the same for every format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlee.label.content import LabelContent
from mlee.label.draw_badge import draw_badge
from mlee.label.draw_parts import bars_mark, draw_qr, draw_rating, draw_tile, provenance_mark
from mlee.label.draw_sketch import Sketch, alike
from mlee.label.layout import GREY, INK, PANEL, RULE, WHITE, Box, Card, EnergyBoxes, Slot, Variant
from mlee.label.layout_badge import BADGE
from mlee.label.layout_compact import COMPACT
from mlee.label.layout_full import FULL
from mlee.units import NOT_MEASURED

_HEADING = "ML energy label"
_ENERGY = "energy"
_UNCERTAINTY_MISSING = f"uncertainty {NOT_MEASURED}"
_SENSORS_MISSING = "no sensor recorded"
_SIZE_OF_MISSING = 0.6  # of the size of the largest number
_LEAST_SHARE = 0.8  # of its size that a text gives up for another in its column


def build(content: LabelContent, variant: Variant = "full") -> Any:
    """Draw a label as a `reportlab.graphics.shapes.Drawing` of rectangles, paths and strings, in points [pt]."""
    if variant == "badge":
        return draw_badge(content, BADGE)
    return _card(content, FULL if variant == "full" else COMPACT)


def printed_size(variant: Variant) -> tuple[str, str]:
    """Return width and height as SVG writes them."""
    return {"full": FULL.size, "compact": COMPACT.size, "badge": BADGE.size}[variant]


def link_boxes(variant: Variant) -> tuple[Box, ...]:
    """Return the parts of a label that lead to the result's page [pt]."""
    card = {"full": FULL, "compact": COMPACT, "badge": None}[variant]
    if card is None:
        return (Box(0, 0, BADGE.width, BADGE.height),)
    slot = card.header.address or card.foot
    return (slot.box,) if card.header.qr is None else (card.header.qr, slot.box)


def _card(content: LabelContent, card: Card) -> Any:
    sketch = Sketch(card.width, card.height)
    sketch.box(Box(0, 0, card.width, card.height), WHITE)
    for part in (_header, _subject, _scale, _energy, _tiles, _foot):
        part(sketch, content, card)
    return sketch.drawing


def _header(sketch: Sketch, content: LabelContent, card: Card) -> None:
    header = card.header
    sketch.box(header.band, INK)
    bars_mark(sketch, header.mark)
    sketch.text(header.heading, _HEADING)
    sketch.text(header.task, content.task.capitalize())
    if header.address:
        sketch.text(header.address, content.short_url)
    if header.qr:
        draw_qr(sketch, header.qr, content.url)


def _subject(sketch: Sketch, content: LabelContent, card: Card) -> None:
    sketch.text(card.model, content.model)
    for fact in card.facts:
        if fact.key_slot:
            sketch.text(fact.key_slot, fact.key)
        sketch.text(fact.slot, getattr(content, fact.field))
    for rule in card.rules:
        sketch.box(rule, RULE)


def _scale(sketch: Sketch, content: LabelContent, card: Card) -> None:
    heading = "Compound rating"
    if content.rating_range:
        best, worst = content.rating_range
        heading += f", {best} in all repeats" if best == worst else f", {best} to {worst} over repeats"
    sketch.text(card.scale.heading, heading)
    draw_rating(sketch, content, card.scale)


def _energy(sketch: Sketch, content: LabelContent, card: Card) -> None:
    boxes = card.energy
    sketch.box(boxes.panel, PANEL)
    number = boxes.number if content.energy_total is None else boxes.number_above_total
    if content.energy_value is None or content.provenance is None:
        small = replace(number, size=number.size * _SIZE_OF_MISSING, colour=GREY)
        _number(sketch, boxes, small, NOT_MEASURED, (_ENERGY, content.energy_per))
        left = boxes.number.box.x - boxes.sensors.box.x
    else:
        value = f"{content.energy_value} {content.energy_unit}"
        _number(sketch, boxes, number, value, (content.energy_uncertainty or _UNCERTAINTY_MISSING, content.energy_per))
        provenance_mark(sketch, boxes, content.provenance)
        left = 0.0
    if content.energy_total is not None:
        sketch.text(boxes.total, content.energy_total)
    for slot, text in ((boxes.sensors, content.sensors or _SENSORS_MISSING), (boxes.not_included, content.not_included)):
        if text is not None:
            box = replace(slot.box, x=slot.box.x + left, width=slot.box.width - left)
            sketch.text(replace(slot, box=box), text)


def _number(sketch: Sketch, boxes: EnergyBoxes, slot: Slot, value: str, beside: tuple[str, str]) -> None:
    """Draw the largest number, and two lines directly beside it."""
    left = slot.box.x + sketch.text(slot, value) + boxes.gap
    top = slot.box.middle - (boxes.beside[0].box.y + boxes.beside[1].box.bottom) / 2
    for line, text in zip(boxes.beside, beside, strict=True):
        box = Box(left, top + line.box.y, boxes.right - left, line.box.height)
        sketch.text(replace(line, box=box), text)


def _tiles(sketch: Sketch, content: LabelContent, card: Card) -> None:
    values = [boxes.value for boxes in card.tiles]
    values = alike(values, [tile.value_text for tile in content.tiles], _LEAST_SHARE * values[0].size)
    for tile, boxes, value in zip(content.tiles, card.tiles, values, strict=True):
        draw_tile(sketch, tile, replace(boxes, value=value))


def _foot(sketch: Sketch, content: LabelContent, card: Card) -> None:
    lines: list[str] = []
    for field in card.foot_fields:
        value = getattr(content, field)
        lines.extend(value if isinstance(value, tuple) else (value,))
    box = card.foot.box
    row = min(card.foot_row, box.height / len(lines))
    slots = [replace(card.foot, box=Box(box.x, box.y + number * row, box.width, row)) for number in range(len(lines))]
    for slot, line in zip(alike(slots, lines, _LEAST_SHARE * card.foot.size), lines, strict=True):
        sketch.text(slot, line)
