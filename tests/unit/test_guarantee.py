"""Guarantees: refused where the samples do not suffice; how often they are kept is shown in tests/theory."""

import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import FittedPolicy, fit_candidates
from ttamer.exits.guarantee import Risk, certified, certify, failures_of, samples_needed
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InfeasibleError, InputError

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


def test_all_that_is_certified_goes_from_slow_and_safe_to_fast() -> None:
    candidates = fit_candidates(["confidence-threshold"], CALIBRATION, COSTS)
    found = certified(candidates, CALIBRATION, CERTIFYING, COSTS, bound=0.05)
    seconds = [one.chosen.outcome.mean_s or 0.0 for one in found]
    assert len(found) > 3
    assert seconds == sorted(seconds, reverse=True)
    assert all(one.bound <= 0.05 for one in found)
    fastest = certify(candidates, CALIBRATION, CERTIFYING, COSTS, bound=0.05)
    assert fastest.chosen.fitted == found[-1].chosen.fitted


def test_where_the_safest_fails_nothing_is_certified() -> None:
    assert certified([FittedPolicy(ConfidenceThreshold(0.0), "toy")], CALIBRATION, CERTIFYING, COSTS, bound=0.01) == []
