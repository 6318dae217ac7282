"""Rounds, warm-up and stop rules, on a clock that only moves when a part says so."""

from collections.abc import Callable

import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import BUDGETS, FLOOR_ROUNDS, Budget
from ttamer.profiling.clock import Timing, time_calls
from ttamer.profiling.rounds import (
    Part,
    all_timings,
    clean_timings,
    loops_for,
    measure_group,
    relative_half_width,
    warm_up,
)


class FakeClock:
    """A clock that calls move by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.log: list[str] = []

    def now(self) -> float:
        return self.now_s

    def taking(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes the seconds given, the last for ever after."""
        left = list(seconds)

        def call() -> None:
            self.log.append(name)
            self.now_s += left.pop(0) if len(left) > 1 else left[0]

        return call

    def time_calls(self, call: Callable[[], object], loops: int) -> Timing:
        start_s = self.now_s
        for _ in range(loops):
            call()
        wall_s = self.now_s - start_s
        return Timing(wall_s=wall_s, cpu_s=wall_s, thread_s=wall_s, preemptions=0, loops=loops)


BUDGET = Budget(name="test", min_rounds=8, max_rounds=12, group_s=3.0, half_width=0.03)


def measured(clock: FakeClock, parts: list[Part], budget: Budget = BUDGET) -> list[Samples]:
    group = measure_group(
        parts,
        clock.taking("ref", 0.01),
        parts[0].call,
        budget,
        keep=clean_timings,
        time_calls=clock.time_calls,
        now=clock.now,
    )
    assert len(group.reference) == len(group.parts[0].timings)
    return [part.samples() for part in group.parts]


def test_every_round_visits_the_reference_settles_the_caches_and_times_each_part_once() -> None:
    clock = FakeClock()
    parts = [
        Part(part="whole", exit=-1, call=clock.taking("w", 0.02)),
        Part(part="stage", exit=0, call=clock.taking("s", 0.02)),
    ]
    measured(clock, parts)
    assert clock.log[-8:] == ["ref", "w", "w", "s"] * 2


def test_a_long_call_needs_no_settling() -> None:
    clock = FakeClock()
    measured(clock, [Part(part="whole", exit=-1, call=clock.taking("w", 0.2))])
    assert clock.log[-4:] == ["ref", "w"] * 2


def test_a_steady_part_stops_at_the_fewest_rounds() -> None:
    clock = FakeClock()
    (samples,) = measured(clock, [Part(part="whole", exit=-1, call=clock.taking("w", 0.02))])
    assert len(samples) == BUDGET.min_rounds
    assert samples.seconds == pytest.approx([0.02] * 8)


def test_an_unsteady_part_is_measured_to_the_most_rounds() -> None:
    clock = FakeClock()
    unsteady = [0.02, 0.03, 0.04] * 20
    (samples,) = measured(clock, [Part(part="whole", exit=-1, call=clock.taking("w", *unsteady))])
    assert len(samples) == BUDGET.max_rounds


def test_a_slow_unsteady_part_stops_when_its_time_is_spent() -> None:
    clock = FakeClock()
    (samples,) = measured(clock, [Part(part="whole", exit=-1, call=clock.taking("w", *[0.3, 0.4] * 30))])
    assert len(samples) == BUDGET.min_rounds


def test_the_slowest_part_still_gets_the_samples_that_bound_a_median() -> None:
    clock = FakeClock()
    (samples,) = measured(clock, [Part(part="whole", exit=-1, call=clock.taking("w", 60.0))])
    assert len(samples) == FLOOR_ROUNDS
    assert samples.interval_s(0.5) == pytest.approx((60.0, 60.0))


def test_a_part_too_short_to_time_is_looped_and_divided() -> None:
    clock = FakeClock()
    (samples,) = measured(clock, [Part(part="head", exit=0, call=clock.taking("h", 20e-6))])
    assert samples.loops == 10
    assert samples.median_s() == pytest.approx(20e-6)


def test_a_looped_sample_is_at_least_as_long_as_the_shortest() -> None:
    assert [loops_for(call_s) for call_s in (1.0, 2e-4, 1.9e-4, 1e-6)] == [1, 1, 2, 200]


def test_warm_up_goes_on_until_two_windows_agree() -> None:
    clock = FakeClock()
    assert warm_up(clock.taking("w", 9.0e-2, 4.0e-2, 2.0e-2, 2.0e-2, 1.9e-2), clock.time_calls) == pytest.approx(1.9e-2)
    assert len(clock.log) == 6


def test_warm_up_of_a_long_call_is_two_calls() -> None:
    clock = FakeClock()
    warm_up(clock.taking("w", 0.4), clock.time_calls)
    assert len(clock.log) == 2


def test_warm_up_ends_although_nothing_agrees() -> None:
    clock = FakeClock()
    warm_up(clock.taking("w", *[0.001 * 2**i for i in range(9, 0, -1)], 1e-6), clock.time_calls)
    assert len(clock.log) <= 10


def test_too_few_samples_have_no_half_width() -> None:
    assert relative_half_width(Samples([1.0] * 5)) == float("inf")
    assert relative_half_width(Samples([0.9, 1.0, 1.0, 1.0, 1.0, 1.1])) == pytest.approx(0.1)


@pytest.mark.parametrize("name", BUDGETS)
def test_every_budget_bounds_a_median(name: str) -> None:
    assert BUDGETS[name].name == name
    assert BUDGETS[name].min_rounds >= FLOOR_ROUNDS


@pytest.mark.parametrize(("low", "high", "group_s"), [(5, 9, 1.0), (9, 8, 1.0), (6, 6, 0.0)])
def test_a_budget_that_measures_nothing_is_refused(low: int, high: int, group_s: float) -> None:
    with pytest.raises(InputError, match="budget 'x' measures"):
        Budget(name="x", min_rounds=low, max_rounds=high, group_s=group_s, half_width=0.02)


def test_the_real_clock_counts_loops_and_never_returns_zero() -> None:
    calls: list[int] = []
    timing = time_calls(lambda: calls.append(1), 7)
    assert len(calls) == timing.loops == 7
    assert timing.wall_s > 0
    assert timing.call_s() == timing.wall_s / 7


def timings_of(*thread_s: float) -> list[Timing]:
    return [Timing(wall_s=0.01, cpu_s=seconds, thread_s=seconds, preemptions=0) for seconds in thread_s]


def test_samples_that_a_neighbour_disturbed_are_dropped() -> None:
    timings = timings_of(*[0.01] * 6, 0.009, 0.001)
    assert clean_timings(timings) == timings[:6]
    assert all_timings(timings) == timings


def test_disturbed_samples_stay_where_too_few_others_are_left_to_bound_a_median() -> None:
    timings = timings_of(*[0.01] * 5, 0.001)
    assert clean_timings(timings) == timings
