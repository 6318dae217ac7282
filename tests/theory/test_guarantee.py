"""A guarantee holds at least as often as it says, for whatever is then chosen among the policies that have it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import FittedPolicy, fit_candidates
from ttamer.exits.guarantee import Guarantee, Risk, certified, failures_of, is_refuted
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.intervals import paired_difference_interval, proportion_bound
from ttamer.profiles.records import ExitRecords, Ints

CROWD = plausible_records(5, 20_000)
COSTS = even_costs()
HEADS = (1, 3, 5)
REPETITIONS = 200
CONFIDENCE, BOUND = 0.9, 0.03
BAND = 2 * math.sqrt(REPETITIONS * CONFIDENCE * (1 - CONFIDENCE))  # two standard deviations of a count


@pytest.mark.parametrize("samples", [30, 299, 872, 3000])
@pytest.mark.parametrize("bound", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_a_risk_at_the_bound_is_refuted_no_more_often_than_the_rest_of_the_confidence(
    samples: int, bound: float, confidence: float
) -> None:
    refuted = [count for count in range(int(2 * bound * samples)) if is_refuted(count, samples, bound, confidence)]
    assert refuted == list(range(len(refuted)))
    assert binom.pmf(refuted, samples, bound).sum() <= (1 - confidence) * (1 + 1e-9)


def test_the_exact_bound_covers_the_true_risk_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    for risk in (0.004, 0.03, 0.2):
        failures = rng.binomial(400, risk, 500)
        covered = np.mean([proportion_bound(int(count), 400, CONFIDENCE) >= risk for count in failures])
        assert covered >= CONFIDENCE - 2 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / 500)


@pytest.mark.parametrize("share", [(0.005, 0.005), (0.02, 0.01), (0.1, 0.3)])
@pytest.mark.parametrize("samples", [100, 300, 3000])
def test_the_paired_interval_covers_the_true_difference(share: tuple[float, float], samples: int) -> None:
    lost, won = share
    counts = np.random.default_rng(0).multinomial(samples, [lost, won, 1 - lost - won], 2000)
    intervals = [paired_difference_interval(int(one), int(other), samples) for one, other, _ in counts]
    covered = np.mean([low <= lost - won <= high for low, high in intervals])
    assert covered >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / 2000) - 0.01  # the interval is approximate


@pytest.mark.parametrize("risk", [Risk.DISAGREEMENT, Risk.HARM])
def test_no_certified_policy_breaks_the_bound_more_often_than_stated(risk: Risk) -> None:
    candidates = [FittedPolicy(ConfidenceThreshold(t, HEADS), "toy") for t in np.linspace(0.6, 1.0, 25).tolist()]
    truth = {one.policy: failures_of(one.policy, CROWD, risk) / CROWD.samples for one in candidates}
    rng = np.random.default_rng(0)
    broken = found_any = 0
    for _ in range(REPETITIONS):
        found = guarantees(candidates, rng.permutation(CROWD.samples)[:1200], 400, risk)
        found_any += bool(found)
        broken += any(truth[one.chosen.fitted.policy] > BOUND for one in found)
    assert found_any > 0.75 * REPETITIONS
    assert broken <= (1 - CONFIDENCE) * REPETITIONS + BAND


def test_fitting_on_the_records_that_order_changes_nothing() -> None:
    """Fitted, ordered and certified anew each time, and the one that looks best on the certifying records is taken."""
    rng = np.random.default_rng(1)
    repetitions, broken, found_any = 60, 0, 0
    for _ in range(repetitions):
        rows_N = rng.permutation(CROWD.samples)
        calibration = rows(CROWD, rows_N[:300], "calibration")
        candidates = fit_candidates(["no-recall"], calibration, COSTS)[::4]
        found = guarantees(candidates, rows_N[:1100], 300, Risk.DISAGREEMENT)
        if not found:
            continue
        found_any += 1
        luckiest = min(found, key=lambda one: (one.failures, one.chosen.outcome.mean_s))
        rest = rows(CROWD, rows_N[1100:], "test")
        for one in {id(luckiest): luckiest, id(found[-1]): found[-1]}.values():
            failures = failures_of(one.chosen.fitted.policy, rest, Risk.DISAGREEMENT)
            broken += failures / rest.samples > BOUND
    assert found_any > repetitions / 2
    assert broken <= (1 - CONFIDENCE) * repetitions + 2 * math.sqrt(repetitions * CONFIDENCE * (1 - CONFIDENCE))


def guarantees(candidates: Sequence[FittedPolicy], rows_N: Ints, ordering: int, risk: Risk) -> list[Guarantee]:
    """What the rows after the first ones certify. rows_N: of the crowd."""
    first, others = rows(CROWD, rows_N[:ordering], "calibration"), rows(CROWD, rows_N[ordering:], "validation")
    try:
        return certified(candidates, first, others, COSTS, bound=BOUND, confidence=CONFIDENCE, risk=risk)
    except InfeasibleError:
        return []


def rows(records: ExitRecords, rows_N: Ints, split: str) -> ExitRecords:
    """Some samples of the records as a split of their own."""
    return replace(records.taken(rows_N), split=split)
