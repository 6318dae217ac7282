"""Comparing every policy on the same records: the rows, the refusals, and the table that is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.comparison_document import RecordComparison, write_comparison
from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.exits.policies import ORACLES, POLICIES
from ttamer.exits.record_comparison import CHOSEN, compare_policies
from ttamer.profiles.errors import InputError
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords

COSTS = even_costs()


def splits(samples: int = 500) -> dict[str, ExitRecords]:
    return {
        split: plausible_records(number, samples, split=split, first=10_000 * number)
        for number, split in enumerate(("calibration", "validation", "test"))
    }


@pytest.fixture(scope="module")
def comparison() -> RecordComparison:
    return compare_policies(splits(), COSTS, max_drop=0.02)


def test_every_kind_the_choice_and_every_oracle_have_a_row(comparison: RecordComparison) -> None:
    assert [row.policy for row in comparison.rows] == [*POLICIES, CHOSEN, *ORACLES]
    assert [row.role for row in comparison.rows] == ["policy"] * len(POLICIES) + ["chosen"] + ["bound"] * 3


def test_every_number_is_that_of_an_evaluation_on_test_within_its_interval(comparison: RecordComparison) -> None:
    test = splits()["test"]
    for row in comparison.rows:
        if row.found is None or row.spec is None:
            continue
        outcome = evaluate(FittedPolicy.from_spec(row.spec), test, COSTS)
        found = row.found
        assert found.accuracy.value == pytest.approx(outcome.accuracy)
        assert found.mean_s.value == pytest.approx(outcome.mean_s)
        assert found.recalled.value == pytest.approx(outcome.recall_share)
        np.testing.assert_allclose(found.stop_share, outcome.stop_share_K)
        for name in ("accuracy", "drop", "agreement", "mean_s", "p50_s", "p99_s", "saved", "throughput", "recalled"):
            measure = getattr(found, name)
            assert measure.low <= measure.value + 1e-12, name
            assert measure.value <= measure.high + 1e-12, name


def test_the_choice_is_no_slower_on_validation_than_any_kind_alone(comparison: RecordComparison) -> None:
    chosen = comparison.row(CHOSEN).expected
    assert chosen is not None
    alone = [row.expected.mean_s for row in comparison.rows if row.role == "policy" and row.expected is not None]
    assert chosen.mean_s <= min(alone) + 1e-12


def test_the_last_exit_loses_and_saves_nothing(comparison: RecordComparison) -> None:
    last = comparison.row("last-exit").found
    assert last is not None
    for measure in (last.drop, last.saved, last.throughput, last.recalled):
        assert (measure.low, measure.value, measure.high) == pytest.approx((0, 0, 0))
    assert last.p50_s == last.p99_s


def test_models_of_confidence_promise_more_than_was_found_and_rules_without_one_promise_nothing(
    comparison: RecordComparison,
) -> None:
    index, threshold = comparison.row("dynamic-index"), comparison.row("confidence-threshold")
    assert index.expected is not None
    assert index.found is not None
    assert index.expected.modelled_accuracy is not None
    assert index.expected.modelled_accuracy > index.found.accuracy.value
    assert threshold.expected is not None
    assert threshold.expected.modelled_accuracy is None


def test_the_table_holds_every_row_and_reads_back(tmp_path: Path, comparison: RecordComparison) -> None:
    table = pq.read_table(write_comparison(tmp_path / "c.parquet", comparison, Provenance())).to_pylist()
    assert [row["policy"] for row in table] == [row.policy for row in comparison.rows]
    chosen = comparison.row(CHOSEN).found
    assert chosen is not None
    written = next(row for row in table if row["policy"] == CHOSEN)
    assert (written["saved_low"], written["saved"]) == (chosen.saved.low, chosen.saved.value)
    assert RecordComparison.model_validate_json(comparison.model_dump_json()) == comparison


def test_the_same_seed_gives_the_same_comparison(comparison: RecordComparison) -> None:
    assert compare_policies(splits(), COSTS, max_drop=0.02) == comparison


def one_exit(records: ExitRecords) -> ExitRecords:
    return replace(
        records, prediction_NK=records.prediction_NK[:, :1], confidence_NK=records.confidence_NK[:, :1],
        margin_NK=None, entropy_NK=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda ones: {name: one_exit(one) for name, one in ones.items()}, "'toy' have one exit"),
        (
            lambda ones: {name: replace(one, label_N=np.ones_like(one.label_N)) for name, one in ones.items()},
            "the records of 'toy' hold one class only, 1",
        ),
        (lambda ones: ones | {"test": replace(ones["validation"], split="test")}, "validation and test share 500"),
        (
            lambda ones: ones | {"test": replace(ones["test"], model="other")},
            "of 'other' with 6 exits and the calibration",
        ),
        (
            lambda ones: ones | {"test": plausible_records(2, 50, 5, split="test", first=90_000)},
            "test records of 'toy' with 5 exits and the calibration records of 'toy' with 6 are not",
        ),
    ],
)
def test_records_that_nothing_can_be_judged_on_are_refused_by_name(spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        compare_policies(spoil(splits()), COSTS, max_drop=0.01)


def test_costs_of_another_model_are_refused() -> None:
    with pytest.raises(InputError, match="costs of 5 stages and 5 heads do not fit records of 6 exits"):
        compare_policies(splits(), even_costs(5), max_drop=0.01)
