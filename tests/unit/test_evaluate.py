"""Evaluating policies on records: the numbers, the refusals, and what is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import (
    FittedPolicy,
    best_within_drop,
    evaluate,
    evaluate_all,
    fit_candidates,
    frontier,
    pareto,
    refuse_overlap,
)
from ttamer.exits.policies import POLICIES
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.records import ExitRecords

SIMPLE = ("last-exit", "fixed-exit", "confidence-threshold")
CALIBRATION = plausible_records(1, split="calibration")
VALIDATION = plausible_records(2, split="validation", first=400)


def three_samples() -> ExitRecords:
    """Sample 0 is sure and right at once, sample 1 sure and wrong at exit 1, sample 2 never sure before the end."""
    confidence_NK = np.array([[0.95, 0.9, 0.9], [0.6, 0.92, 0.8], [0.6, 0.7, 0.99]])
    return ExitRecords(
        model="toy",
        dataset="three",
        split="test",
        sample_N=np.arange(3),
        label_N=np.array([1, 1, 0]),
        prediction_NK=np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]),
        confidence_NK=confidence_NK,
        margin_NK=2 * confidence_NK - 1,
        entropy_NK=1 - confidence_NK,
    )


def test_the_outcome_of_a_threshold_on_three_samples_is_counted_by_hand() -> None:
    costs = ExitCosts(np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.1, 0.2]))
    outcome = evaluate(ConfidenceThreshold(0.9), three_samples(), costs)
    assert outcome.samples == 3
    assert outcome.accuracy == pytest.approx(1 / 3)
    assert outcome.low < 1 / 3 < outcome.high
    assert outcome.agreement == pytest.approx(2 / 3)
    np.testing.assert_allclose(outcome.stop_share_K, [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(outcome.reach_share_K, [1, 2 / 3, 1 / 3])
    assert outcome.recall_share == 0
    assert outcome.mean_s == pytest.approx((1.1 + 3.2 + 7.4) / 3)


def test_heads_that_are_not_asked_are_not_paid() -> None:
    costs = ExitCosts(np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.1, 0.2]))
    assert evaluate(LastExit(), three_samples(), costs).mean_s == pytest.approx(7.2)
    assert evaluate(FixedExit(1), three_samples(), costs).mean_s == pytest.approx(3.1)
    outcome = evaluate(ConfidenceThreshold(0.9, (1, 2)), three_samples(), costs)
    assert outcome.mean_s == pytest.approx((3.1 + 3.1 + 7.3) / 3)


def test_without_costs_there_is_no_time() -> None:
    assert evaluate(LastExit(), three_samples()).mean_s is None


def test_a_decision_cannot_answer_with_an_exit_it_never_reached() -> None:
    with pytest.raises(InputError, match="never reached"):
        Decision(np.array([0]), np.array([1]))


def test_records_a_policy_was_fitted_on_are_refused_by_name_even_if_renamed() -> None:
    fitted = fit_candidates(["confidence-threshold"], CALIBRATION, even_costs())[0]
    with pytest.raises(InputError, match=r"fitted on these records \(calibration"):
        evaluate(fitted, CALIBRATION)
    with pytest.raises(InputError, match=r"\(validation, fitted on as calibration\)"):
        evaluate_all([fitted], replace(CALIBRATION, split="validation"))
    assert evaluate(fitted, VALIDATION).samples == VALIDATION.samples


def test_the_digest_survives_writing_and_reading(tmp_path: Path) -> None:
    CALIBRATION.write(tmp_path / "toy.calibration.parquet")
    again = ExitRecords.read(tmp_path / "toy.calibration.parquet")
    assert again.digest() == CALIBRATION.digest() != VALIDATION.digest()
    assert len(again.digest()) == 16


def test_records_of_another_model_are_refused() -> None:
    with pytest.raises(InputError, match=r"for 'toy' cannot be evaluated on records of 'other'"):
        evaluate(FittedPolicy(LastExit(), "toy"), plausible_records(3, model="other"))


def test_costs_of_another_number_of_exits_are_refused() -> None:
    with pytest.raises(InputError, match="costs of 5 stages and 5 heads do not fit records of 6 exits"):
        evaluate(LastExit(), VALIDATION, even_costs(5))


def test_an_unknown_kind_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'last-exit'"):
        fit_candidates(["last-exits"], CALIBRATION, even_costs())


def test_the_frontier_holds_every_candidate_that_is_not_beaten() -> None:
    costs = even_costs()
    candidates = fit_candidates(SIMPLE, CALIBRATION, costs)
    kept = frontier(candidates, VALIDATION, costs)
    points = [(one.outcome.mean_s, one.outcome.accuracy) for one in kept]
    assert points == sorted(points)
    for one in evaluate_all(candidates, VALIDATION, costs):
        assert one.outcome.mean_s is not None
        assert any(s <= one.outcome.mean_s and a >= one.outcome.accuracy for s, a in points if s is not None)


def test_the_frontier_per_kind_lets_every_kind_keep_its_best() -> None:
    costs = even_costs()
    candidates = fit_candidates(SIMPLE, CALIBRATION, costs)
    kept = frontier(candidates, VALIDATION, costs, per_kind=True)
    assert {one.fitted.kind for one in kept} == set(SIMPLE)
    overall = frontier(candidates, VALIDATION, costs)
    assert [one.fitted for one in pareto(kept)] == [one.fitted for one in overall]


def test_the_fastest_within_a_drop_is_as_accurate_as_asked_and_no_slower_than_the_backbone() -> None:
    costs = even_costs()
    candidates = fit_candidates(SIMPLE, CALIBRATION, costs)
    last = evaluate(LastExit(), VALIDATION, costs)
    assert last.mean_s is not None
    for max_drop in (0.0, 0.01, 0.05):
        best = best_within_drop(candidates, VALIDATION, costs, max_drop).outcome
        assert best.accuracy >= last.accuracy - max_drop - 1e-9
        assert best.mean_s is not None
        assert best.mean_s <= last.mean_s


def test_an_accuracy_no_candidate_reaches_is_infeasible() -> None:
    with pytest.raises(InfeasibleError, match="no candidate reaches the accuracy"):
        best_within_drop([FittedPolicy(FixedExit(0), "toy")], VALIDATION, even_costs(), 0.0)


def test_splits_that_share_samples_are_refused_by_name() -> None:
    refuse_overlap(CALIBRATION, VALIDATION)
    with pytest.raises(InputError, match="calibration and validation share 1 samples, sample 399 first"):
        refuse_overlap(CALIBRATION, plausible_records(2, split="validation", first=399))
    refuse_overlap(CALIBRATION, replace(CALIBRATION, dataset="another"))


def test_a_fitted_policy_survives_its_plan() -> None:
    for fitted in fit_candidates(POLICIES, CALIBRATION, even_costs())[::40]:
        chosen = fitted.chosen(VALIDATION)
        assert FittedPolicy.from_spec(chosen.to_spec()) == chosen
        assert chosen.to_spec().chosen_on == {"validation": VALIDATION.digest()}
        assert chosen.to_spec().fitted_on == {"calibration": CALIBRATION.digest()}
