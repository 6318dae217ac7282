"""The policies without a table: last exit, fixed exit, one confidence threshold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.active_heads import ends_of, head_choices
from ttamer.exits.evaluate import evaluate
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords

RECORDS = plausible_records(4)


def bert_records(shared: Path) -> ExitRecords:
    """BERT with 12 exits on the development set of SST-2, 872 samples."""
    path = shared / "data" / "exits" / "no_licence_stated" / "div290_bert12_sst2dev" / "df.csv"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    table = pd.read_csv(path).sort_values(["Sample_ID", "Exit"])
    arrays = {name: table[name].to_numpy().reshape(-1, 12) for name in ("Confidence", "Prediction", "Label")}
    return ExitRecords(
        model="bert-12",
        dataset="sst2",
        split="test",
        sample_N=np.arange(len(arrays["Label"])),
        label_N=arrays["Label"][:, 0],
        prediction_NK=arrays["Prediction"],
        confidence_NK=arrays["Confidence"],
        margin_NK=2 * arrays["Confidence"] - 1,
        entropy_NK=np.zeros_like(arrays["Confidence"]),
    )


def test_a_published_threshold_table_is_reproduced_on_bert(shared: Path) -> None:
    records = bert_records(shared)
    ramp_s = np.array([0.106] * 11 + [0.0])  # the backbone's own classifier was not charged there
    costs = ExitCosts(np.full(12, 0.622), ramp_s)
    assert evaluate(LastExit(), records).accuracy == pytest.approx(0.9025, abs=1e-4)
    for threshold, accuracy, mean_ms in ((0.9, 0.8945, 5.067), (0.95, 0.8991, 6.487)):
        outcome = evaluate(ConfidenceThreshold(threshold), records, costs)
        assert outcome.accuracy == pytest.approx(accuracy, abs=1e-4)
        assert outcome.mean_s == pytest.approx(mean_ms, abs=5e-4)


def test_a_threshold_nobody_misses_stops_everyone_at_the_first_active_head() -> None:
    assert (ConfidenceThreshold(0.0).decide(RECORDS).stop_N == 0).all()
    assert (ConfidenceThreshold(0.0, (2, 4, 5)).decide(RECORDS).stop_N == 2).all()


def test_a_threshold_nobody_reaches_is_the_last_exit() -> None:
    np.testing.assert_array_equal(ConfidenceThreshold(2.0).decide(RECORDS).stop_N, LastExit().decide(RECORDS).stop_N)


def test_a_confidence_equal_to_the_threshold_stops() -> None:
    threshold = float(RECORDS.confidence_NK[0, 0])
    assert ConfidenceThreshold(threshold).decide(RECORDS).stop_N[0] == 0


def test_the_family_of_thresholds_spans_stopping_always_to_hardly_ever() -> None:
    outcomes = [evaluate(policy, RECORDS) for policy in ConfidenceThreshold.family(RECORDS, even_costs())]
    stopping_first = [outcome.stop_share_K[0] for outcome in outcomes if outcome.heads_K.all()]
    assert max(stopping_first) > 0.8
    assert min(stopping_first) < 0.01


@pytest.mark.parametrize("heads", [(), (2, 1, 5), (1, 1, 5), (-1, 5)])
def test_heads_out_of_order_are_refused(heads: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="heads of confidence-threshold"):
        ConfidenceThreshold(0.9, heads)


def test_a_policy_for_another_number_of_exits_is_refused() -> None:
    with pytest.raises(InputError, match="last head is exit 6 cannot serve a model of 6 exits"):
        ConfidenceThreshold(0.9, (1, 6)).decide(RECORDS)
    with pytest.raises(InputError, match="fixed-exit at exit 6 of 6"):
        FixedExit(6).decide(RECORDS)


@pytest.mark.parametrize("params", [{}, {"threshold": "high"}, {"threshold": float("nan")}, {"threshold": True}])
def test_a_missing_or_impossible_threshold_is_refused_by_name(params: dict[str, object]) -> None:
    with pytest.raises(InputError, match="threshold"):
        ConfidenceThreshold.from_params(params)


@pytest.mark.parametrize("exit", [-1, 1.5, None])
def test_a_fixed_exit_that_is_no_exit_is_refused(exit: object) -> None:
    with pytest.raises(InputError, match="exit"):
        FixedExit.from_params({"exit": exit})


def test_a_policy_may_leave_the_rest_of_a_model_unused() -> None:
    decision = ConfidenceThreshold(0.9, (1, 3)).decide(RECORDS)
    assert set(decision.stop_N.tolist()) == {1, 3}
    outcome = evaluate(ConfidenceThreshold(0.9, (1, 3)), RECORDS, even_costs())
    assert outcome.reach_share_K.tolist()[4:] == [0.0, 0.0]
    assert outcome.mean_s is not None
    assert outcome.mean_s < 4 * 0.0011


def test_only_exits_about_as_accurate_as_the_last_may_end_a_policy() -> None:
    assert ends_of(np.array([0.5, 0.7, 0.9])) == [2]
    assert ends_of(np.array([0.5, 0.91, 0.9])) == [2, 1]
    assert {heads[-1] for heads in head_choices(RECORDS)} >= {RECORDS.exits - 1}
