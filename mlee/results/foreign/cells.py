"""Columns of a table of unknown origin: texts and numbers, with the place of each row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlee.errors import ResultError

Floats = npt.NDArray[np.float64]

#: The square of a larger value is close to infinity; nothing that is measured comes near.
MAX_VALUE = 1e100
_MISSING = {"", "nan", "none", "null", "na", "n/a", "n.a.", "<na>"}
_NAMED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The columns a reader asked for, as far as the table has them."""

    path: Path
    word: str  # "line" or "row"
    places: list[int]
    texts: dict[str, list[str]]
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.places)

    def at(self, index: int) -> str:
        """Name file and place of a row."""
        return f"{self.path}, {self.place(index)}"

    def place(self, index: int) -> str:
        """Name the place of a row within its file."""
        return f"{self.word} {self.places[index]}"

    def text(self, column: str) -> list[str]:
        """Return a column of texts; all empty where the table lacks it."""
        return self.texts.get(column) or [""] * len(self)

    def first_of(self, columns: Sequence[str]) -> list[str]:
        """Return in each row the first text that is not empty among some columns, or an empty one."""
        present = [self.texts[column] for column in columns if column in self.texts]
        return [next(filter(None, row), "") for row in zip(*present, strict=True)] if present else [""] * len(self)

    def numbers(self, column: str) -> Floats:
        """Return a column of numbers, all NaN where the table lacks it; raises `ResultError` for one that is not finite."""
        if column not in self.values:
            return np.full(len(self), math.nan)
        values = self.values[column]
        self.refuse(column, values, np.isinf(values), "is not finite", "leave the cell empty if there is no value")
        self.refuse(column, values, np.abs(values) > MAX_VALUE, "is too large")
        return values

    def refuse(self, column: str, values: Floats, bad: npt.NDArray[np.bool_], why: str, hint: str | None = None) -> None:
        """Raise `ResultError` naming the place of the first bad value, if there is one."""
        if bad.any():
            index = int(np.argmax(bad))
            raise ResultError(f"{self.at(index)}, column {column}: {values[index]:g} {why}.", hint)

    def select(self, indices: Sequence[int]) -> Cells:
        """Keep some rows, in the order of `indices`."""
        texts = {name: [column[index] for index in indices] for name, column in self.texts.items()}
        values = {name: column[list(indices)] for name, column in self.values.items()}
        return Cells(self.path, self.word, [self.places[index] for index in indices], texts, values)


def parse_numbers(texts: Sequence[str], column: str, path: Path, word: str, places: Sequence[int]) -> Floats:
    """Turn texts into numbers, missing ones into NaN; raises `ResultError` naming the place of what is neither."""
    try:
        if "_" not in "".join(texts):  # Python reads 1_000 as a number, other programs do not
            return np.array(list(map(float, [text or "nan" for text in texts])), dtype=np.float64)
    except ValueError:
        pass
    return np.array(
        [_number(text, f"{path}, {word} {place}, column {column}") for text, place in zip(texts, places, strict=True)],
        dtype=np.float64,
    )


def _number(text: str, where: str) -> float:
    if text.strip().lower() in _MISSING:
        return math.nan
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    hint = "write a decimal point, and no separator of thousands" if "," in text else None
    raise ResultError(f"{where}: {text[:40]!r} is not a number.", hint)


def listed(names: Iterable[str]) -> str:
    """Name a few and count the rest."""
    every = list(names)
    rest = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + rest
