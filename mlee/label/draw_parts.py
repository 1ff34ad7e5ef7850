"""The parts of a card that are more than text: mark, QR code, scale, provenance and tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import segno

from mlee.label.content import LETTERS, NOT_RATED, LabelContent, Provenance, Tile
from mlee.label.draw_sketch import Sketch
from mlee.label.layout import BLACK, GREY, INK, PALETTE, PANEL, WHITE, Box, EnergyBoxes, ScaleBoxes, Slot, TileBoxes

ESTIMATED = "est."
DASH = "\N{EN DASH}"
QUIET_ZONE = 4  # modules
_SMALLEST_LETTER = 6.0  # pt
#: Any mask may be read back; choosing the best of the eight would take a third of the time of a whole label.
_MASK = 2


def bars_mark(sketch: Sketch, box: Box) -> None:
    """Draw our mark: the five classes as bars on a white field."""
    sketch.box(box, WHITE)
    margin = box.height * 0.16
    inner = box.inset(margin)
    pitch = inner.height / len(LETTERS)
    for row, letter in enumerate(LETTERS):
        width = inner.width * (0.4 + 0.15 * row)
        sketch.box(Box(inner.x, inner.y + row * pitch, width, pitch * 0.72), PALETTE[letter][0])


def draw_qr(sketch: Sketch, box: Box, url: str) -> None:
    """Draw a QR code with its quiet zone, error correction M, as large as `box` allows."""
    code = segno.make_qr(url, error="m", boost_error=False, mask=_MASK)
    rows = [bytes(row) for row in code.matrix]
    module = min(box.width, box.height) / (len(rows) + 2 * QUIET_ZONE)
    sketch.box(box, WHITE)
    across = [box.x + (QUIET_ZONE + number) * module for number in range(len(rows) + 1)]
    down = [box.y + (QUIET_ZONE + number) * module for number in range(len(rows) + 1)]
    blocks = ((across[x], down[y], across[x + width], down[y + height]) for x, y, width, height in _blocks(rows))
    sketch.rectangles(blocks, BLACK)


def _blocks(rows: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Cover the dark modules with rectangles (x, y, width, height): runs in a row, joined with equal runs below."""
    open_runs: dict[tuple[int, int], int] = {}  # (x, width) -> first row
    for y, row in enumerate([*rows, b""]):
        runs = set(_runs(row))
        for run in [run for run in open_runs if run not in runs]:
            first = open_runs.pop(run)
            yield run[0], first, run[1], y - first
        for run in sorted(runs):
            open_runs.setdefault(run, y)


def _runs(row: bytes) -> Iterator[tuple[int, int]]:
    start = row.find(1)
    while start >= 0:
        end = row.find(0, start)
        end = len(row) if end < 0 else end
        yield start, end - start
        start = row.find(1, end)


def draw_rating(sketch: Sketch, content: LabelContent, scale: ScaleBoxes) -> None:
    """Draw the bars A-E, the arrow at the rating and the bracket over the range of ratings."""
    bars = dict(zip(LETTERS, scale.bars, strict=True))
    if content.rating is not None:
        bar = bars[content.rating]
        sketch.lines([((bar.right, bar.middle), (scale.arrow.x, bar.middle))], INK, 0.9)
    for letter, bar in bars.items():
        rated = letter == content.rating
        sketch.box(replace(bar, radius=bar.height / 4), PALETTE[letter][0], INK if rated else None, 1.4 if rated else 0.0)
        room = Box(bar.x + bar.height * 0.45, bar.y, bar.height * 1.2, bar.height)
        sketch.text(Slot(room, scale.letter, _SMALLEST_LETTER, bold=True, colour=PALETTE[letter][1]), letter)
    if content.rating is None:
        sketch.box(scale.unrated.box, WHITE, GREY, 1.0, dashed=True)
        sketch.text(replace(scale.unrated, box=scale.unrated.box.inset(scale.unrated.box.radius)), NOT_RATED)
        return
    _arrow(sketch, content, scale, bars[content.rating].middle)
    if content.rating_range and len(set(content.rating_range)) > 1:
        best, worst = (bars[letter].middle for letter in content.rating_range)
        left, right = scale.bracket.x, scale.bracket.right
        reach = bars["A"].height * 0.3
        corners = [(right, best - reach), (left, best - reach), (left, worst + reach), (right, worst + reach)]
        sketch.lines(pairwise(corners), INK, 1.2)


def _arrow(sketch: Sketch, content: LabelContent, scale: ScaleBoxes, middle: float) -> None:
    box = replace(scale.arrow, y=middle - scale.arrow.height / 2)
    tip = box.height * 0.42
    outline = [(box.x, middle), (box.x + tip, box.y), (box.right, box.y), (box.right, box.bottom), (box.x + tip, box.bottom)]
    sketch.polygon(outline, INK)
    room = Box(box.x + tip, box.y, box.width - tip * 1.5, box.height)
    letter = Slot(room, scale.arrow_letter, _SMALLEST_LETTER, bold=True, colour=WHITE, align="centre")
    if content.provenance == "estimated":
        half = room.width * 0.5
        sketch.text(replace(letter, box=replace(room, width=half)), str(content.rating))
        beside = Box(room.x + half, room.y, half, room.height)
        sketch.text(Slot(beside, scale.arrow_letter * 0.36, 4, bold=True, colour=WHITE, align="centre"), ESTIMATED)
    else:
        sketch.text(letter, str(content.rating))


def provenance_mark(sketch: Sketch, boxes: EnergyBoxes, provenance: Provenance) -> None:
    """Draw the word MEASURED on a solid field, EXTERNAL on an outlined, ESTIMATED on a hatched one."""
    box = boxes.provenance.box
    word = provenance.upper()
    if provenance == "measured":
        sketch.box(box, INK)
        sketch.text(boxes.provenance, word, WHITE)
        return
    sketch.box(box, WHITE, INK, 1.0, dashed=provenance == "estimated")
    if provenance == "estimated":
        edge = box.height * 0.4
        for x in (box.x, box.right - edge):
            sketch.hatch(Box(x, box.y, edge, box.height), INK, 0.8, 2.4)
        panel = boxes.panel
        sketch.hatch(Box(panel.x, panel.y, panel.width, edge * 0.6), INK, 0.8, 2.8)
        box = Box(box.x + edge, box.y, box.width - 2 * edge, box.height)
    sketch.text(replace(boxes.provenance, box=box), word)


def draw_tile(sketch: Sketch, tile: Tile, boxes: TileBoxes) -> None:
    """Draw one rated group of metrics."""
    sketch.box(boxes.panel, PANEL)
    fill, colour = PALETTE[tile.letter] if tile.letter else (WHITE, GREY)
    sketch.box(boxes.block, fill, None if tile.letter else GREY, 0.0 if tile.letter else 0.7, dashed=not tile.letter)
    notes = [ESTIMATED] if tile.estimated and tile.measured else []
    notes += [f"or {tile.could_be}"] if tile.could_be else []
    sketch.text(boxes.letter_left if notes else boxes.letter, tile.letter or DASH, colour)
    if len(notes) == 1:
        first, second = (slot.box for slot in boxes.beside)
        both = Box(first.x, first.y, first.width, second.bottom - first.y)
        sketch.text(replace(boxes.beside[0], box=both), notes[0], colour)
    else:
        for slot, note in zip(boxes.beside, notes, strict=False):
            sketch.text(slot, note, colour)
    if ESTIMATED in notes:
        sketch.hatch(Box(boxes.block.right, boxes.block.y, boxes.block.width * 0.08, boxes.block.height), INK, 0.8, 2.4)
    sketch.pictogram(tile.pictogram, boxes.pictogram, INK)
    sketch.text(
        boxes.value if tile.measured else replace(boxes.value, bold=False), tile.value_text, None if tile.measured else GREY
    )
    sketch.text(boxes.name, tile.name)
    if boxes.index and tile.index:
        sketch.text(boxes.index, tile.index)
    if boxes.bounds and tile.class_text:
        sketch.text(boxes.bounds, tile.class_text)
