"""Measuring a group of parts in rounds, so that drift of the machine meets every part alike.

A round is the reference kernel, an untimed call of the whole, and then one sample of each part. Timing a
part to its end before the next would let a slow minute of a shared machine pass for a slow part: samples
there correlate for seconds. The untimed call gives the caches back to the model: without it the part after
the kernel took 25-35 % longer (resnet20, bert-tiny) than in a loop of its own, and the whole more than its stages.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import FLOOR_ROUNDS, Budget
from ttamer.profiling.clock import TimeCalls, Timing
from ttamer.profiling.warming import PART, WHOLE_MODEL, warm_up

SHORTEST_SAMPLE_S = (
    5e-6  # about 50 x the cost of reading the clock; more calls in a row find caches that a head never does
)
SETTLE_BELOW_S = 0.1  # refilling a last-level cache of 32 MB takes about 3 ms, little against a longer call
REFERENCE_EVERY_S = 0.25  # speed drifts over seconds; within a round of short parts one reference is enough
WARM_WHOLE_SHARE = 0.2  # of the time of a group
WARM_PARTS_SHARE = 0.5  # of a part's share of the time, at most spent on warming it; the whole has warmed it already
CHECK_EVERY = 1.1  # rounds between two looks at the precision, as a factor: looking at many parts takes a millisecond

Floats = NDArray[np.float64]
Keep = Callable[[Sequence[Timing]], Sequence[bool]]


def nothing() -> None:
    """What most calls need done before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a model at one batch size: which one, the call that runs it once, and what must be there for that."""

    part: str
    exit: int
    call: Callable[[], object]
    prepare: Callable[[], object] = nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTimings:
    """The timings of one part, in the order they were taken; kept are those that count.

    reference_s: what the reference kernel took at the moment of each timing that is kept.
    """

    part: str
    exit: int
    timings: tuple[Timing, ...]
    kept: tuple[Timing, ...]
    reference_s: tuple[float, ...]

    def seconds(self) -> list[float]:
        """Seconds a call of the timings kept, as the clock gave them."""
        return [timing.call_s() for timing in self.kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimings:
    """The timings of all parts of a group and of the reference kernel beside them.

    spent_s: seconds by what they went into: warm-up, settling, reference, timed calls, and the rest.
    """

    parts: tuple[PartTimings, ...]
    reference: tuple[Timing, ...]
    spent_s: dict[str, float]


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
    """The timings of a group that one process takes, in rounds until the budget is spent.

    whole runs the model once; it is called to settle the caches even if it is no part to be measured.
    keep: says which timings of a part count (`clean_timings`, or all of them).
    """
    rounds = _Rounds(parts, reference, whole, budget, keep=keep, time_calls=time_calls, now=now)
    rounds.warm_up()
    rounds.run()
    return rounds.result()


@dataclass(slots=True)
class _Rounds:
    """A group being measured."""

    parts: Sequence[Part]
    reference: Callable[[], object]
    whole: Callable[[], object]
    budget: Budget
    keep: Keep
    time_calls: TimeCalls
    now: Callable[[], float]
    beside: list[Timing] = field(default_factory=list)
    timings: list[list[Timing]] = field(default_factory=list)
    loops: list[int] = field(default_factory=list)
    spent_s: dict[str, float] = field(default_factory=dict)
    begun_s: float = 0.0
    is_settling: bool = False

    def warm_up(self) -> None:
        """Run everything until it is warm, and learn how long each part takes."""
        self.begun_s = self.now()
        with self._booked("warm_up"):
            warm_up(self.reference, self.time_calls, PART)
            whole_s = warm_up(
                self.whole, self.time_calls, WHOLE_MODEL.within(self.budget.process_s(), WARM_WHOLE_SHARE)
            )
            self.is_settling = whole_s < SETTLE_BELOW_S
            rule = PART.within(self.budget.process_s() / max(1, len(self.parts)), WARM_PARTS_SHARE)
            for part in self.parts:
                part.prepare()
                self.loops.append(loops_for(warm_up(part.call, self.time_calls, rule)))
        self.timings = [[] for _ in self.parts]

    def run(self) -> None:
        """Take rounds until the budget is spent, and the reference once more."""
        start_s, rounds, next_check = self.now(), 0, self.budget.enough_rounds()
        is_precise = False
        while not self.budget.is_spent(rounds, self.now() - start_s, precise=is_precise):
            self._round()
            rounds += 1
            if rounds >= next_check:
                is_precise = self._is_precise()
                next_check = math.ceil(rounds * CHECK_EVERY)
        self._time_reference()

    def _round(self) -> None:
        self._time_reference()
        if self.is_settling:
            with self._booked("settling"):
                self.whole()
        for part, count, taken in zip(self.parts, self.loops, self.timings, strict=True):
            if not self.is_settling and self.now() - self.beside[-1].middle_s >= REFERENCE_EVERY_S:
                self._time_reference()
            part.prepare()
            taken.append(self.time_calls(part.call, count))

    def _time_reference(self) -> None:
        self.beside.append(self.time_calls(self.reference, 1))

    def _is_precise(self) -> bool:
        half_width = self.budget.process_half_width()
        for part in self._measured():
            samples = Samples(np.array(part.seconds()) / np.array(part.reference_s))
            if len(part.kept) < self.budget.enough_rounds() or relative_half_width(samples) > half_width:
                return False
        return True

    def _measured(self) -> Iterator[PartTimings]:
        for part, taken in zip(self.parts, self.timings, strict=True):
            kept = [timing for timing, counts in zip(taken, self.keep(taken), strict=True) if counts]
            reference_s = reference_at([timing.middle_s for timing in kept], self.beside)
            yield PartTimings(
                part=part.part, exit=part.exit, timings=tuple(taken), kept=tuple(kept),
                reference_s=tuple(reference_s.tolist()),
            )  # fmt: skip

    def result(self) -> GroupTimings:
        """What was measured, and where the time went."""
        spent_s = self.spent_s | {
            "reference": sum(timing.wall_s for timing in self.beside),
            "timed": sum(timing.wall_s for taken in self.timings for timing in taken),
        }
        rest_s = self.now() - self.begun_s - sum(spent_s.values())
        parts = tuple(self._measured())
        return GroupTimings(
            parts=parts, reference=tuple(self.beside), spent_s=spent_s | {"rest": max(0.0, rest_s)}
        )  # fmt: skip

    @contextmanager
    def _booked(self, what: str) -> Iterator[None]:
        start_s = self.now()
        yield
        self.spent_s[what] = self.spent_s.get(what, 0.0) + self.now() - start_s


def reference_at(moments_s: Sequence[float], beside: Sequence[Timing]) -> Floats:
    """What the reference kernel took at these moments: between two references a line.

    References that were disturbed say nothing of the machine's speed; they count only where all were.
    """
    clean = [timing for timing in beside if timing.is_clean] or beside
    return np.asarray(
        np.interp(moments_s, [timing.middle_s for timing in clean], [timing.wall_s for timing in clean])
    )  # fmt: skip


def loops_for(call_s: float) -> int:
    """Calls in a sample: one, or as many as make the sample long enough to time.

    >>> loops_for(20e-6), loops_for(1e-6)
    (1, 5)
    """
    return max(1, math.ceil(SHORTEST_SAMPLE_S / call_s - 1e-9))


def relative_half_width(samples: Samples) -> float:
    """Half the 95 % interval of the median over the median; inf where the samples are too few."""
    low_s, high_s = samples.interval_s(0.5)
    return (high_s - low_s) / 2 / samples.median_s()


def clean_timings(timings: Sequence[Timing]) -> Sequence[bool]:
    """The timings during which nobody else had the cores, or all of them if too few such are left.

    What a neighbour's process costs is no property of the model; the verdict says how many were dropped.
    """
    clean = [timing.is_clean for timing in timings]
    return clean if sum(clean) >= FLOOR_ROUNDS else [True] * len(timings)


def all_timings(timings: Sequence[Timing]) -> Sequence[bool]:
    """Every timing: on a GPU the calling thread may sleep while the device works."""
    return [True] * len(timings)
