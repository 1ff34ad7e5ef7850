"""How long a study will take, from the runs that have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mlee.sweep.plan import Run
from mlee.sweep.study import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Time that is left [s], `None` where nothing is known; of `runs` left, `known` ran before in the same way."""

    seconds: float | None
    runs: int
    known: int


def estimate(
    runs: Sequence[Run], ended: Mapping[int, Ended], cool_down_s: float, left: Sequence[Run] | None = None
) -> Estimate:
    """Estimate the runs that are left: as long as others of their kind, else as long as the median of all.

    Left are those that are not complete, unless `left` says which.
    """
    kinds: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        end = ended.get(run.number)
        if end is not None and end.complete and end.seconds > 0:
            kinds.setdefault(run.kind, []).append(end.seconds)
    if left is None:
        left = [run for run in runs if run.number not in ended or not ended[run.number].complete]
    known = sum(run.kind in kinds for run in left)
    if not kinds:
        return Estimate(seconds=None if left else 0.0, runs=len(left), known=0)
    typical_s = median(fmean(seconds) for seconds in kinds.values())
    seconds = sum(fmean(kinds[run.kind]) if run.kind in kinds else typical_s for run in left)
    return Estimate(seconds=seconds + cool_down_s * max(0, len(left) - 1), runs=len(left), known=known)
