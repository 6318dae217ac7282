"""What runs is what was evaluated, for cascades: which models are asked, which stages run, and what is answered.

Axes: N samples, K exits, V classes.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_runtime import filed, logits_of
from tests.stub_models import CountingModel
from ttamer.exits import automata
from ttamer.exits.cascade import CascadeModel
from ttamer.exits.costs import ExitCosts
from ttamer.exits.deciding import Replay, decider_of
from ttamer.exits.decision import stages_run
from ttamer.exits.mixture import KINDS, Mixture
from ttamer.exits.policies.cascade_index import CascadeIndex
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.exits.runtime import ExitingModel
from ttamer.profiles.errors import InputError

STARTS, EXITS, SAMPLES = (0, 2), 5, 40
COSTS = ExitCosts(np.array([1.0, 1.0, 2.0, 2.0, 2.0]), np.full(EXITS, 0.05), STARTS)


class Noting(CountingModel):
    """Notes which rows each stage ran for."""

    def run_stage(self, k: int, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        self.rows = getattr(self, "rows", Counter())
        self.rows.update((k, row) for row in state[0].tolist())
        return super().run_stage(k, state)


def cascade_of(logits_KNV: torch.Tensor) -> CascadeModel:
    return CascadeModel([Noting(logits_KNV[:2], "small"), Noting(logits_KNV[2:], "large")])


def sampled(family: list[Policy], count: int) -> list[Policy]:
    return [*family[:: max(1, len(family) // count)], *family[-1:]]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("batch", [1, 8])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=2)
def test_every_policy_runs_on_a_cascade_as_it_decides(kind: str, batch: int, seed: int) -> None:
    logits_KNV, label_N = logits_of(seed, SAMPLES)
    records = replace(filed(logits_KNV, label_N), starts=STARTS)
    for policy in sampled(list(KINDS[kind].family(records, COSTS)), 5):
        model = cascade_of(torch.from_numpy(logits_KNV))
        decision, exiting = policy.decide(records), ExitingModel(model, policy)
        for first in range(0, SAMPLES, batch):
            rows = slice(first, first + batch)
            answers = exiting(torch.arange(SAMPLES)[rows], numbers=range(SAMPLES)[rows])
            assert list(answers.stop_B) == decision.stop_N[rows].tolist()
            assert list(answers.answer_B) == decision.answer_N[rows].tolist()
            expected_BV = logits_KNV[decision.answer_N, np.arange(SAMPLES)][rows]
            np.testing.assert_array_equal(answers.logits_BV.numpy(), expected_BV)
        needed_NK = stages_run(decision.heads_NK(policy.heads_K(EXITS)), STARTS)
        ran_NK = np.zeros((SAMPLES, EXITS), dtype=int)
        for start, member in zip(STARTS, model.members, strict=True):
            for (k, row), times in getattr(member, "rows", Counter()).items():
                ran_NK[row, start + k] = times
        np.testing.assert_array_equal(ran_NK, needed_NK.astype(int))


@pytest.mark.parametrize("kind", ["record-recall", "skippable-index", "cascade-index", "mixture"])
def test_a_released_cascade_answers_alike_and_runs_on_to_the_last_exit(kind: str) -> None:
    logits_KNV, label_N = logits_of(3, SAMPLES)
    records = replace(filed(logits_KNV, label_N), starts=STARTS)
    for policy in sampled(list(KINDS[kind].family(records, COSTS)), 3):
        exiting = ExitingModel(cascade_of(torch.from_numpy(logits_KNV)), policy, release=True)
        answers, decision = exiting(torch.arange(SAMPLES), numbers=range(SAMPLES)), policy.decide(records)
        assert list(answers.stop_B) == decision.stop_N.tolist()
        assert list(answers.answer_B) == decision.answer_N.tolist()
        assert answers.whole_BV is not None
        np.testing.assert_array_equal(answers.whole_BV.numpy(), logits_KNV[-1])


def test_a_row_may_come_back_to_a_model_that_it_had_left() -> None:
    # Head 0, then the other model's head 2, then on with the first model at head 1, where it left off.
    policy = CascadeIndex(
        heads=(0, 1, 2), edges=((), (), ()), price=1.0, lines=(2, 1),
        loss=((0.9,), (0.1,), (0.8,)), index=((0.1,), (0.3,), (0.2,)),
    )  # fmt: skip
    logits_KNV, label_N = logits_of(5, 4)
    model = cascade_of(torch.from_numpy(logits_KNV))
    answers = ExitingModel(model, policy)(torch.arange(4))
    assert answers.stop_B == (2,) * 4
    assert answers.answer_B == (1,) * 4
    assert [member.stages for member in model.members] == [[(0, 4), (1, 4)], [(0, 4)]]
    decision = policy.decide(replace(filed(logits_KNV, label_N), starts=STARTS))
    assert decision.answer_N.tolist() == [1] * 4
    assert decision.evaluated_NK is not None
    assert decision.evaluated_NK.tolist() == [[True, True, True, False, False]] * 4


def test_a_policy_of_tables_too_large_for_an_automaton_is_run_by_asking_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(automata, "MOST_NODES", 2)
    logits_KNV, label_N = logits_of(11, SAMPLES)
    records = replace(filed(logits_KNV, label_N), starts=STARTS)
    large = [one for one in CascadeIndex.family(records, COSTS) if isinstance(decider_of(one, EXITS), Replay)]
    assert large
    for policy in sampled(large, 3):
        decision, exiting = policy.decide(records), ExitingModel(cascade_of(torch.from_numpy(logits_KNV)), policy)
        for rows in (range(1), range(SAMPLES)):
            answers = exiting(torch.tensor(rows))
            assert answers.stop_B == tuple(decision.stop_N[rows])
            assert answers.answer_B == tuple(decision.answer_N[rows])


def test_two_policies_that_leave_a_model_at_different_exits_may_be_mixed() -> None:
    logits_KNV, label_N = logits_of(8, SAMPLES)
    records = replace(filed(logits_KNV, label_N), starts=STARTS)
    policy = Mixture(first=ConfidenceThreshold(0.9, (0, 4)), second=ConfidenceThreshold(0.9, (1, 3)), share=0.5)
    answers = ExitingModel(cascade_of(torch.from_numpy(logits_KNV)), policy)(
        torch.arange(SAMPLES), numbers=range(SAMPLES)
    )
    assert list(answers.stop_B) == policy.decide(records).stop_N.tolist()


def test_models_of_other_inputs_or_classes_make_no_cascade() -> None:
    small, large = (torch.zeros(2, 3, classes) for classes in (2, 3))
    with pytest.raises(InputError, match="join models that read the same samples"):
        CascadeModel([CountingModel(small, "small"), CountingModel(large, "large")])
