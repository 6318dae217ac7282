"""Choosing so that the drop holds on samples nobody has seen: the rule, its refusals, and what it is for."""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.careful_choice import choose_carefully, fastest_of, judge
from ttamer.exits.evaluate import FittedPolicy, best_within_drop, evaluate, fit_candidates
from ttamer.exits.mixture import Mixture
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.replay import replay
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.records import ExitRecords

COSTS = even_costs()
KINDS = ("last-exit", "confidence-threshold", "no-recall")


def splits(seed: int, samples: int = 300) -> tuple[ExitRecords, ExitRecords, ExitRecords]:
    calibration = plausible_records(3 * seed, samples, split="calibration")
    validation = plausible_records(3 * seed + 1, samples, split="validation", first=10_000)
    return calibration, validation, plausible_records(3 * seed + 2, 4000, first=20_000)


def drop_on(fitted: FittedPolicy, records: ExitRecords) -> float:
    return float(records.accuracy_K()[-1]) - evaluate(fitted, records).accuracy


def test_a_loss_is_that_of_the_worse_split_raised_by_standard_errors() -> None:
    calibration, validation, _ = splits(0)
    fixed = FittedPolicy(FixedExit(2), "toy")
    for caution in (0.0, 1.0):
        (judged,) = judge([fixed], calibration, validation, COSTS, caution=caution)
        losses = []
        for records in (calibration, validation):
            lost_N = records.correct_NK()[:, -1].astype(float) - records.correct_NK()[:, 2]
            losses.append(lost_N.mean() + caution * lost_N.std() / np.sqrt(records.samples))
        assert judged.loss == pytest.approx(max(losses))
        assert judged.mean_s == pytest.approx(3 * 0.001 + 0.0001)


def test_the_choice_keeps_the_drop_on_new_samples_where_the_luckiest_of_many_does_not() -> None:
    careful, lucky = [], []
    for seed in range(12):
        calibration, validation, test = splits(seed)
        candidates = fit_candidates(KINDS, calibration, COSTS)
        chosen = choose_carefully(candidates, calibration, validation, COSTS, 0.02)
        careful.append(drop_on(chosen.fitted, test))
        lucky.append(drop_on(best_within_drop(candidates, validation, COSTS, 0.02).fitted, test))
    assert np.mean(careful) < 0.02 < np.mean(lucky)


def test_a_mixture_is_chosen_where_it_is_faster_and_keeps_the_drop_on_both_splits() -> None:
    calibration, validation, _ = splits(1, 3000)
    candidates = [FittedPolicy(FixedExit(2), "toy"), FittedPolicy(LastExit(), "toy")]
    chosen = choose_carefully(candidates, calibration, validation, COSTS, 0.01)
    assert isinstance(chosen.fitted.policy, Mixture)
    (judged,) = judge([chosen.fitted], calibration, validation, COSTS)
    assert judged.loss <= 0.01 + 1e-9
    assert chosen.outcome.mean_s is not None
    assert chosen.outcome.mean_s < COSTS.path_s_K(LastExit().heads_K(6))[-1]


def test_the_fastest_is_chosen_of_those_within_the_drop_and_none_where_there_is_none() -> None:
    calibration, validation, _ = splits(2)
    candidates = [FittedPolicy(FixedExit(exit), "toy") for exit in range(5)] + [FittedPolicy(LastExit(), "toy")]
    judged = judge(candidates, calibration, validation, COSTS)
    best = fastest_of(judged, 0.05)
    assert best is not None
    assert all(one.mean_s >= best.mean_s for one in judged if one.loss <= 0.05)
    assert fastest_of(judged[:1], 0.0) is None
    with pytest.raises(InfeasibleError, match=r"no candidate is sure to lose at most 0\.0000 on validation"):
        choose_carefully(candidates[:1], calibration, validation, COSTS, 0.0)


def test_what_was_fitted_on_the_splits_it_is_chosen_by_is_refused() -> None:
    calibration, validation, _ = splits(3)
    with pytest.raises(InputError, match="was fitted on these records"):
        judge(fit_candidates(KINDS, validation, COSTS), calibration, validation, COSTS)
    with pytest.raises(InputError, match="a fixed-exit policy for 'other' cannot be evaluated on records of 'toy'"):
        judge([FittedPolicy(FixedExit(0), "other")], calibration, validation, COSTS)


def test_a_replay_counts_what_an_evaluation_counts() -> None:
    calibration, _, test = splits(4)
    for fitted in fit_candidates(("dynamic-index", "skippable-index", "record-recall"), calibration, COSTS)[::40]:
        one, outcome = replay(fitted.policy, test, COSTS), evaluate(fitted, test, COSTS)
        assert one.right_N.mean() == pytest.approx(outcome.accuracy)
        assert one.agrees_N.mean() == pytest.approx(outcome.agreement)
        assert one.recalled_N.mean() == pytest.approx(outcome.recall_share)
        assert one.seconds_N.mean() == pytest.approx(outcome.mean_s)
