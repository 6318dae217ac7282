"""The rules of published early-exit methods, on samples small enough to follow by hand.

Axes: N samples, K exits.
"""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import evaluate
from ttamer.exits.policies import ORACLES
from ttamer.exits.policies.apparate import Apparate
from ttamer.exits.policies.budgeted_batch import BudgetedBatch
from ttamer.exits.policies.entropy import EntropyThreshold
from ttamer.exits.policies.most_confident import MostConfident
from ttamer.exits.policies.patience import Patience
from ttamer.exits.policies.per_exit_thresholds import PerExitThresholds
from ttamer.exits.policies.skippable_index import SkippableIndex
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords

HEADS = (0, 1, 2)


def records_of(confidence: object, prediction: object = None, label: object = None) -> ExitRecords:
    confidence_NK = np.array(confidence, dtype=np.float64)
    N = len(confidence_NK)
    return ExitRecords(
        model="m", dataset="d", split="test", sample_N=np.arange(N),
        label_N=np.zeros(N, dtype=np.int64) if label is None else np.array(label),
        prediction_NK=np.zeros(confidence_NK.shape, dtype=np.int64) if prediction is None else np.array(prediction),
        confidence_NK=confidence_NK, entropy_NK=1 - confidence_NK,
    )  # fmt: skip


def test_a_confidence_equal_to_its_exits_threshold_stops() -> None:
    policy = PerExitThresholds(heads=HEADS, thresholds=(0.9, 0.6))
    records = records_of([[0.9, 0.1, 0.1], [0.89, 0.6, 0.1], [0.89, 0.59, 0.1]])
    assert policy.decide(records).stop_N.tolist() == [0, 1, 2]


def test_an_entropy_equal_to_its_threshold_goes_on() -> None:
    policy = EntropyThreshold(heads=HEADS, thresholds=(0.25, 0.25))
    assert policy.decide(records_of([[0.75, 0.75, 0.1], [0.76, 0.1, 0.1]])).stop_N.tolist() == [2, 0]


def test_a_doubt_equal_to_its_threshold_goes_on_and_a_threshold_of_0_is_off() -> None:
    policy = Apparate(heads=HEADS, thresholds=(0.25, 0.0))
    assert policy.decide(records_of([[0.75, 1.0, 0.1], [0.76, 0.1, 0.1]])).stop_N.tolist() == [2, 0]


def test_patience_starts_anew_when_the_answer_changes() -> None:
    prediction = [[1, 1, 1, 1, 0], [0, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]]
    policy = Patience(heads=(0, 1, 2, 3, 4), patience=2)
    assert policy.decide(records_of(np.full((4, 5), 0.5), prediction)).stop_N.tolist() == [2, 3, 4, 4]


def test_where_no_exit_is_sure_the_most_confident_answers_the_first_of_equals() -> None:
    policy = MostConfident(heads=HEADS, threshold=0.9)
    decision = policy.decide(records_of([[0.5, 0.95, 0.99], [0.5, 0.8, 0.7], [0.7, 0.7, 0.6], [0.5, 0.6, 0.9]]))
    assert decision.stop_N.tolist() == [1, 2, 2, 2]
    assert decision.answer_N.tolist() == [1, 1, 0, 2]


def test_a_ratio_of_one_shares_a_budgeted_batch_out_evenly() -> None:
    calibration = plausible_records(3, 900, 3, split="calibration")
    policy = BudgetedBatch.family(calibration, even_costs(3))[19]  # ratio 20/20
    shares = evaluate(policy, calibration, even_costs(3)).stop_share_K
    np.testing.assert_allclose(shares, 1 / 3, atol=0.005)


def test_records_without_entropy_have_no_entropy_policy_and_say_so() -> None:
    bare = ExitRecords(
        model="m", dataset="d", split="test", sample_N=np.arange(2), label_N=np.zeros(2, dtype=np.int64),
        prediction_NK=np.zeros((2, 3), dtype=np.int64), confidence_NK=np.full((2, 3), 0.5),
    )  # fmt: skip
    assert EntropyThreshold.family(bare, even_costs(3)) == []
    with pytest.raises(InputError, match="hold no entropy"):
        EntropyThreshold(heads=HEADS, thresholds=(0.1, 0.1)).decide(bare)


def test_a_target_precision_is_kept_at_every_exit_on_the_calibration_records() -> None:
    calibration = plausible_records(3, 2000, 4, split="calibration")
    target = float(calibration.accuracy_K()[-1]) - 0.01
    for policy in PerExitThresholds.family(calibration, even_costs(4))[13:14]:
        stop_N = policy.decide(calibration).stop_N
        for head in policy.heads[:-1]:
            here_N = stop_N == head
            if here_N.any():
                assert calibration.correct_NK()[here_N, head].mean() > target - 0.06


def test_thresholds_of_another_number_are_refused() -> None:
    with pytest.raises(InputError, match="3 thresholds for 3 heads"):
        PerExitThresholds(heads=HEADS, thresholds=(0.1, 0.2, 0.3))
    with pytest.raises(InputError, match="patience of 0"):
        Patience(heads=HEADS, patience=0)


def test_skipped_heads_are_not_paid_and_the_union_prices_the_policy_from_above() -> None:
    calibration, costs = plausible_records(3, 2000, 6, split="calibration"), even_costs(6, head_s=0.0006)
    records = plausible_records(4, 2000, 6, first=5000)
    skips = 0
    for policy in SkippableIndex.family(calibration, costs):
        decision, outcome = policy.decide(records), evaluate(policy, records, costs)
        union_s = float(outcome.stop_share_K @ costs.path_s_K(outcome.heads_K))
        paid_s = np.cumsum(costs.stage_s_K)[decision.stop_N] + decision.heads_NK(outcome.heads_K) @ costs.head_s_K
        assert outcome.mean_s is not None
        assert outcome.mean_s == pytest.approx(paid_s.mean())
        skips += outcome.mean_s < union_s - 1e-12
    assert skips > 6


def test_oracles_know_the_label_the_last_exit_and_the_future() -> None:
    records = records_of(np.full((3, 3), 0.5), [[1, 0, 1], [1, 1, 1], [0, 1, 0]], [0, 0, 0])
    stops = {kind: ORACLES[kind].from_params({}).decide(records).stop_N.tolist() for kind in ORACLES}
    assert stops == {
        "oracle-first-correct": [1, 2, 0], "oracle-first-agreeing": [0, 0, 0], "oracle-first-stable": [2, 0, 2],
    }  # fmt: skip
