"""A model that really exits: which stages and heads run, on how many rows, and what comes out."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.stub_models import CountingModel, sure_logits
from ttamer.exits.automata import single_edge
from ttamer.exits.loading import load
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.exits.runtime import ExitingModel
from ttamer.exits.signals import confidences
from ttamer.profiles.errors import InputError

# Four exits; row 0 is sure at once, row 1 at exit 2, row 2 never, row 3 at exit 1.
CONFIDENCE = [[0.95, 0.6, 0.6, 0.6], [0.6, 0.6, 0.95, 0.6], [0.6, 0.6, 0.6, 0.7], [0.6, 0.92, 0.6, 0.6]]
ROWS = torch.arange(4)


@pytest.fixture
def model() -> CountingModel:
    return CountingModel(sure_logits(CONFIDENCE))


def test_rows_that_stop_leave_and_the_others_go_on(model: CountingModel) -> None:
    answers = ExitingModel(model, ConfidenceThreshold(0.9))(ROWS)
    assert answers.stop_B == answers.answer_B == (0, 2, 3, 1)
    assert model.stages == model.asked == [(0, 4), (1, 3), (2, 2), (3, 1)]


def test_after_the_last_row_has_stopped_the_trunk_runs_no_further(model: CountingModel) -> None:
    answers = ExitingModel(model, ConfidenceThreshold(0.9))(ROWS[:1])
    assert answers.stop_B == (0,)
    assert model.stages == model.asked == [(0, 1)]


def test_only_the_heads_of_the_policy_are_asked(model: CountingModel) -> None:
    ExitingModel(model, ConfidenceThreshold(0.9, (1, 3)))(ROWS)
    assert model.stages == [(0, 4), (1, 4), (2, 3), (3, 3)]
    assert model.asked == [(1, 4), (3, 3)]


@pytest.mark.parametrize(("policy", "exit"), [(LastExit(), 3), (FixedExit(1), 1)])
def test_a_policy_of_one_exit_asks_one_head(model: CountingModel, policy: LastExit | FixedExit, exit: int) -> None:
    answers = ExitingModel(model, policy)(ROWS)
    assert answers.stop_B == (exit,) * 4
    assert model.asked == [(exit, 4)]
    assert model.stages == [(k, 4) for k in range(exit + 1)]


def test_the_logits_are_those_of_the_exit_that_answers(model: CountingModel) -> None:
    answers = ExitingModel(model, ConfidenceThreshold(0.9))(ROWS)
    expected = model.backbone.logits_KNV[answers.answer_B, ROWS]
    assert torch.equal(answers.logits_BV, expected)
    assert torch.equal(answers.prediction_B, expected.argmax(dim=1))


def recalling() -> DynamicIndex:
    """Two bins a head split at 0.8: sure ones lose 0.1 at the first head and 0.2 later; nobody stops before exit 2."""
    loss = ((0.5, 0.1), (0.5, 0.2), (0.5, 0.2), (0.5, 0.2))
    index = ((0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    return DynamicIndex(heads=(0, 1, 2, 3), edges=((0.8,),) * 4, loss=loss, index=index, price=1.0)


def test_a_recalled_answer_brings_the_logits_of_the_earlier_head() -> None:
    wrong = [[False] * 4, [False] * 4, [True] * 4, [False] * 4]
    model = CountingModel(sure_logits(CONFIDENCE, wrong))
    answers = ExitingModel(model, recalling())(ROWS)
    assert answers.stop_B == (2,) * 4
    assert answers.answer_B == (0, 2, 2, 1)
    assert torch.equal(answers.logits_BV, model.backbone.logits_KNV[answers.answer_B, ROWS])
    assert model.stages == [(0, 4), (1, 4), (2, 4)]


def test_release_answers_as_early_but_the_trunk_runs_on_with_every_row(model: CountingModel) -> None:
    told: list[tuple[list[int], int]] = []

    def note(rows: Sequence[int], logits_BV: Tensor) -> None:
        told.append((list(rows), len(model.stages)))

    answers = ExitingModel(model, ConfidenceThreshold(0.9), release=True)(ROWS, on_answer=note)
    assert told == [([0], 1), ([3], 2), ([1], 3), ([2], 4)]
    assert answers.stop_B == (0, 2, 3, 1)
    assert model.stages == [(k, 4) for k in range(4)]
    assert answers.whole_BV is not None
    assert torch.equal(answers.whole_BV, model.backbone.logits_KNV[3])
    stopped = ExitingModel(CountingModel(sure_logits(CONFIDENCE)), ConfidenceThreshold(0.9))(ROWS)
    assert torch.equal(stopped.logits_BV, answers.logits_BV)
    assert stopped.whole_BV is None


def test_once_all_rows_are_released_only_the_last_head_is_still_asked(model: CountingModel) -> None:
    ExitingModel(model, ConfidenceThreshold(0.9), release=True)(ROWS[:1])
    assert model.stages == [(k, 1) for k in range(4)]
    assert model.asked == [(0, 1), (3, 1)]


def test_inputs_are_left_as_they_were(model: CountingModel) -> None:
    rows = ROWS.clone()
    ExitingModel(model, ConfidenceThreshold(0.9))(rows)
    assert torch.equal(rows, ROWS)


def test_a_head_that_answers_nan_is_an_error() -> None:
    logits_KNV = sure_logits(CONFIDENCE)
    logits_KNV[0, 2, 1] = float("nan")
    with pytest.raises(InputError, match="a head answers with NaN"):
        ExitingModel(CountingModel(logits_KNV), ConfidenceThreshold(0.9))(ROWS)


def test_a_batch_without_rows_is_refused(model: CountingModel) -> None:
    with pytest.raises(InputError, match="'table' was given 1 tensors of 0 rows"):
        ExitingModel(model, LastExit())(ROWS[:0])


def test_a_policy_for_another_number_of_exits_is_refused(model: CountingModel) -> None:
    with pytest.raises(InputError):
        ExitingModel(model, ConfidenceThreshold(0.9, (1, 4)))


def test_texts_need_no_mask_if_nothing_is_padding() -> None:
    staged = load("bert-tiny", input_shape=[8])
    ids, mask = staged.example(2)
    exiting = ExitingModel(staged, LastExit())
    assert torch.equal(exiting(ids).logits_BV, exiting(ids, mask).logits_BV)
    assert torch.equal(exiting(ids).logits_BV, staged.run_whole((ids, mask)))


@pytest.mark.parametrize("classes", [2, 10, 300])
def test_confidences_are_those_of_a_softmax_however_large_the_logits(classes: int) -> None:
    torch.manual_seed(0)
    for scale in (1.0, 50.0, 5000.0):
        logits_BV = scale * torch.randn(3, classes, dtype=torch.float64)
        expected = torch.softmax(logits_BV, dim=1).amax(dim=1)
        assert confidences(logits_BV) == pytest.approx(expected.tolist(), rel=1e-12)


def test_an_edge_is_reached_by_what_the_records_file_would_round_to_it() -> None:
    edge = float(torch.tensor(0.9).item())  # a single-precision number
    assert edge - 2e-8 > single_edge(edge) > edge - 4e-8
    assert single_edge(edge + 1e-12) > edge + 2e-8  # beyond it: the next single-precision number is needed
