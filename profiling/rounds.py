"""Measuring a group of parts in rounds, so that drift of the machine meets every part alike.

A round is the reference kernel, an untimed call of the whole, and then one sample of each part. Timing a
part to its end before the next would let a slow minute of a shared machine pass for a slow part: samples
there correlate for seconds. The untimed call gives the caches back to the model: without it the part after
the kernel took 25-35 % longer (resnet20, bert-tiny) than in a loop of its own, and the whole more than its stages.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import FLOOR_ROUNDS, Budget
from ttamer.profiling.clock import TimeCalls, Timing

SHORTEST_SAMPLE_S = 2e-4  # about 100 x the cost and jitter of reading the clocks
WARM_UP_CALLS = 2  # in eager mode the second call is within 1.0-1.5 x the median, later ones are at it
WARM_UP_WINDOWS = 5
WARM_UP_AGREEMENT = 0.2
WARM_UP_LONGEST_S = 0.5  # a part that takes longer than this for one window is warm enough
SETTLE_BELOW_S = 0.1  # refilling a last-level cache of 32 MB takes about 3 ms, little against a longer call


Keep = Callable[[Sequence[Timing]], Sequence[Timing]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a model at one batch size: which one, and the call that runs it once."""

    part: str
    exit: int
    call: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTimings:
    """The timings of one part, in the order they were taken; kept are those that count."""

    part: str
    exit: int
    timings: tuple[Timing, ...]
    kept: tuple[Timing, ...]

    def samples(self) -> Samples:
        """Seconds a call of the timings kept, and the loops they were divided by."""
        return Samples([timing.call_s() for timing in self.kept], self.kept[0].loops)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimings:
    """The timings of all parts of a group and of the reference kernel beside them."""

    parts: tuple[PartTimings, ...]
    reference: tuple[Timing, ...]


def measure_group(
    parts: Sequence[Part],
    reference: Callable[[], object],
    whole: Callable[[], object],
    budget: Budget,
    *,
    keep: Keep,
    time_calls: TimeCalls,
    now: Callable[[], float],
) -> GroupTimings:
    """The timings of a group, measured in rounds until the budget is spent.

    whole runs the model once; it is called to settle the caches even if it is no part to be measured.
    keep: chooses among the timings of a part (`clean_timings`, or all of them).
    """
    start_s = now()
    warm_up(reference, time_calls)
    is_settling = warm_up(whole, time_calls) < SETTLE_BELOW_S
    loops = [loops_for(warm_up(part.call, time_calls)) for part in parts]
    timings: list[list[Timing]] = [[] for _ in parts]
    beside: list[Timing] = []
    while not budget.is_spent(len(beside), now() - start_s, precise=_are_precise(timings, budget, keep)):
        beside.append(time_calls(reference, 1))
        if is_settling:
            whole()
        for part, count, taken in zip(parts, loops, timings, strict=True):
            taken.append(time_calls(part.call, count))
    measured = [
        PartTimings(part=part.part, exit=part.exit, timings=tuple(taken), kept=tuple(keep(taken)))
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


def clean_timings(timings: Sequence[Timing]) -> Sequence[Timing]:
    """The timings during which nobody else had the core, or all of them if too few such are left.

    What a neighbour's process costs is no property of the model; the verdict says how many were dropped.
    """
    clean = [timing for timing in timings if timing.is_clean]
    return clean if len(clean) >= FLOOR_ROUNDS else timings


def all_timings(timings: Sequence[Timing]) -> Sequence[Timing]:
    """Every timing: on a GPU the calling thread may sleep while the device works."""
    return timings


def _are_precise(timings: Sequence[Sequence[Timing]], budget: Budget, keep: Keep) -> bool:
    if not timings[0] or len(timings[0]) < budget.min_rounds:
        return False
    samples = (Samples([timing.call_s() for timing in keep(taken)]) for taken in timings)
    return all(relative_half_width(part) <= budget.half_width for part in samples)
