"""Fitting any text into any box."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.label.numbers import number
from mlee.label.text import (
    ASCENT,
    DESCENT,
    ELLIPSIS,
    UNKNOWN,
    Fitted,
    baselines,
    clean,
    fit,
    plain,
    width,
    wrap,
)

#: A font of half an em a character, and of a few only.
WIDTHS = dict.fromkeys("abcdefghijklmnopqrstuvwxyz ABCDEF0123456789-_.,<>&\"'…µé\xa0", 0.5)
ANY = st.text(st.characters(exclude_categories=()), max_size=80)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  one\ttwo\nthree  ", "one two three"),
        ("50\u202f000", "50\xa0000"),
        ("e\u0301", "é"),
        ("μ", "µ"),
        ("ﬁ", "fi"),
        ("A\u030a", "A"),  # the font lacks Å
        ("re\u202ever", "rever"),
        ("a\x1bb", f"a{UNKNOWN}b"),
        ("\ud800", UNKNOWN),
        ("\ufffe", UNKNOWN),
        ("\u202e", UNKNOWN),
        ("模", "模"),
        ("<b>&\"'", "<b>&\"'"),
    ],
)
def test_clean_keeps_what_can_be_seen_and_marks_what_cannot(text: str, shown: str) -> None:
    assert clean(text, WIDTHS) == shown


@given(ANY)
def test_cleaned_text_is_never_empty_and_holds_nothing_that_acts(text: str) -> None:
    shown = clean(text, WIDTHS)
    assert shown
    assert shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs"}
    assert clean(shown, WIDTHS) == shown


@given(ANY, st.floats(20, 300), st.floats(8, 60), st.floats(5, 40), st.integers(1, 4))
def test_fitted_text_stays_in_its_room(text: str, room_width: float, room_height: float, size: float, lines: int) -> None:
    fitted = fit(text, WIDTHS, room=(room_width, room_height), size=size, smallest=4, lines=lines)
    assert 1 <= len(fitted.lines) <= lines
    assert 0 < fitted.size <= size
    assert all(fitted.lines)
    for line in fitted.lines:
        assert width(line, WIDTHS) * fitted.size <= room_width + 1e-6
    places = baselines(fitted, 0, room_height)
    assert places[0] - ASCENT * fitted.size >= -0.05 * fitted.size
    assert places[-1] + DESCENT * fitted.size <= room_height + 1e-6


@given(st.text("abc -_", min_size=1, max_size=60), st.floats(1, 20))
def test_wrapping_loses_nothing_but_spaces(text: str, room: float) -> None:
    lines = wrap(text, WIDTHS, room)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_text_shrinks_then_wraps_then_ends_with_an_ellipsis() -> None:
    def fitted(text: str) -> Fitted:
        return fit(text, WIDTHS, room=(100, 30), size=20, smallest=8, lines=2)

    assert fitted("short") == Fitted(20, ("short",))
    assert fitted("a" * 20) == Fitted(10, ("a" * 20,))
    assert fitted("efficient net of a long name") == Fitted(12.5, ("efficient net of", "a long name"))
    last = fitted("a" * 100)
    assert last.size == 8
    assert last.lines == ("a" * 25, "a" * 24 + ELLIPSIS)


def test_numbers_are_short_and_have_no_exponent() -> None:
    assert [number(value) for value in (12.0, 0.999, -0.001, 1.25, 1e-9)] == ["12", "1", "0", "1.25", "0"]


@given(ANY)
def test_plain_text_can_stand_in_any_file(text: str) -> None:
    assert len(plain(text, 10)) <= 10
    plain(text).encode("utf-8")
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in plain(text))
