"""Fitting any text into a box: clean it, shrink it, wrap it, and only then cut it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

#: Widths of characters in em, of those a font can draw.
Widths = Mapping[str, float]

ELLIPSIS = "…"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
ASCENT, CAP_HEIGHT, DESCENT = 0.77, 0.729, 0.24  # of Bitstream Vera, in em
LEADING = 1.18  # from one line to the next, in em
MISSING_WIDTH, WIDE_WIDTH = 0.6, 1.0  # of a character the font cannot draw, in em

_MAX_LENGTH = 600  # characters; nothing longer fits, and wrapping it would only take time
_SIZE_STEP = 0.25  # pt
_SAME = str.maketrans({"μ": "µ", "\u202f": "\xa0", "\u2007": "\xa0", "\u2010": "-", "\u2011": "-", "\u2212": "-"})
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAK_AFTER = frozenset(" -_/,;:|+")


@dataclass(frozen=True, slots=True)
class Fitted:
    """Lines that fit, and their size [pt]."""

    size: float
    lines: tuple[str, ...]


def clean(text: str, widths: Widths) -> str:
    """Make `text` drawable on one line, so that nothing vanishes or acts in secret.

    White space becomes a space; control characters, lone surrogates and direction marks become the replacement character
    or go where they have no shape; what the font lacks becomes what it has where Unicode calls the two compatible.
    """
    composed = unicodedata.normalize("NFC", text[:_MAX_LENGTH]).translate(_SAME)
    shown = "".join(char if char in widths else _drawable(char, widths) for char in composed)
    return " ".join(part for part in shown.split(" ") if part) or UNKNOWN


def plain(text: str, longest: int = 1500) -> str:
    """Make `text` fit for the properties of a file: no control characters, at most `longest` characters."""
    shown = _UNPRINTABLE.sub(UNKNOWN, text)
    return shown if len(shown) <= longest else shown[: longest - 1] + ELLIPSIS


def _drawable(char: str, widths: Widths) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category == "Cf" or "\ufe00" <= char <= "\ufe0f":  # joiners, marks of direction, variation selectors
        return ""
    if category in ("Cc", "Cs") or (category == "Cn" and ord(char) & 0xFFFE == 0xFFFE) or "\ufdd0" <= char <= "\ufdef":
        return UNKNOWN
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    return plain if plain and all(part in widths for part in plain) else char


def advance(char: str, widths: Widths) -> float:
    """Width of one character in em."""
    known = widths.get(char)
    if known is not None:
        return known
    return WIDE_WIDTH if unicodedata.east_asian_width(char) in "WF" else MISSING_WIDTH


def width(text: str, widths: Widths) -> float:
    """Width of a cleaned text in em."""
    try:
        return sum([widths[char] for char in text])
    except KeyError:
        return sum([advance(char, widths) for char in text])


def fit(text: str, widths: Widths, *, room: tuple[float, float], size: float, smallest: float, lines: int = 1) -> Fitted:
    """Fit `text` into `room` (width, height) [pt] at most `size` [pt] large, on at most `lines` lines.

    It shrinks to `smallest`, then wraps at the largest size its lines allow, then ends with an ellipsis.
    """
    text = clean(text, widths)
    one = _floor(min(size, room[1] / _em_height(1), room[0] / width(text, widths)))
    if one >= smallest:
        return Fitted(one, (text,))
    for count in range(2, lines + 1):
        largest = _floor(min(size, room[1] / _em_height(count)))
        steps = int((largest - smallest) / _SIZE_STEP + 1e-6)
        for step in range(steps + 1):
            trial = largest - step * _SIZE_STEP
            wrapped = wrap(text, widths, room[0] / trial)
            if len(wrapped) <= count:
                return Fitted(trial, tuple(wrapped))
    final = min(smallest, room[1] / _em_height(lines))
    starts = _line_starts(text, widths, room[0] / final)
    shown = _lines(text, starts[:lines])
    if len(starts) > lines:
        shown[-1] = _cut(text[starts[lines - 1] :], widths, room[0] / final)
    return Fitted(final, tuple(shown))


def wrap(text: str, widths: Widths, room_em: float) -> list[str]:
    """Break a cleaned text into lines of at most `room_em`: after spaces and hyphens, inside a word where it is too long."""
    return _lines(text, _line_starts(text, widths, room_em))


def _line_starts(text: str, widths: Widths, room_em: float) -> list[int]:
    starts, used, break_at, position = [0], 0.0, 0, 0
    while position < len(text):
        char = text[position]
        step = advance(char, widths)
        if used + step > room_em and position > starts[-1] and char != " ":
            starts.append(break_at if break_at > starts[-1] else position)
            used = width(text[starts[-1] : position], widths)
            continue
        used += step
        position += 1
        if char in _BREAK_AFTER:
            break_at = position
    return starts


def _lines(text: str, starts: list[int]) -> list[str]:
    return [text[start:end].strip(" ") for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def baselines(fitted: Fitted, top: float, height: float) -> list[float]:
    """Distances of the baselines from where `top` is counted, with the block of lines centred in `height` [pt]."""
    block = (len(fitted.lines) - 1) * LEADING + CAP_HEIGHT
    first = top + height / 2 + (CAP_HEIGHT - block / 2) * fitted.size
    return [first + number * LEADING * fitted.size for number in range(len(fitted.lines))]


def _cut(text: str, widths: Widths, room_em: float) -> str:
    used = width(ELLIPSIS, widths)
    kept = 0
    for char in text:
        used += advance(char, widths)
        if used > room_em:
            break
        kept += 1
    return text[:kept].rstrip(" ") + ELLIPSIS


def _em_height(lines: int) -> float:
    """Height that `lines` lines need in em, when they are centred by their capitals."""
    return (lines - 1) * LEADING + CAP_HEIGHT + 2 * DESCENT


def _floor(size: float) -> float:
    return int(size / _SIZE_STEP) * _SIZE_STEP
