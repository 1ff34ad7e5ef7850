"""How long a study will take, from the runs that have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mlee.sweep.plan import Run
from mlee.sweep.study import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Time that is left [s], `None` where nothing is known; of `runs` left, `known` ran before in the same way.

    `parallel` of them run at a time.
    """

    seconds: float | None
    runs: int
    known: int
    parallel: int = 1


def estimate(
    runs: Sequence[Run],
    ended: Mapping[int, Ended],
    cool_down_s: float,
    left: Sequence[Run] | None = None,
    parallel: int = 1,
) -> Estimate:
    """Estimate the runs that are left: as long as others of their kind, else as long as the median of all.

    Left are those that are not complete, unless `left` says which; up to `parallel` run at a time.
    """
    kinds: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        end = ended.get(run.number)
        if end is not None and end.complete and end.seconds > 0 and not end.went_on:
            kinds.setdefault(run.kind, []).append(end.seconds)
    if left is None:
        left = [run for run in runs if run.number not in ended or not ended[run.number].complete]
    parallel = max(1, min(parallel, len(left)))
    known = sum(run.kind in kinds for run in left)
    if not kinds:
        return Estimate(seconds=None if left else 0.0, runs=len(left), known=0, parallel=parallel)
    typical_s = median(fmean(seconds) for seconds in kinds.values())
    each = [fmean(kinds[run.kind]) if run.kind in kinds else typical_s for run in left]
    # However many run at a time, the longest takes as long as it takes.
    seconds = max(sum(each) / parallel, max(each, default=0.0)) + cool_down_s * max(0, len(left) - 1)
    return Estimate(seconds=seconds, runs=len(left), known=known, parallel=parallel)
