"""Choosing under a constraint on a mean: mixtures use what is allowed, and no more."""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.choosing import fastest_within_drop, hull, most_accurate_within
from ttamer.exits.evaluate import best_within_drop, evaluate, evaluate_all, fit_candidates
from ttamer.exits.mixture import Mixture, drawn_N
from ttamer.profiles.errors import InfeasibleError

COSTS = even_costs()
CALIBRATION = plausible_records(1, 600, split="calibration")
VALIDATION = plausible_records(2, 2000, split="validation", first=1000)
CANDIDATES = fit_candidates(["last-exit", "confidence-threshold", "no-recall"], CALIBRATION, COSTS)[::7]
CANDIDATES += fit_candidates(["last-exit", "fixed-exit"], CALIBRATION, COSTS)


@pytest.mark.parametrize("drop", [0.0, 0.005, 0.01, 0.03, 0.1])
def test_a_mixture_keeps_the_drop_and_is_no_slower_than_a_policy_alone(drop: float) -> None:
    mixed = fastest_within_drop(CANDIDATES, VALIDATION, COSTS, drop)
    alone = best_within_drop(CANDIDATES, VALIDATION, COSTS, drop)
    assert mixed.outcome.accuracy >= VALIDATION.accuracy_K()[-1] - drop - 1e-9
    assert mixed.outcome.mean_s is not None
    assert alone.outcome.mean_s is not None
    assert mixed.outcome.mean_s <= alone.outcome.mean_s


@pytest.mark.parametrize("mean_s", [0.002, 0.003, 0.004])
def test_a_mixture_keeps_the_mean_and_comes_close_to_it(mean_s: float) -> None:
    chosen = most_accurate_within(CANDIDATES, VALIDATION, COSTS, mean_s)
    assert chosen.outcome.mean_s is not None
    assert chosen.outcome.mean_s <= mean_s * (1 + 1e-9)
    assert chosen.outcome.mean_s >= mean_s * 0.97
    faster = [one for one in evaluate_all(CANDIDATES, VALIDATION, COSTS) if (one.outcome.mean_s or 1) <= mean_s]
    assert chosen.outcome.accuracy >= max(one.outcome.accuracy for one in faster) - 0.005


def test_what_was_chosen_is_evaluated_alike_and_survives_its_plan() -> None:
    chosen = most_accurate_within(CANDIDATES, VALIDATION, COSTS, 0.0031)
    assert isinstance(chosen.fitted.policy, Mixture)
    again = type(chosen.fitted).from_spec(chosen.fitted.to_spec())
    assert evaluate(again, VALIDATION, COSTS).mean_s == chosen.outcome.mean_s


def test_time_nobody_keeps_and_accuracy_nobody_reaches_are_infeasible() -> None:
    with pytest.raises(InfeasibleError, match="the fastest takes"):
        most_accurate_within(CANDIDATES, VALIDATION, COSTS, 1e-5)
    with pytest.raises(InfeasibleError, match="the best reaches"):
        fastest_within_drop(CANDIDATES, VALIDATION, COSTS, -0.2)


def test_no_candidate_lies_above_the_hull() -> None:
    evaluated = evaluate_all(CANDIDATES, VALIDATION, COSTS)
    vertices = hull(evaluated)
    times = [one.outcome.mean_s for one in vertices]
    accuracies = [one.outcome.accuracy for one in vertices]
    assert times == sorted(times)
    for one in evaluated:
        reach = np.interp(one.outcome.mean_s, times, accuracies)
        assert one.outcome.accuracy <= reach + 1e-12


def test_draws_are_even_and_depend_on_the_sample_alone() -> None:
    drawn = drawn_N(np.arange(200_000))
    assert drawn.min() >= 0
    assert drawn.max() < 1
    np.testing.assert_allclose(np.histogram(drawn, bins=20, range=(0, 1))[0], 10_000, rtol=0.05)
    np.testing.assert_array_equal(drawn_N(np.array([7, 3])), drawn[[7, 3]])
