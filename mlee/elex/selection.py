"""Which rows a view shows, and their numbers on the two axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.assess.table import COUNT, STANDARD_ERROR, UNCERTAINTY
from mlee.assess.uncertainty import half_width
from mlee.elex.data import Explored, RatingChoice
from mlee.elex.state import View
from mlee.errors import MleeError

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Selection:
    """The rows of a view (n,), in the order of the table, and how they are rated."""

    data: Explored
    view: View
    rated: Rated
    rows: Whole
    notices: tuple[str, ...] = ()

    @cached_property
    def models(self) -> list[str]:
        """Names (n,)."""
        return [self.data.models[row] for row in self.rows]

    @cached_property
    def environments(self) -> list[str]:
        """Environments (n,)."""
        return [str(name) for name in self.rated.table["environment"].to_numpy(dtype=object)[self.rows]]

    @cached_property
    def ids(self) -> list[str]:
        """Short digests (n,)."""
        return [self.data.ids[row] for row in self.rows]

    @cached_property
    def compound(self) -> npt.NDArray[np.int8]:
        """Compound ratings (n,), -1 where there is none."""
        return self.rated.compound[self.rows]

    @cached_property
    def estimated(self) -> npt.NDArray[np.bool_]:
        """Whether the energy was not measured (n,)."""
        provenance = self.rated.table["provenance"].to_numpy(dtype=object)[self.rows]
        return np.array([name not in ("measured", None) and name == name for name in provenance], dtype=bool)

    @cached_property
    def is_reference(self) -> npt.NDArray[np.bool_]:
        """Whether a row is its group's reference model (n,)."""
        reference = self.rated.table["reference"].to_numpy(dtype=object)[self.rows]
        return np.array([name == model for name, model in zip(reference, self.models, strict=True)], dtype=bool)

    def metric(self, key: str) -> Metric:
        """Return a metric with the weight of this view."""
        return self.rated.metrics[self.rated.position(key)]

    def axis(self, key: str) -> Floats:
        """Values in SI units or indices (n,), as the view's scale says; NaN where missing or not drawable."""
        if self.view.scale == "index":
            found = self.rated.index[self.rows, self.rated.position(key)]
        else:
            found = self.rated.table[key].to_numpy(dtype=float)[self.rows]
        return np.where(np.isfinite(found), found, np.nan)

    def bars(self, key: str) -> tuple[Floats, Floats] | None:
        """Distances (n,) down and up to the ends of the 95 % interval, `None` where no row has one."""
        centre = self.axis(key)
        if self.view.scale == "index":
            column = self.rated.position(key)
            down = centre - self.rated.index_low[self.rows, column]
            up = self.rated.index_high[self.rows, column] - centre
        else:
            down = up = self._half_widths(key)
        down, up = (np.where(np.isfinite(part) & (part > 0), part, np.nan) for part in (down, up))
        return None if np.isnan(down).all() and np.isnan(up).all() else (down, up)

    def _half_widths(self, key: str) -> Floats:
        table = self.rated.table
        errors = table.get(key + STANDARD_ERROR)
        unsure = table.get(key + UNCERTAINTY)
        counts = table.get(key + COUNT, table["n"]).to_numpy()[self.rows]
        found = np.full(len(self.rows), np.nan)
        if errors is not None:
            found = half_width(errors.to_numpy(dtype=float)[self.rows], counts)
        if unsure is not None:
            found = np.fmax(found, unsure.to_numpy(dtype=float)[self.rows])
        return found


def select(data: Explored, view: View) -> Selection:
    """Choose and rate; a rating that is not possible falls back to the default one, with a notice."""
    rated, notices = rate_or_default(data, view.rating)
    by_environment = data.choices[view.task, view.dataset].rows
    chosen = [by_environment[name] for name in view.environments]
    rows = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.intp)
    if view.models:
        rows = np.array([row for row in rows if matches(data.models[row], view.models)], dtype=np.intp)
    return Selection(data, view, rated, rows, notices)


def rate_or_default(data: Explored, choice: RatingChoice) -> tuple[Rated, tuple[str, ...]]:
    """Rate as chosen, or with the default rating and the reason as a notice."""
    try:
        return data.rated(choice), ()
    except MleeError as error:
        mend = f" {error.hint[:1].upper()}{error.hint[1:]}." if error.hint and "--" not in error.hint else ""
        return data.rated(RatingChoice()), (f"{error.message}{mend} Rated with the default settings instead.",)


def matches(name: str, words: str) -> bool:
    """Whether a name contains any of the words, ignoring case and punctuation; no words match everything."""
    plain = _plain(name)
    wanted = [_plain(word) for word in re.split(r"[,;\s]+", words)]
    return not any(wanted) or any(word and word in plain for word in wanted)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def pareto_front(x: Floats, y: Floats, x_higher: bool, y_higher: bool) -> Whole:
    """Positions of the points that no other beats on both axes, ordered by x; points without a value are never in it."""
    known = np.flatnonzero(~(np.isnan(x) | np.isnan(y)))
    first = x[known] if x_higher else -x[known]
    second = y[known] if y_higher else -y[known]
    front: list[int] = []
    best = -np.inf
    for position in np.lexsort((-second, -first)):
        if second[position] > best:
            best = second[position]
            front.append(int(known[position]))
    return np.array(sorted(front, key=lambda n: x[n]), dtype=np.intp)


def spread_of(values: Sequence[float]) -> tuple[float, float] | None:
    """Smallest and largest finite value, `None` where there is none."""
    known = [value for value in values if np.isfinite(value)]
    return (min(known), max(known)) if known else None
