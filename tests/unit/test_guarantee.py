"""Guarantees: refused where the samples do not suffice, kept as often as stated where they do."""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import FittedPolicy, fit_candidates
from ttamer.exits.guarantee import Risk, certify, failures_of, samples_needed
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.records import ExitRecords

COSTS = even_costs()
CALIBRATION = plausible_records(1, 1000, split="calibration")
CERTIFYING = plausible_records(2, 2000, split="validation", first=10_000)


def test_one_percent_at_95_takes_299_samples_without_a_failure() -> None:
    assert samples_needed(0.01, 0.95) == 299
    assert samples_needed(0.01, 0.95, failures=1) == 473


def test_too_few_samples_are_refused_with_the_number_needed() -> None:
    few = plausible_records(3, 298, split="validation", first=10_000)
    with pytest.raises(InfeasibleError, match="at least 299 samples"):
        certify([FittedPolicy(LastExit(), "toy")], CALIBRATION, few, COSTS, bound=0.01)


def test_the_last_exit_is_certified_by_299_samples() -> None:
    enough = plausible_records(3, 299, split="validation", first=10_000)
    guarantee = certify([FittedPolicy(LastExit(), "toy")], CALIBRATION, enough, COSTS, bound=0.01)
    assert (guarantee.failures, guarantee.samples) == (0, 299)
    assert guarantee.bound <= 0.01


def test_a_looser_bound_certifies_a_faster_policy() -> None:
    candidates = fit_candidates(["confidence-threshold", "last-exit"], CALIBRATION, COSTS)
    tight, loose = (certify(candidates, CALIBRATION, CERTIFYING, COSTS, bound=bound) for bound in (0.01, 0.1))
    assert tight.chosen.outcome.mean_s is not None
    assert loose.chosen.outcome.mean_s is not None
    assert loose.chosen.outcome.mean_s < tight.chosen.outcome.mean_s
    assert tight.bound <= 0.01
    assert loose.bound <= 0.1


def test_a_policy_that_fails_too_often_is_refused() -> None:
    hasty = [FittedPolicy(ConfidenceThreshold(0.0), "toy")]
    with pytest.raises(InfeasibleError, match="the safest fails"):
        certify(hasty, CALIBRATION, CERTIFYING, COSTS, bound=0.01)


def test_records_that_were_fitted_on_do_not_certify() -> None:
    candidates = fit_candidates(["confidence-threshold"], CERTIFYING, COSTS)
    with pytest.raises(InputError, match="fitted on these records"):
        certify(candidates, CALIBRATION, CERTIFYING, COSTS, bound=0.01)


def test_harm_is_no_more_than_disagreement() -> None:
    policy = ConfidenceThreshold(0.7)
    harm, disagreement, error = (
        failures_of(policy, CERTIFYING, risk) for risk in (Risk.HARM, Risk.DISAGREEMENT, Risk.ERROR)
    )
    assert 0 < harm <= disagreement
    assert harm <= error


def test_the_bound_is_broken_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(0)
    crowd = plausible_records(5, 40_000)
    heads = (1, 3, 5)
    candidates = [FittedPolicy(ConfidenceThreshold(t, heads), "toy") for t in np.linspace(0.6, 1.0, 25).tolist()]
    truth = {
        fitted.policy: failures_of(fitted.policy, crowd, Risk.DISAGREEMENT) / crowd.samples for fitted in candidates
    }
    broken = certified = 0
    for _ in range(200):
        rows_N = rng.permutation(crowd.samples)[:1200]
        try:
            guarantee = certify(
                candidates, _rows(crowd, rows_N[:400]), _rows(crowd, rows_N[400:]), COSTS, bound=0.03, confidence=0.9
            )
        except InfeasibleError:
            continue
        certified += 1
        broken += truth[guarantee.chosen.fitted.policy] > 0.03
    assert certified > 150
    assert broken <= 0.1 * 200 + 2 * (200 * 0.1 * 0.9) ** 0.5


def _rows(records: ExitRecords, rows_N: np.ndarray) -> ExitRecords:
    return ExitRecords(
        model=records.model, dataset=records.dataset, split="test", sample_N=records.sample_N[rows_N],
        label_N=records.label_N[rows_N], prediction_NK=records.prediction_NK[rows_N],
        confidence_NK=records.confidence_NK[rows_N],
    )  # fmt: skip
