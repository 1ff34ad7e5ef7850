"""What an energy label says: every value already written for people, nothing left to compute."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from mlee.units import NOT_MEASURED

Letter = Literal["A", "B", "C", "D", "E"]
Task = Literal["inference", "training"]
Provenance = Literal["measured", "estimated", "external"]
Pictogram = Literal["energy", "time", "accuracy", "size"]

LETTERS: tuple[Letter, ...] = get_args(Letter)
#: The order in which a label shows its tiles.
PICTOGRAMS: tuple[Pictogram, ...] = get_args(Pictogram)
NOT_RATED = "not rated"
MAX_URL = 300  # characters; a longer one makes a QR code too fine to read from paper
MAX_FOOT_LINES = 6

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One rated group of metrics: its name, its values as text, and its class.

    `values` holds one or two texts; `None` reads "not measured". `could_be` is the other class the uncertainty allows.
    """

    pictogram: Pictogram
    name: str  # "Time per image"
    values: tuple[str | None, ...]  # ("1.65 ms",) or ("73.4 %", "91.1 %")
    letter: Letter | None = None
    could_be: Letter | None = None
    index: str | None = None  # "1.15 x ResNet101"
    bounds: str | None = None  # "B: 1.14 to 1.81"
    estimated: bool = False

    def __post_init__(self) -> None:
        _one_of("pictogram", self.pictogram, PICTOGRAMS)
        _text("name", self.name)
        if not 1 <= len(self.values) <= 2:
            raise ValueError(f"values must hold one or two texts, not {len(self.values)}")
        for value in self.values:
            _text("values", value, optional=True)
        _one_of("letter", self.letter, (*LETTERS, None))
        _one_of("could_be", self.could_be, (*LETTERS, None))
        if self.could_be is not None and self.letter in (None, self.could_be):
            raise ValueError(f"could_be must be another class than letter, not {self.could_be!r} beside {self.letter!r}")
        _text("index", self.index, optional=True)
        _text("bounds", self.bounds, optional=True)

    @property
    def measured(self) -> bool:
        """Tell whether there is any value."""
        return any(value is not None for value in self.values)

    @property
    def value_text(self) -> str:
        """Write the values on one line; "not measured" stands for what is missing."""
        if not self.measured:
            return NOT_MEASURED
        return " / ".join(NOT_MEASURED if value is None else value for value in self.values)

    @property
    def class_text(self) -> str:
        """Write the bounds of the class, or that there is none."""
        return self.bounds or ("" if self.letter else NOT_RATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelContent:
    """Everything a label shows, as text; the same for every variant and format."""

    task: Task
    model: str
    dataset: str
    hardware: str
    software: str
    rating: Letter | None  # None: not rated
    rating_range: tuple[Letter, Letter] | None = None  # best and worst class over the repeats
    energy_value: str | None  # "0.78"
    energy_unit: str = "J"
    energy_uncertainty: str | None = None  # "± 0.03 J"
    energy_per: str  # "per image", "per epoch"
    energy_total: str | None = None  # "31.2 kWh for 90 epochs, extrapolated"
    provenance: Provenance | None
    sensors: str | None = None  # "NVML, 8 GPUs"
    not_included: str | None = None  # "CPU not measured"
    tiles: tuple[Tile, Tile, Tile, Tile]  # energy, time, accuracy, size
    foot: tuple[str, ...] = ()
    url: str  # of the result's page; printed as QR code
    short_url: str
    digest: str
    title: str
    language: str = "en"

    def __post_init__(self) -> None:
        _one_of("task", self.task, get_args(Task))
        for field in (
            "model",
            "dataset",
            "hardware",
            "software",
            "energy_unit",
            "energy_per",
            "short_url",
            "digest",
            "title",
        ):
            _text(field, getattr(self, field))
        for field in ("energy_value", "energy_uncertainty", "energy_total", "sensors", "not_included"):
            _text(field, getattr(self, field), optional=True)
        self._check_rating()
        self._check_energy()
        if tuple(tile.pictogram for tile in self.tiles) != PICTOGRAMS:
            raise ValueError(f"tiles must be {', '.join(PICTOGRAMS)}, not {[tile.pictogram for tile in self.tiles]}")
        if self.tiles[0].estimated != (self.provenance == "estimated"):
            raise ValueError(f"tiles: energy is {self.provenance}, but its tile says estimated={self.tiles[0].estimated}")
        if len(self.foot) > MAX_FOOT_LINES:
            raise ValueError(f"foot must hold at most {MAX_FOOT_LINES} lines, not {len(self.foot)}")
        for line in self.foot:
            _text("foot", line)
        if not _URL.fullmatch(self.url) or len(self.url) > MAX_URL:
            raise ValueError(
                f"url must be an absolute, percent-encoded address of at most {MAX_URL} characters: {self.url!r}"
            )
        if not _LANGUAGE.fullmatch(self.language):
            raise ValueError(f"language must be a tag such as 'en' or 'pt-BR', not {self.language!r}")

    def _check_rating(self) -> None:
        _one_of("rating", self.rating, (*LETTERS, None))
        if self.rating_range is None:
            return
        if len(self.rating_range) != 2:
            raise ValueError(f"rating_range must be (best, worst), not {self.rating_range!r}")
        for letter in self.rating_range:
            _one_of("rating_range", letter, LETTERS)
        best, worst = self.rating_range
        if self.rating is None or not best <= self.rating <= worst:
            raise ValueError(f"rating_range {best} to {worst} does not hold the rating {self.rating}")

    def _check_energy(self) -> None:
        _one_of("provenance", self.provenance, (*get_args(Provenance), None))
        if (self.energy_value is None) != (self.provenance is None):
            raise ValueError(f"provenance {self.provenance!r} does not go with energy_value {self.energy_value!r}")
        if self.energy_value is None and (self.energy_uncertainty or self.energy_total):
            raise ValueError("energy_value is missing, but energy_uncertainty or energy_total is given")

    @property
    def description(self) -> str:
        """Say in sentences what the label shows, for those who cannot see it."""
        energy, per = NOT_MEASURED, self.energy_per
        if self.energy_value is not None:
            energy = " ".join(
                filter(None, (self.energy_value, self.energy_unit, self.energy_uncertainty, per, self.provenance))
            )
        rating = f"rated {self.rating} on a scale from A (best) to E (worst)" if self.rating else NOT_RATED
        if self.rating_range:
            rating += f", {self.rating_range[0]} to {self.rating_range[1]} over repeated runs"
        scope = ", ".join(filter(None, (self.sensors, self.not_included)))
        parts = [
            f"{self.model}, {self.task}, {self.dataset}, on {self.hardware} with {self.software}: {rating}",
            f"Energy: {energy}" + (f" ({scope})" if scope else ""),
            self.energy_total or "",
        ]
        for tile in self.tiles:
            letter = f"class {tile.letter}" if tile.letter else NOT_RATED
            doubt = (", could be " + tile.could_be) if tile.could_be else ""
            parts.append(f"{tile.name}: {tile.value_text}, {letter}{' (estimated)' if tile.estimated else ''}{doubt}")
        return ". ".join(part for part in parts if part) + "."


def _one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{field} must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def _text(field: str, value: object, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} must be a text that is not blank, not {value!r}")
