"""The one-line badge for README files: the letter, and the range it comes from."""

from __future__ import annotations

from typing import Any

from mlee.label.content import LETTERS, NOT_RATED, LabelContent
from mlee.label.draw_parts import ESTIMATED, bars_mark
from mlee.label.draw_sketch import Sketch
from mlee.label.layout import INK, PALETTE, PANEL, Box
from mlee.label.layout_badge import Badge

_NAME = "ML energy"


def draw_badge(content: LabelContent, badge: Badge) -> Any:
    """Draw the badge as a reportlab `Drawing` [pt]."""
    sketch = Sketch(badge.width, badge.height)
    sketch.box(Box(0, 0, badge.width, badge.height), PANEL)
    sketch.box(badge.name_field, INK)
    bars_mark(sketch, badge.mark)
    sketch.text(badge.name, _NAME)
    if content.rating is None:
        sketch.text(badge.unrated, NOT_RATED)
    else:
        fill, colour = PALETTE[content.rating]
        sketch.box(badge.letter_field, fill)
        if content.provenance == "estimated":
            sketch.text(badge.letter_estimated, content.rating, colour)
            sketch.text(badge.estimated, ESTIMATED, colour)
        else:
            sketch.text(badge.letter, content.rating, colour)
        sketch.text(badge.range, f"{LETTERS[0]}\N{EN DASH}{LETTERS[-1]}")
    return sketch.drawing
