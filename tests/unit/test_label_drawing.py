"""The drawing: nothing overlaps, nothing leaves the page, nothing looks measured that is not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reportlab.graphics.shapes import Path, Rect, String

from mlee.label import LabelContent, Tile, Variant
from mlee.label.content import LETTERS, PICTOGRAMS
from mlee.label.draw import build
from mlee.label.draw_fonts import load
from mlee.label.layout import Box, Slot
from mlee.label.layout_badge import BADGE
from mlee.label.layout_compact import COMPACT
from mlee.label.layout_full import FULL
from mlee.label.text import ASCENT, DESCENT, width
from tests.unit.test_label_content import estimated, missing, sample

VARIANTS: tuple[Variant, ...] = ("full", "compact", "badge")
TOUCHING = 0.3  # pt

LONG = 'a very long name that never ends, with <b>markup</b> & "quotes", ' * 4
HOSTILE = (
    *(
        "x",
        "W" * 30,
        "NoSpaces" * 25,
        LONG,
        "模型🚀\u03b1→\u03b2",
        "שלום مرحبا",
        "👨\u200d👩\u200d👧",
        "<b>&\"'",
        "a\x00\x1b\u202e\nb",
        "\ud800",
    ),
    *("i" * 200, "a-b_c/d" * 40, "\u0301\u0301", "]]>", "Å Ŕ ő", "½ µ ±"),
)
TEXT = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=40).filter(str.strip)
MAYBE = st.none() | TEXT
LETTER = st.sampled_from(LETTERS)


@st.composite
def contents(draw: st.DrawFn) -> LabelContent:
    provenance = draw(st.sampled_from(("measured", "estimated", "external", None)))
    rating = draw(st.none() | LETTER)
    tiles = []
    for kind in PICTOGRAMS:
        letter = draw(st.none() | LETTER)
        other = draw(st.none() | LETTER)
        tiles.append(
            Tile(
                pictogram=kind,
                name=draw(TEXT),
                values=tuple(draw(st.lists(MAYBE, min_size=1, max_size=2))),
                letter=letter,
                could_be=None if letter in (None, other) else other,
                index=draw(MAYBE),
                bounds=draw(MAYBE),
                estimated=provenance == "estimated" if kind == "energy" else draw(st.booleans()),
            )
        )
    found = provenance is not None
    return sample(
        task=draw(st.sampled_from(("inference", "training"))),
        **{
            field: draw(TEXT)
            for field in ("model", "dataset", "hardware", "software", "energy_unit", "energy_per", "short_url")
        },
        **{field: draw(MAYBE) for field in ("sensors", "not_included")},
        rating=rating,
        rating_range=None
        if rating is None
        else (draw(LETTER.filter(lambda x: x <= rating)), draw(LETTER.filter(lambda x: x >= rating))),
        energy_value=draw(TEXT) if found else None,
        energy_uncertainty=draw(MAYBE) if found else None,
        energy_total=draw(MAYBE) if found else None,
        provenance=provenance,
        tiles=tuple(tiles),
        foot=tuple(draw(st.lists(TEXT, max_size=6))),
        digest=draw(TEXT),
        title=draw(TEXT),
    )


def strings(content: LabelContent, variant: Variant = "full") -> list[Any]:
    return [shape for shape in build(content, variant).contents if isinstance(shape, String)]


def texts(content: LabelContent, variant: Variant = "full") -> list[str]:
    return [shape.text for shape in strings(content, variant)]


def edges(shape: Any) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a text [pt]."""
    length = width(shape.text, load(shape.fontName).widths) * shape.fontSize
    return shape.x, shape.y - DESCENT * shape.fontSize, shape.x + length, shape.y + ASCENT * shape.fontSize


def check_geometry(content: LabelContent, variant: Variant) -> None:
    drawing = build(content, variant)
    places = [(shape.text, edges(shape)) for shape in drawing.contents if isinstance(shape, String)]
    for text, (left, bottom, right, top) in places:
        assert min(left, bottom) >= 0, text
        assert right <= drawing.width, text
        assert top <= drawing.height, text
    for (first, a), (second, b) in combinations(places, 2):
        across = min(a[2], b[2]) - max(a[0], b[0])
        up = min(a[3], b[3]) - max(a[1], b[1])
        assert across <= TOUCHING or up <= TOUCHING, f"{first!r} overlaps {second!r} by {across:.2f} x {up:.2f} pt"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("make", [sample, estimated, missing])
def test_texts_do_not_overlap_or_leave_the_page(make: Any, variant: Variant) -> None:
    check_geometry(make(), variant)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(contents(), st.sampled_from(VARIANTS))
def test_no_text_whatever_it_is_overlaps_or_leaves_the_page(content: LabelContent, variant: Variant) -> None:
    check_geometry(content, variant)


def slots(part: Any) -> list[Slot]:
    if isinstance(part, Slot):
        return [part]
    if isinstance(part, tuple):
        return [slot for item in part for slot in slots(item)]
    return [slot for field in fields(part) for slot in slots(getattr(part, field.name))] if is_dataclass(part) else []


@pytest.mark.parametrize("card", [FULL, COMPACT, BADGE], ids=VARIANTS)
def test_every_slot_can_hold_its_smallest_size(card: Any) -> None:
    for slot in slots(card):
        assert slot.smallest <= slot.size
        assert slot.box.height >= slot.smallest * (ASCENT + DESCENT), slot


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("variant", ["full", "compact"])
def test_a_strange_name_shows_something(text: str, variant: Variant) -> None:
    ordinary = texts(sample(model="M"), variant)
    strange = texts(sample(model=text), variant)
    assert [line for line in strange if line not in ordinary or line == "x"]


def test_shapes_are_vectors_only() -> None:
    for variant in VARIANTS:
        assert {type(shape) for shape in build(estimated(), variant).contents} <= {Rect, Path, String}


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("variant", ["full", "compact"])
def test_the_arrow_stands_beside_its_bar(letter: Any, variant: Variant) -> None:
    card = FULL if variant == "full" else COMPACT
    found = strings(sample(rating=letter, rating_range=None), variant)
    arrow = max((shape for shape in found if shape.text == letter), key=lambda shape: shape.fontSize)
    bar = card.scale.bars[LETTERS.index(letter)]
    middle = card.height - arrow.y - 0.729 / 2 * arrow.fontSize
    assert middle == pytest.approx(bar.middle, abs=0.01)
    assert arrow.x > card.scale.arrow.x


def test_the_largest_text_is_the_energy() -> None:
    assert max(strings(sample()), key=lambda shape: shape.fontSize).text == "0.78 J"
    assert max(strings(estimated(model="VGG16")), key=lambda shape: shape.fontSize).text == "0.78 J"


def test_provenance_is_said_in_words() -> None:
    assert "MEASURED" in texts(sample())
    assert "EXTERNAL" in texts(sample(provenance="external"))
    assert "ESTIMATED" in texts(estimated())
    for variant in VARIANTS:
        assert "est." in texts(estimated(), variant)
        assert "est." not in texts(sample(), variant)
    assert "or C" in texts(estimated())


def test_the_range_over_repeats_is_drawn_and_said() -> None:
    assert "Compound rating, B to C over repeats" in texts(sample())
    assert "Compound rating, B in all repeats" in texts(sample(rating_range=("B", "B")))
    bracketed, plain = (len(build(sample(rating_range=letters)).contents) for letters in (("B", "C"), None))
    assert bracketed == plain + 1


def test_what_is_missing_is_said_and_has_no_letter() -> None:
    shown = texts(missing())
    assert shown.count("not measured") == 1 + len(PICTOGRAMS)
    assert shown.count("\N{EN DASH}") == len(PICTOGRAMS)
    assert "not rated" in shown
    assert [line for line in shown if line in LETTERS] == list(LETTERS)  # the bars only
    assert "uncertainty not measured" in texts(sample(energy_uncertainty=None))
    assert "not rated" in texts(missing(), "badge")


def test_columns_share_a_size() -> None:
    sizes = {shape.fontSize for shape in strings(sample()) if shape.text in {"0.78 J", "1.65 ms", "73.4 % / 91.1 %"}}
    assert len(sizes) == 2  # of the tiles, and of the largest number
    tile = replace(sample().tiles[0], values=("a value so long that it must shrink a good deal",))
    others = strings(sample(tiles=(tile, *sample().tiles[1:])))
    assert next(shape.fontSize for shape in others if shape.text == "1.65 ms") >= 0.8 * FULL.tiles[0].value.size - 0.25


def test_the_qr_code_is_large_enough_to_scan() -> None:
    drawing = build(sample())
    assert FULL.header.qr is not None
    code = next(shape for shape in drawing.contents if isinstance(shape, Path) and len(shape.operators) > 500)
    left, right = min(code.points[::2]), max(code.points[::2])
    low, high = min(code.points[1::2]), max(code.points[1::2])
    assert (right - left) / 72 * 25.4 >= 18
    assert right - left == pytest.approx(high - low)
    module = min(b - a for a, b in zip(sorted(set(code.points[::2])), sorted(set(code.points[::2]))[1:], strict=False))
    box: Box = FULL.header.qr
    assert left - box.x == pytest.approx(4 * module)
    assert box.right - right == pytest.approx(4 * module)
