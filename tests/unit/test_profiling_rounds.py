"""Rounds, warm-up and stop rules, on a clock that only moves when a part says so."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import BUDGETS, FLOOR_ROUNDS, Budget
from ttamer.profiling.clock import Timing
from ttamer.profiling.rounds import (
    GroupTimings,
    Part,
    all_timings,
    clean_timings,
    loops_for,
    measure_group,
    reference_at,
    relative_half_width,
)
from ttamer.profiling.warming import PART, WHOLE_MODEL, WarmUp, warm_up


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

    def turns(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes the seconds given, again and again."""
        turns = itertools.cycle(seconds)

        def call() -> None:
            self.log.append(name)
            self.now_s += next(turns)

        return call

    def time_calls(self, call: Callable[[], object], loops: int) -> Timing:
        start_s = self.now_s
        for _ in range(loops):
            call()
        wall_s = self.now_s - start_s
        middle_s = (start_s + self.now_s) / 2
        return Timing(
            wall_s=wall_s, cpu_s=wall_s, thread_s=wall_s, preemptions=0, loops=loops, middle_s=middle_s
        )  # fmt: skip


BUDGET = Budget(name="test", processes=1, min_rounds=8, group_s=3.0, half_width=0.03, quantile=0.7)  # 9 bound it


def whole(call: Callable[[], None]) -> Part:
    return Part(part="whole", exit=-1, call=call)


def measured(clock: FakeClock, parts: list[Part], budget: Budget = BUDGET, reference_s: float = 0.01) -> GroupTimings:
    group = measure_group(
        parts,
        clock.taking("ref", reference_s),
        parts[0].call,
        budget,
        keep=clean_timings,
        time_calls=clock.time_calls,
        now=clock.now,
    )
    assert len(group.reference) > len(group.parts[0].timings)
    return group


def rounds_of(clock: FakeClock, call: Callable[[], None], budget: Budget = BUDGET) -> int:
    (part,) = measured(clock, [whole(call)], budget).parts
    return len(part.seconds())


def test_every_round_visits_the_reference_settles_the_caches_and_times_each_part_once() -> None:
    clock = FakeClock()
    parts = [whole(clock.taking("w", 0.02)), Part(part="stage", exit=0, call=clock.taking("s", 0.02))]
    measured(clock, parts)
    assert clock.log[-9:] == [*["ref", "w", "w", "s"] * 2, "ref"]


def test_a_part_is_prepared_before_each_of_its_samples_and_once_for_all_calls_that_warm_it() -> None:
    clock = FakeClock()
    stage = Part(part="stage", exit=0, call=clock.taking("s", 0.02), prepare=lambda: clock.log.append("p"))
    measured(clock, [whole(clock.taking("w", 0.02)), stage])
    assert clock.log[-11:] == [*["ref", "w", "w", "p", "s"] * 2, "ref"]
    assert "".join(clock.log).count("ps") == clock.log.count("p")
    assert clock.log.count("p") < clock.log.count("s")


def test_a_long_call_needs_no_settling_and_has_the_reference_on_either_side() -> None:
    clock = FakeClock()
    parts = [whole(clock.taking("w", 0.3)), Part(part="stage", exit=0, call=clock.taking("s", 0.3))]
    measured(clock, parts)
    assert clock.log[-9:] == [*["ref", "w", "ref", "s"] * 2, "ref"]


def test_a_steady_part_stops_when_the_planned_quantile_is_bounded() -> None:
    clock = FakeClock()
    assert BUDGET.samples_needed() == BUDGET.enough_rounds() == 9
    assert rounds_of(clock, clock.taking("w", 0.02)) == 9


def test_the_99th_percentile_asks_for_299_samples_of_all_processes_together() -> None:
    clock = FakeClock()
    assert BUDGETS["default"].samples_needed() == 299
    assert rounds_of(clock, clock.taking("w", 0.002), replace(BUDGETS["default"], processes=1)) == 299
    assert rounds_of(clock, clock.taking("w", 0.002), BUDGETS["default"]) == 150
    assert rounds_of(clock, clock.taking("w", 0.002), BUDGETS["default"].for_quantile(0.9)) == 15


def test_a_steady_part_that_is_not_precise_yet_goes_on_until_its_time_is_spent() -> None:
    clock = FakeClock()
    unsteady = clock.turns("w", 0.012, 0.016, 0.02, 0.024, 0.028)
    assert rounds_of(clock, unsteady) == pytest.approx(60, abs=2)  # 3 s of 0.01 s and twice 0.02 s
    assert rounds_of(clock, clock.turns("w", 0.0199, 0.02, 0.0201)) == 9


def test_a_slow_part_stops_when_its_time_is_spent() -> None:
    clock = FakeClock()
    assert rounds_of(clock, clock.taking("w", 0.35)) == BUDGET.min_rounds + 1


def test_the_slowest_part_still_gets_the_samples_that_bound_a_median() -> None:
    clock = FakeClock()
    (part,) = measured(clock, [whole(clock.taking("w", 60.0))]).parts
    samples = Samples(part.seconds())
    assert len(samples) == FLOOR_ROUNDS
    assert samples.interval_s(0.5) == pytest.approx((60.0, 60.0))


def test_two_processes_share_the_fewest_rounds() -> None:
    clock = FakeClock()
    two = replace(BUDGET, processes=2)
    assert rounds_of(clock, clock.taking("w", 60.0), two) == FLOOR_ROUNDS // 2
    assert two.process_half_width() == pytest.approx(0.03 * 2**0.5)


def test_a_part_too_short_to_time_is_looped_and_divided() -> None:
    clock = FakeClock()
    (part,) = measured(clock, [Part(part="head", exit=0, call=clock.taking("h", 0.5e-6))]).parts
    assert part.kept[0].loops == 10
    assert part.seconds()[0] == pytest.approx(0.5e-6)


def test_a_looped_sample_is_at_least_as_long_as_the_shortest() -> None:
    assert [loops_for(call_s) for call_s in (1.0, 5e-6, 4.9e-6, 1e-7)] == [1, 1, 2, 50]


def test_the_reference_beside_a_sample_lies_on_a_line_between_its_neighbours() -> None:
    beside = [
        timing_at(0.0, 0.010),
        timing_at(1.0, 0.020),
        timing_at(2.0, 0.030, thread_share=0.5),
        timing_at(3.0, 0.010),
    ]
    np.testing.assert_allclose(reference_at([0.5, 1.0, 2.0, 9.0], beside), [0.015, 0.020, 0.015, 0.010])
    np.testing.assert_allclose(reference_at([2.0], beside[2:3]), [0.030])  # disturbed, but there is no other


def timing_at(middle_s: float, wall_s: float, thread_share: float = 1.0) -> Timing:
    thread_s = thread_share * wall_s
    return Timing(wall_s=wall_s, cpu_s=thread_s, thread_s=thread_s, preemptions=0, middle_s=middle_s)


def test_a_machine_that_slows_down_is_seen_in_the_reference_beside_each_sample() -> None:
    clock = FakeClock()
    speeds = iter(np.linspace(1.0, 5.0, 400).tolist())
    slower = [1.0]

    def reference() -> None:
        slower[0] = next(speeds)
        clock.now_s += 0.01 * slower[0]

    def call() -> None:
        clock.now_s += 0.02 * slower[0]

    group = measure_group(
        [whole(call)], reference, call, BUDGET, keep=clean_timings, time_calls=clock.time_calls, now=clock.now
    )
    (part,) = group.parts
    over = np.array(part.seconds()) / np.array(part.reference_s)
    assert np.ptp(over) / over.mean() < 0.02 < np.ptp(part.seconds()) / np.mean(part.seconds())


def test_where_the_time_went_adds_up() -> None:
    clock = FakeClock()
    group = measured(clock, [whole(clock.taking("w", 0.02))])
    assert set(group.spent_s) == {"warm_up", "settling", "reference", "timed", "rest"}
    assert sum(group.spent_s.values()) == pytest.approx(clock.now_s)
    assert group.spent_s["timed"] == pytest.approx(9 * 0.02)
    assert group.spent_s["settling"] == pytest.approx(9 * 0.02)
    assert group.spent_s["reference"] == pytest.approx(10 * 0.01)
    assert group.spent_s["rest"] == pytest.approx(0.0, abs=1e-9)


def test_warm_up_goes_on_until_successive_windows_agree() -> None:
    clock = FakeClock()
    rule = WarmUp(windows=3, agreement=0.05, least_s=0.0, most_s=9.0)
    falling = [0.09, 0.08, 0.07, 0.05, 0.05, 0.05, 0.049, 0.049, 0.049, 0.048]
    assert warm_up(clock.taking("w", *falling), clock.time_calls, rule) == pytest.approx(0.048)
    assert len(clock.log) == 12


def test_warm_up_lasts_at_least_as_long_as_asked() -> None:
    clock = FakeClock()
    warm_up(clock.taking("w", 0.01), clock.time_calls, WHOLE_MODEL)
    assert clock.now_s == pytest.approx(WHOLE_MODEL.least_s, abs=0.031)


def test_warm_up_of_a_long_call_is_two_calls() -> None:
    clock = FakeClock()
    assert warm_up(clock.taking("w", 0.8, 0.4), clock.time_calls, PART) == pytest.approx(0.4)
    assert len(clock.log) == 2


def test_warm_up_ends_although_nothing_agrees() -> None:
    clock = FakeClock()
    warm_up(clock.turns("w", 0.01, 0.01, 0.01, 0.02, 0.02, 0.02), clock.time_calls, WHOLE_MODEL.within(5.0, 0.2))
    assert clock.now_s == pytest.approx(1.0, abs=0.06)  # a fifth of what is measured


def test_too_few_samples_have_no_half_width() -> None:
    assert relative_half_width(Samples([1.0] * 5)) == float("inf")
    assert relative_half_width(Samples([0.9, 1.0, 1.0, 1.0, 1.0, 1.1])) == pytest.approx(0.1)


@pytest.mark.parametrize("name", BUDGETS)
def test_every_budget_bounds_a_median_by_two_processes(name: str) -> None:
    assert BUDGETS[name].name == name
    assert BUDGETS[name].min_rounds >= FLOOR_ROUNDS
    assert BUDGETS[name].processes >= 2
    assert BUDGETS[name].half_width < BUDGETS[name].error


@pytest.mark.parametrize(
    "changes", [{"min_rounds": 5}, {"group_s": 0.0}, {"processes": 0}, {"quantile": 1.0}, {"quantile": 0.0}]
)
def test_a_budget_that_measures_nothing_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match="budget 'test' measures"):
        replace(BUDGET, **changes)  # type: ignore[arg-type]


def timings_of(*thread_s: float) -> list[Timing]:
    return [Timing(wall_s=0.01, cpu_s=seconds, thread_s=seconds, preemptions=0) for seconds in thread_s]


def test_samples_that_a_neighbour_disturbed_are_dropped() -> None:
    timings = timings_of(*[0.01] * 6, 0.009, 0.001)
    assert clean_timings(timings) == [True] * 6 + [False] * 2
    assert all_timings(timings) == [True] * 8


def test_samples_whose_partner_thread_waited_are_dropped_although_the_main_thread_ran() -> None:
    ran, waited = timings_of(0.01)[0], replace(timings_of(0.01)[0], waited_s=0.001)
    assert clean_timings([ran] * 6 + [waited]) == [True] * 6 + [False]
    assert replace(ran, waited_s=0.0004).is_clean


def test_disturbed_samples_stay_where_too_few_others_are_left_to_bound_a_median() -> None:
    assert clean_timings(timings_of(*[0.01] * 5, 0.001)) == [True] * 6
