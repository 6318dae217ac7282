"""What runs is what was evaluated: a model that exits stops and answers as its policy decides on records.

Axes: N samples, K exits, V classes.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stub_models import CountingModel
from tests.synthetic_records import even_costs
from ttamer.exits.calibration import records_of
from ttamer.exits.deciding import DECIDERS, Replay, decider_of
from ttamer.exits.heads import Head, State
from ttamer.exits.loading import load
from ttamer.exits.mixture import KINDS
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.runtime import ExitingModel
from ttamer.exits.staged import StagedModel
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords, Floats

EXITS, CLASSES = 5, 3
BY_CONFIDENCE = ("last-exit", "fixed-exit", "confidence-threshold", "dynamic-index", "no-recall", "record-recall")
KNIFE_EDGE = 1e-5  # the same row in another batch has logits that differ by some 1e-6


def logits_of(seed: int, samples: int) -> tuple[Floats, np.ndarray]:
    """Logits (K, N, V) that grow surer with depth, and labels."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, CLASSES, samples)
    truth_NV = np.eye(CLASSES)[label_N]
    strength_K = np.linspace(0.5, 3.0, EXITS)
    noise_KNV = rng.normal(size=(EXITS, samples, CLASSES)) + rng.normal(size=(samples, CLASSES))
    return strength_K[:, None, None] * truth_NV + noise_KNV, label_N


def filed(logits_KNV: Floats, label_N: np.ndarray) -> ExitRecords:
    """The records of these logits as their file holds them."""
    records = records_of(
        list(logits_KNV), np.arange(len(label_N)), label_N, model="table", dataset="made", split="test",
        provenance=Provenance(),
    )  # fmt: skip
    singles = {
        name: getattr(records, name).astype(np.float32).astype(np.float64)
        for name in ("confidence_NK", "margin_NK", "entropy_NK")
    }
    return replace(records, **singles)


def settings_of(kind: str, records: ExitRecords, count: int) -> list[Policy]:
    family = list(KINDS[kind].family(records, even_costs(records.exits)))
    return [*family[:: max(1, len(family) // count)], *family[-1:]]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("batch", [1, 8])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3)
def test_every_policy_runs_as_it_decides(kind: str, batch: int, seed: int) -> None:
    logits_KNV, label_N = logits_of(seed, 40)
    records = filed(logits_KNV, label_N)
    model = CountingModel(torch.from_numpy(logits_KNV))
    for policy in settings_of(kind, records, 6):  # fitted on the same rows: some lie exactly on an edge
        decision, exiting = policy.decide(records), ExitingModel(model, policy)
        for first in range(0, 40, batch):
            rows = slice(first, first + batch)
            answers = exiting(torch.arange(40)[rows], numbers=range(40)[rows])
            assert list(answers.stop_B) == decision.stop_N[rows].tolist()
            assert list(answers.answer_B) == decision.answer_N[rows].tolist()
            expected = records.prediction_NK[np.arange(40), decision.answer_N][rows]
            assert answers.prediction_B.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", sorted(DECIDERS))
def test_a_policy_without_tables_of_its_own_is_run_by_asking_it_anew(kind: str) -> None:
    logits_KNV, label_N = logits_of(7, 24)
    records = filed(logits_KNV, label_N)
    for policy in settings_of(kind, records, 3):
        heads = decider_of(policy, EXITS).heads
        walk = Replay(policy, heads, EXITS).walk(range(24))
        left, stop_N, answer_N = list(range(24)), np.zeros(24, dtype=int), np.zeros(24, dtype=int)
        for head in heads:
            asked = [row for row in left if walk.awaits(row) == head]
            if not asked:
                continue
            answers = dict(zip(asked, walk.step(head, asked, torch.from_numpy(logits_KNV[head, asked])), strict=True))
            for row, answer in answers.items():
                if answer >= 0:
                    stop_N[row], answer_N[row] = head, answer
            left = [row for row in left if answers.get(row, -1) < 0]
        decision = policy.decide(records)
        assert not left
        np.testing.assert_array_equal(stop_N, decision.stop_N)
        np.testing.assert_array_equal(answer_N, decision.answer_N)


def _everything(model: StagedModel, state: State) -> Floats:
    """The logits (K, N, V) of every exit."""
    logits = []
    for k in range(model.exits):
        state = model.run_stage(k, state)
        logits.append(model.run_head(k, state).double().numpy())
    return np.stack(logits)


def _is_clear(policy: Policy, records: ExitRecords) -> np.ndarray:
    """Which rows decide the same however their confidences are rounded."""
    nudged = [replace(records, confidence_NK=records.confidence_NK + by) for by in (-KNIFE_EDGE, 0.0, KNIFE_EDGE)]
    low, exact, high = (policy.decide(one) for one in nudged)
    same_N = (low.stop_N == exact.stop_N) & (exact.stop_N == high.stop_N)
    return np.asarray(same_N & (low.answer_N == exact.answer_N) & (exact.answer_N == high.answer_N))


def _varied(model: StagedModel, samples: int) -> State:
    """Inputs on which the model's heads, which are random, are made to disagree: their logits are standardized."""
    torch.manual_seed(1)
    first, *rest = model.example(samples)
    if first.is_floating_point():
        first = first * torch.linspace(0.1, 3.0, samples)[:, None, None, None]
    raw_KNV = _everything(model, (first, *rest))
    for head, raw_NV in zip(model.heads, raw_KNV, strict=False):
        assert isinstance(head, Head)
        scale = 1 / raw_NV.std(axis=0).mean()
        shift_V = head.linear.bias - torch.from_numpy(raw_NV.mean(axis=0)).float()
        head.set_linear(scale * head.linear.weight, scale * shift_V)
    model.temperature_K = (*(1.0,) * len(model.heads), float(raw_KNV[-1].std(axis=0).mean()))
    return (first, *rest)


@pytest.mark.parametrize(("name", "shape"), [("resnet20", [3, 8, 8]), ("bert-tiny", [6])])
def test_real_models_run_as_their_records_say(name: str, shape: list[int]) -> None:
    model = load(name, classes=3, input_shape=shape, seed=3)
    state = _varied(model, 48)
    logits_KNV = _everything(model, state)
    label_N = logits_KNV[-1].argmax(axis=1)
    calibration = filed(logits_KNV[:, :24], label_N[:24])
    test = filed(logits_KNV[:, 24:], label_N[24:])
    for policy in (policy for kind in BY_CONFIDENCE for policy in settings_of(kind, calibration, 1)):
        decision, clear_N, exiting = policy.decide(test), _is_clear(policy, test), ExitingModel(model, policy)
        assert clear_N.mean() > 0.9
        expected_NV = logits_KNV[decision.answer_N, np.arange(24, 48)]
        for rows in [slice(row, row + 1) for row in range(8)] + [slice(first, first + 8) for first in (0, 8, 16)]:
            answers, clear_B = exiting(*(part[24:][rows] for part in state)), clear_N[rows]
            assert (np.array(answers.stop_B) == decision.stop_N[rows])[clear_B].all()
            assert (np.array(answers.answer_B) == decision.answer_N[rows])[clear_B].all()
            np.testing.assert_allclose(answers.logits_BV.numpy()[clear_B], expected_NV[rows][clear_B], atol=1e-3)
