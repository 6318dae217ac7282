"""Apparate and its baselines against numbers made with the released code on the published BERT records."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ttamer.exits.apparate.controller import Controller
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.language import LanguageController
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.placement import add_greedily, place_initially
from ttamer.exits.apparate.replay import replay
from ttamer.exits.apparate.tuner import Compat, tune, tune_exactly
from ttamer.exits.apparate.vision import VisionController
from ttamer.exits.evaluate import Outcome, evaluate
from ttamer.exits.policies import ORACLES
from ttamer.exits.policies.entropy import EntropyThreshold
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.patience import Patience
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.exits.record_importers.imported import all_records
from ttamer.exits.record_importers.long_csv import read_long_csv
from ttamer.profiles.records import ExitRecords

# milliseconds stand for seconds here: only ratios matter
LAYER, RAMP, EXITS = 0.622, 0.106, 12
LATENCY = RampLatency(LAYER * np.arange(1, EXITS + 1), np.full(EXITS, RAMP))
RECORDS = Path("data/exits/no_licence_stated/div290_bert12_sst2dev/df.csv")
TRACES = [(kind, batch) for kind in ("cv", "nlp") for batch in (8, 16, 64)]
BOOTSTRAP = 87  # samples; the others are the stream


@pytest.fixture(scope="module")
def records(shared: Path) -> ExitRecords:
    if not (shared / RECORDS).is_file():
        pytest.skip(f"needs {shared / RECORDS}")
    return all_records(read_long_csv(shared / RECORDS))


@pytest.fixture(scope="module")
def feedback(records: ExitRecords) -> Feedback:
    return Feedback.of(records)


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Any]:
    path = golden / "apparate" / "golden_bert.json"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    entries: dict[str, Any] = json.loads(path.read_text())
    return entries


def _baseline(name: str) -> Policy:
    rule = re.split(r">=|<|_(?=\d)", name)
    heads = tuple(range(EXITS))
    if name == "always_last":
        return LastExit()
    if rule[0] == "conf":
        return ConfidenceThreshold(float(rule[1]))
    if rule[0] == "entropy":
        return EntropyThreshold(heads=heads, thresholds=(float(rule[1]),) * (EXITS - 1))
    assert rule[0] == "pabee"
    return Patience(heads=heads, patience=int(rule[1]))


def test_the_baselines_stop_answer_and_cost_as_known(records: ExitRecords, expected: dict[str, Any]) -> None:
    cases = {name: entry for name, entry in expected.items() if not name.startswith(("apparate", "oracle"))}
    assert len(cases) >= 17
    costs = ExitCosts(np.full(EXITS, LAYER), np.append(np.full(EXITS - 1, RAMP), 0.0))
    for name, entry in cases.items():
        _compare(evaluate(_baseline(name), records, costs), entry, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("oracle_correct_label", "oracle-first-correct"),
        ("oracle_agree_final", "oracle-first-agreeing"),
        ("oracle_agree_stable", "oracle-first-stable"),
    ],
)
def test_the_oracles_bound_as_known(records: ExitRecords, expected: dict[str, Any], name: str, kind: str) -> None:
    costs = ExitCosts(np.full(EXITS, LAYER), np.zeros(EXITS))
    _compare(evaluate(ORACLES[kind].from_params({}), records, costs), expected[name], name)


def _compare(outcome: Outcome, entry: dict[str, Any], name: str) -> None:
    assert outcome.accuracy == pytest.approx(entry["acc"], abs=1e-4), name
    assert outcome.agreement == pytest.approx(entry["agree"], abs=1e-4), name
    assert outcome.mean_s == pytest.approx(entry["lat"], abs=1e-4), name
    assert np.rint(outcome.stop_share_K * outcome.samples).astype(int).tolist() == entry["exits"], name


def test_the_greedy_search_finds_the_released_thresholds(feedback: Feedback, expected: dict[str, Any]) -> None:
    cases = {name: entry for name, entry in expected.items() if name.startswith("apparate_tune_budget")}
    assert cases
    for name, entry in cases.items():
        budget, ramps = name.removeprefix("apparate_tune_budget").split("_ramps")
        tuned = tune(feedback, LATENCY, json.loads(ramps), float(budget), compat=Compat.RELEASED)
        np.testing.assert_allclose(tuned.thresholds, entry["thresholds"], atol=1e-4, err_msg=name)
        np.testing.assert_allclose(tuned.exit_share, entry["exit_rate"], atol=1e-5, err_msg=name)
        assert tuned.cut_pct == pytest.approx(entry["latency_improvement_pct"], abs=1e-4)
        assert tuned.agreement == pytest.approx(entry["agree"], abs=1e-7)


def test_greedy_addition_places_the_released_ramps(feedback: Feedback, expected: dict[str, Any]) -> None:
    cases = {name: entry for name, entry in expected.items() if name.startswith("apparate_ramp_addition")}
    assert cases
    for name, entry in cases.items():
        most, tail = name.removeprefix("apparate_ramp_addition_n").split("_tail")
        placed = add_greedily(
            feedback, LATENCY, int(most), max_disagreement=0.01, tail_budget=float(tail), compat=Compat.RELEASED
        ).tuned
        assert placed is not None
        assert list(placed.ramps) == entry["ramps"]
        np.testing.assert_allclose(placed.thresholds, entry["thresholds"], atol=1e-4)
        np.testing.assert_allclose(placed.exit_share, entry["exit"], atol=1e-5)
        assert placed.cut_pct == pytest.approx(entry["imp"], abs=1e-4)


@pytest.mark.parametrize(
    ("ramps", "budget", "exact", "greedy"),
    [
        ((3, 7), 0.01, 36.82, 36.78),
        ((1, 5), 0.01, 41.34, 41.34),
        ((4, 8), 0.01, 38.42, 37.50),
        ((4, 8), 0.02, 44.25, 41.77),
    ],
)
def test_two_ramps_tuned_exactly_save_what_is_known(
    feedback: Feedback, ramps: tuple[int, int], budget: float, exact: float, greedy: float
) -> None:
    assert tune_exactly(feedback, LATENCY, ramps, budget).cut_pct == pytest.approx(exact, abs=0.005)
    assert tune(feedback, LATENCY, ramps, budget, compat=Compat.RELEASED).cut_pct == pytest.approx(greedy, abs=0.005)


@pytest.mark.parametrize(("kind", "batch"), TRACES)
def test_the_controller_follows_the_released_trace(feedback: Feedback, golden: Path, kind: str, batch: int) -> None:
    path = golden / "apparate" / f"apparate_trace_{kind}_bs{batch}.csv"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    trace = pd.read_csv(path)
    rng = np.random.default_rng(0)
    stream = np.arange(BOOTSTRAP, feedback.samples)
    passes = 40 if batch == 64 else 12
    order = np.concatenate([rng.permutation(stream) for _ in range(passes)])[: len(trace) * batch]
    served = replay(_controller(kind, feedback), feedback, order, batch).batches
    assert len(served) == len(trace)
    assert [list(one.ramps) for one in served] == [[int(r) for r in row.split("|")] for row in trace["ramp_ids"]]
    for one, row in zip(served, trace.itertuples(), strict=True):
        np.testing.assert_allclose(one.thresholds, _numbers(row.thresholds), atol=1e-4, err_msg=f"batch {row.batch}")
        np.testing.assert_allclose(one.exit_share, _numbers(row.exit_rates), atol=1e-5, err_msg=f"batch {row.batch}")
        assert one.agreement == pytest.approx(row.batch_agreement, abs=1e-5)
        assert one.cut_pct == pytest.approx(row.batch_latency_improvement_pct, abs=1e-4)


def _controller(kind: str, feedback: Feedback) -> Controller:
    controller = {"cv": VisionController, "nlp": LanguageController}[kind]
    bootstrap = feedback.rows(slice(0, BOOTSTRAP))
    ramps = place_initially(bootstrap, LATENCY, controller.most_ramps, compat=Compat.RELEASED)
    return controller({1: LATENCY}, ramps, compat=Compat.RELEASED)


def _numbers(cell: object) -> list[float]:
    return [float(number) for number in str(cell).split("|")]
