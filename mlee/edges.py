"""What an energy counter shows at the edge of a window: pure arithmetic.

A counter is a staircase: it stands still and jumps when the device updates it (a `Tick`), every millisecond (RAPL) to every
100 ms (NVML). Only at a tick is its value the true energy. Around each edge the counter is therefore watched until it has
ticked twice, and the energy at the edge follows from the ticks beside it and one assumption: between two ticks the power
changes at most once, from the power before to the power after. That is exact for a steady device and for one that starts or
ends its work anywhere in between; how far a straight line would lead elsewhere is the uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from mlee.readings import Channel, Reading

#: Over more periods than this, a reading need not be dated back to the tick it shows.
_MANY_PERIODS = 10
#: Two instants differ by whole periods up to this share of one: ticks are seen with the jitter of the looks at them.
_SAME_TICK = 0.1


class Tick(NamedTuple):
    """An update of a counter, seen to happen at `t_s` +/- `gap_s`/2; `energy_j` is exact at that instant."""

    t_s: float
    energy_j: float
    gap_s: float


@dataclass(frozen=True, slots=True)
class Edge:
    """A counter's energy [J] at one edge of a window.

    Its uncertainty is `unsure_j` plus the power at that time multiplied by `unsure_s`. An edge that was extrapolated
    forward keeps the `tick` it starts from, the power before it [W] and the counter's period [s].
    """

    t_s: float
    energy_j: float | None
    unsure_s: float = 0.0
    unsure_j: float = 0.0
    tick: Tick | None = None
    before_w: float = 0.0
    period_s: float = 0.0

    def step_unsure_j(self, mean_w: float, max_w: float | None) -> float:
        """Energy that an unseen change of power between tick and edge can hide [J]."""
        if self.tick is None:
            return 0.0
        change_w = max(abs(mean_w - self.before_w), abs((max_w or mean_w) - self.before_w))
        return (self.t_s - self.tick.t_s) * change_w


class TickWatch:
    """Finds the ticks of one counter in readings taken in quick succession."""

    #: A power from two ticks is only as sharp as their instants: they must be this many polls apart.
    POLLS_APART = 10

    def __init__(self) -> None:
        """Start without readings."""
        self.ticks: list[Tick] = []
        self._previous: Reading | None = None

    def add(self, reading: Reading) -> None:
        """Take the next reading and note the tick it reveals, if any."""
        previous, self._previous = self._previous, reading
        if previous is None or reading.energy_j is None or previous.energy_j is None:
            return
        if reading.energy_j < previous.energy_j:  # a reset: what was seen before belongs to another count
            self.ticks.clear()
        elif reading.energy_j > previous.energy_j:
            middle_s, gap_s = (previous.t_s + reading.t_s) / 2, reading.t_s - previous.t_s
            self.ticks.append(Tick(middle_s, reading.energy_j, gap_s))

    def after(self) -> tuple[Tick, Tick] | None:
        """Return the first tick and the next one far enough from it."""
        return self._pair(self.ticks)

    def before(self) -> tuple[Tick, Tick] | None:
        """Return the last tick and the latest one far enough before it, in time order."""
        pair = self._pair(self.ticks[::-1])
        return None if pair is None else (pair[1], pair[0])

    def _pair(self, ticks: list[Tick]) -> tuple[Tick, Tick] | None:
        for number, tick in enumerate(ticks):
            far = abs(tick.t_s - ticks[0].t_s) >= self.POLLS_APART * ticks[0].gap_s
            if number and (far or number >= self.POLLS_APART):
                return ticks[0], tick
        return None

    def period_s(self) -> float:
        """Return the usual time between two ticks [s]."""
        return median(later.t_s - earlier.t_s for earlier, later in pairwise(self.ticks))


def start_edge(channel: Channel, at_s: float, last: Reading, watch: TickWatch) -> Edge:
    """Energy of a counter at the start of a window, extrapolated forward from the latest tick before it.

    The power up to the start is the one between the ticks: exact when the device was steady (idle) until then, whatever
    happens afterwards.
    """
    if last.energy_j is None or channel.counter_period_s == 0:
        return Edge(at_s, last.energy_j)
    pair = watch.before()
    if pair is None:
        return _at_reading(channel, at_s, last)
    earlier, tick = pair
    before_w, age_s = _power_w(earlier, tick), at_s - tick.t_s
    return Edge(
        at_s,
        tick.energy_j + before_w * age_s,
        unsure_s=_instant_unsure_s(tick, earlier, age_s),
        unsure_j=channel.counter_resolution_j,
        tick=tick,
        before_w=before_w,
        period_s=watch.period_s(),
    )


def refined_start(edge: Edge, early: Sequence[Reading]) -> Edge:
    """Correct a start that was extrapolated, with the first readings after it, in case the power changed unseen.

    Several GPUs never tick together: for all but one of them a part of a period lies between the last tick and the start.
    """
    if edge.tick is None or edge.t_s - edge.tick.t_s < edge.period_s / 20:
        return edge
    ticks: list[Tick] = []
    for reading in early:
        dated = _dated(reading, edge.tick, edge.period_s)
        if dated is not None and dated.energy_j > (ticks[-1].energy_j if ticks else edge.tick.energy_j):
            ticks.append(dated)
    if len(ticks) < 2:
        return edge
    inside_j, unsure_j = _one_change(
        step_j=ticks[0].energy_j - edge.tick.energy_j,
        length_s=ticks[0].t_s - edge.tick.t_s,
        into_s=edge.t_s - edge.tick.t_s,
        before_w=edge.before_w,
        after_w=_power_w(ticks[0], ticks[1]),
    )
    if inside_j is None:
        return replace(edge, unsure_j=edge.unsure_j + unsure_j)
    energy_j = edge.tick.energy_j + inside_j
    return replace(edge, energy_j=energy_j, unsure_j=edge.unsure_j + abs(energy_j - (edge.energy_j or 0.0)))


def end_edge(channel: Channel, at_s: float, last: Reading, watch: TickWatch, recent: Iterable[Reading] = ()) -> Edge:
    """Energy of a counter at the end of a window.

    `last` is a reading at the end itself, `recent` are readings before it: the truth lies between the last tick before the
    end, whose energy `last` shows, and the first tick after it. Where a busy machine looked only after that one, the ticks
    tell, and what was drawn since the end is taken back.
    """
    if last.energy_j is None or channel.counter_period_s == 0:
        return Edge(at_s, last.energy_j)
    pair = watch.after()
    if pair is None or pair[0].energy_j < last.energy_j:
        return _at_reading(channel, at_s, last)
    tick, later = pair
    period_s, step_j = watch.period_s(), tick.energy_j - last.energy_j
    # A machine under load may look too late and see two updates as one.
    length_s = period_s * max(1, math.ceil((tick.t_s - last.t_s) / period_s - _SAME_TICK))
    before_w = _power_before(recent, last, tick, length_s, period_s)
    after_w = _power_w(tick, later)
    into_s = length_s - (tick.t_s - at_s)
    if into_s < -_SAME_TICK * period_s:
        # The look came after yet another update: its energy is that of an instant after the end.
        past_j = -into_s * after_w
        change_w = after_w if before_w is None else abs(before_w - after_w)
        return Edge(
            at_s,
            last.energy_j - past_j,
            unsure_s=_instant_unsure_s(tick, later, tick.t_s - at_s),
            unsure_j=channel.counter_resolution_j - into_s * change_w,
        )
    into_s = min(max(into_s, 0.0), length_s)
    straight_j = step_j * into_s / length_s
    inside_j, unsure_j = _one_change(
        step_j=step_j,
        length_s=length_s,
        into_s=into_s,
        before_w=before_w,
        after_w=after_w,
    )
    return Edge(
        at_s,
        last.energy_j + (straight_j if inside_j is None else inside_j),
        unsure_s=_instant_unsure_s(tick, later, tick.t_s - at_s),
        unsure_j=channel.counter_resolution_j + unsure_j,
    )


def _one_change(
    *, step_j: float, length_s: float, into_s: float, before_w: float | None, after_w: float
) -> tuple[float | None, float]:
    """Energy up to `into_s` of a stretch that took `step_j`, with one change of power in it, and its uncertainty [J].

    Where the power before is unknown or one change cannot explain the energy, the first value is `None` and all that is
    certain is that the energy lies between nothing and the whole step.
    """
    straight_j = step_j * into_s / length_s
    if before_w is None:
        backward_j = min(max(step_j - after_w * (length_s - into_s), 0.0), step_j)
        return None, abs(straight_j - backward_j)
    slack_j = 0.05 * step_j
    slowest_j, fastest_j = sorted((before_w * length_s, after_w * length_s))
    if not slowest_j - slack_j <= step_j <= fastest_j + slack_j:
        return None, max(straight_j, step_j - straight_j)
    if before_w == after_w:
        return straight_j, 0.0
    change_s = min(max((step_j - after_w * length_s) / (before_w - after_w), 0.0), length_s)
    inside_j = before_w * min(into_s, change_s) + after_w * max(into_s - change_s, 0.0)
    return min(max(inside_j, 0.0), step_j), abs(inside_j - straight_j)


def _power_before(recent: Iterable[Reading], last: Reading, tick: Tick, length_s: float, period_s: float) -> float | None:
    """Mean power up to the last tick before the end, `length_s` before `tick` [W], from a reading of an earlier tick."""
    assert last.energy_j is not None
    for reading in reversed(list(recent)):
        if reading.energy_j is None or reading.energy_j >= last.energy_j:
            continue
        if tick.t_s - reading.t_s > _MANY_PERIODS * period_s:  # both ends are stale by the same on average
            return (last.energy_j - reading.energy_j) / (last.t_s - reading.t_s)
        dated = _dated(reading, tick, period_s)
        if dated is not None and dated.t_s < tick.t_s - length_s - 0.5 * period_s:
            return (last.energy_j - dated.energy_j) / (tick.t_s - length_s - dated.t_s)
    return None


def _dated(reading: Reading, tick: Tick, period_s: float) -> Tick | None:
    """Date a reading back to the tick it shows, by the rhythm of the ticks; `None` too close to one to tell which."""
    if reading.energy_j is None:
        return None
    periods = (reading.t_s - tick.t_s) / period_s
    margin = 0.02 + abs(periods) * tick.gap_s / period_s / 2  # the period is known to about half a gap
    if not margin < periods % 1 < 1 - margin:
        return None
    return Tick(tick.t_s + math.floor(periods) * period_s, reading.energy_j, tick.gap_s)


def _power_w(earlier: Tick, later: Tick) -> float:
    return (later.energy_j - earlier.energy_j) / (later.t_s - earlier.t_s)


def _instant_unsure_s(tick: Tick, other: Tick, distance_s: float) -> float:
    """How far the unknown instants of two ticks can shift an energy extrapolated over a distance [s of power]."""
    return tick.gap_s * (1 / 2 + distance_s / abs(other.t_s - tick.t_s))


def _at_reading(channel: Channel, at_s: float, last: Reading) -> Edge:
    """Take what the counter shows, up to a whole period old, where no ticks were seen; a look may have come late."""
    unsure_s = channel.counter_period_s + max(0.0, last.t_s - at_s)
    return Edge(at_s, last.energy_j, unsure_s=unsure_s, unsure_j=channel.counter_resolution_j)
