"""Measuring a group of parts in rounds, so that drift of the machine meets every part alike.

A round is the reference kernel and then one sample of each part. Timing a part to its end before the
next would let a slow minute of a shared machine pass for a slow part: samples there correlate for seconds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import Budget
from ttamer.profiling.clock import TimeCalls, Timing

SHORTEST_SAMPLE_S = 2e-4  # about 100 x the cost and jitter of reading the clocks
WARM_UP_CALLS = 2  # in eager mode the second call is within 1.0-1.5 x the median, later ones are at it
WARM_UP_WINDOWS = 5
WARM_UP_AGREEMENT = 0.2
WARM_UP_LONGEST_S = 0.5  # a part that takes longer than this for one window is warm enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a model at one batch size: which one, and the call that runs it once."""

    part: str
    exit: int
    call: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTimings:
    """The timings of one part, in the order they were taken."""

    part: str
    exit: int
    timings: tuple[Timing, ...]

    def samples(self) -> Samples:
        """Seconds a call, and the loops they were divided by."""
        return Samples([timing.call_s() for timing in self.timings], self.timings[0].loops)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimings:
    """The timings of all parts of a group and of the reference kernel beside them."""

    parts: tuple[PartTimings, ...]
    reference: tuple[Timing, ...]


def measure_group(
    parts: Sequence[Part],
    reference: Callable[[], object],
    budget: Budget,
    *,
    time_calls: TimeCalls,
    now: Callable[[], float],
) -> GroupTimings:
    """The timings of a group, measured in rounds until the budget is spent."""
    start_s = now()
    warm_up(reference, time_calls)
    loops = [loops_for(warm_up(part.call, time_calls)) for part in parts]
    timings: list[list[Timing]] = [[] for _ in parts]
    beside: list[Timing] = []
    while not budget.is_spent(len(beside), now() - start_s, precise=_are_precise(timings, budget)):
        beside.append(time_calls(reference, 1))
        for part, count, taken in zip(parts, loops, timings, strict=True):
            taken.append(time_calls(part.call, count))
    measured = [
        PartTimings(part=part.part, exit=part.exit, timings=tuple(taken))
        for part, taken in zip(parts, timings, strict=True)
    ]
    return GroupTimings(parts=tuple(measured), reference=tuple(beside))


def warm_up(call: Callable[[], object], time_calls: TimeCalls) -> float:
    """Seconds of a warm call: windows of two calls, until two in a row agree or enough were made."""
    previous_s = math.inf
    for _ in range(WARM_UP_WINDOWS):
        window = [time_calls(call, 1).wall_s for _ in range(WARM_UP_CALLS)]
        latest_s = min(window)
        if sum(window) > WARM_UP_LONGEST_S or abs(latest_s - previous_s) <= WARM_UP_AGREEMENT * latest_s:
            break
        previous_s = latest_s
    return latest_s


def loops_for(call_s: float) -> int:
    """Calls in a sample: one, or as many as make the sample long enough to time.

    >>> loops_for(0.004), loops_for(20e-6)
    (1, 10)
    """
    return max(1, math.ceil(SHORTEST_SAMPLE_S / call_s - 1e-9))


def relative_half_width(samples: Samples) -> float:
    """Half the 95 % interval of the median over the median; inf where the samples are too few."""
    low_s, high_s = samples.interval_s(0.5)
    return (high_s - low_s) / 2 / samples.median_s()


def _are_precise(timings: Sequence[Sequence[Timing]], budget: Budget) -> bool:
    if not timings[0] or len(timings[0]) < budget.min_rounds:
        return False
    return all(
        relative_half_width(Samples([timing.call_s() for timing in taken])) <= budget.half_width for taken in timings
    )
