"""Cascades: names, numbering, records joined by sample, and what their stages cost."""

from dataclasses import replace

import numpy as np
import pytest

from tests.synthetic_records import plausible_records
from ttamer.exits.active_heads import cascade_choices
from ttamer.exits.costs import ExitCosts
from ttamer.exits.decision import Decision, stages_run
from ttamer.exits.evaluate import best_within_drop, evaluate, fit_candidates
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.cascade import Numbering, join_records, members_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords


def pair(seed: int, samples: int, *, split: str = "test", first: int = 0) -> tuple[ExitRecords, ExitRecords]:
    """A small model of 3 exits and a large one of 5 on the same samples."""
    both = plausible_records(seed, samples, 8, split=split, first=first)
    return _part(both, "small", slice(0, 3)), _part(both, "large", slice(3, 8))


def _part(records: ExitRecords, model: str, exits: slice) -> ExitRecords:
    names = ("prediction_NK", "confidence_NK", "margin_NK", "entropy_NK")
    return replace(records, model=model, **{name: getattr(records, name)[:, exits] for name in names})


SMALL, LARGE = pair(1, 400)
COSTS = ExitCosts(np.array([1.0, 1, 1, 4, 4, 4, 4, 4]), np.full(8, 0.1), (0, 3))


def shuffled(records: ExitRecords) -> ExitRecords:
    return records.taken(np.random.default_rng(0).permutation(records.samples))


@pytest.mark.parametrize("name", ["a:", ":a", "a:b:a", ":"])
def test_a_name_that_names_no_cascade_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no cascade"):
        members_of(name)


def test_exits_are_numbered_through() -> None:
    numbering = Numbering((3, 5, 1))
    assert numbering.starts == (0, 3, 8)
    assert [numbering.place(exit) for exit in (0, 2, 3, 7, 8)] == [(0, 0), (0, 2), (1, 0), (1, 4), (2, 0)]


def test_records_are_joined_by_sample_whatever_their_order() -> None:
    joined = join_records([SMALL, shuffled(LARGE)])
    assert (joined.model, joined.exits, joined.starts) == ("small:large", 8, (0, 3))
    np.testing.assert_array_equal(joined.confidence_NK, np.hstack([SMALL.confidence_NK, LARGE.confidence_NK]))
    np.testing.assert_array_equal(joined.prediction_NK[:, 3:], LARGE.prediction_NK)
    assert joined.digest() != SMALL.digest()


def test_what_one_of_them_does_not_know_the_cascade_does_not_know() -> None:
    joined = join_records([replace(SMALL, entropy_NK=None), LARGE])
    assert joined.entropy_NK is None
    assert joined.margin_NK is not None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pair(1, 399)[1], "are not of the same samples: 1 are in one alone"),
        (pair(1, 400, first=7)[1], "are not of the same samples: 7 are in one alone"),
        (replace(LARGE, dataset="other"), r"are of synthetic \(test\) and other \(test\)"),
        (replace(LARGE, split="validation"), r"are of synthetic \(test\) and synthetic \(validation\)"),
        (replace(LARGE, label_N=1 - LARGE.label_N), "number the classes differently"),
    ],
)
def test_records_of_other_samples_are_refused(other: ExitRecords, message: str) -> None:
    with pytest.raises(InputError, match=message):
        join_records([SMALL, other])


def test_whoever_goes_on_leaves_out_what_is_left_of_a_model() -> None:
    heads_K = np.isin(np.arange(8), (1, 5))
    assert stages_run(heads_K, (0, 3)).tolist() == [True, True, False, True, True, True, False, False]
    np.testing.assert_allclose(COSTS.path_s_K(heads_K)[[1, 5]], [2.1, 14.2])
    np.testing.assert_allclose(COSTS.step_shares((1, 5)), [2.1 / 20.1, 12.1 / 20.1])


def test_a_sample_pays_for_the_stages_up_to_its_own_deepest_head_in_each_model() -> None:
    asked_NK = np.zeros((2, 8), dtype=np.bool_)
    asked_NK[0, [0, 4]] = asked_NK[1, [2, 7]] = True
    decision = Decision(np.array([4, 7]), np.array([0, 7]), asked_NK)
    np.testing.assert_allclose(COSTS.seconds_N(decision, asked_NK.any(axis=0)), [1 + 8 + 0.2, 3 + 20 + 0.2])


def test_the_mean_time_of_a_cascade_is_that_of_its_samples() -> None:
    joined = join_records([SMALL, LARGE])
    policy = ConfidenceThreshold(0.8, (1, 7))
    outcome = evaluate(policy, joined, COSTS)
    assert outcome.mean_s == pytest.approx(COSTS.seconds_N(policy.decide(joined), policy.heads_K(8)).mean())
    assert outcome.run_share_K.tolist()[:3] == [1.0, 1.0, 0.0]
    assert outcome.asked_share_K[1] == 1
    assert outcome.run_share_K[3] == outcome.asked_share_K[7] == outcome.stop_share_K[7]


def test_costs_of_a_single_model_do_not_fit_a_cascade() -> None:
    with pytest.raises(InputError, match="do not fit"):
        evaluate(ConfidenceThreshold(0.8), join_records([SMALL, LARGE]), replace(COSTS, starts=(0,)))


def test_a_cascade_is_worth_more_than_its_last_model_alone() -> None:
    splits = ("calibration", "validation", "test")
    records = {split: join_records(pair(n, 600, split=split, first=600 * n)) for n, split in enumerate(splits)}
    candidates = fit_candidates(["confidence-threshold", "record-recall"], records["calibration"], COSTS)
    best = best_within_drop(candidates, records["validation"], COSTS, 0.02)
    outcome = evaluate(best.fitted, records["test"], COSTS)
    assert outcome.mean_s is not None
    assert outcome.mean_s < 0.9 * 20.1


def test_sets_of_heads_cover_every_member_and_may_leave_out_the_middle() -> None:
    found = cascade_choices(np.array([0.6, 0.9, 0.7, 0.91, 0.8, 0.92]), (0, 2, 4))
    assert {heads[-1] for heads in found} == {5}
    assert (1, 5) in found
    assert (1, 3, 5) in found
    assert all(heads[0] < 2 and list(heads) == sorted(set(heads)) for heads in found)
