"""A batch on its way through a model: what every part is given, in order and out of it."""

from typing import Any

import pytest

from ttamer.profiles.profile import ModelSpec
from ttamer.profiling.passage import Passage


class Counted:
    """A model of counters: a state names the stages it has come through, one run of a stage differs from the next."""

    spec = ModelSpec(
        name="counted", family="mine", classes=2, input_shape=(1,), exits=("a", "b", "c"), head="gap-linear"
    )

    def __init__(self) -> None:
        self.runs: list[int] = []

    def example(self, batch: int) -> tuple[str, ...]:
        return ()

    def run_stage(self, k: int, state: tuple[str, ...]) -> tuple[str, ...]:
        assert len(state) == k
        self.runs.append(k)
        return (*state, f"{k}:{len(self.runs)}")

    def run_head(self, k: int, state: Any) -> Any:
        return state

    def ask_head(self, k: int, state: tuple[str, ...]) -> Any:
        assert len(state) == k + 1
        return state

    def run_whole(self, state: Any) -> Any:
        raise AssertionError("a passage goes part by part")


def passed(passage: Passage) -> Any:
    """What the heads say of one pass in order."""
    said = []
    for k in range(3):
        passage.come_to(k)
        passage.run_stage(k)
        passage.come_to(k + 1)
        said.append(passage.ask_head(k))
    return said


def test_in_order_every_part_gets_what_was_left_and_no_stage_runs_twice() -> None:
    model = Counted()
    passage = Passage(model, model.example(1))
    assert passed(passage) == [("0:1",), ("0:1", "1:2"), ("0:1", "1:2", "2:3")]
    assert passed(passage)[2] == ("0:4", "1:5", "2:6")
    assert model.runs == [0, 1, 2] * 2


def test_a_stage_that_is_repeated_has_the_same_input_and_its_last_output_goes_on() -> None:
    model = Counted()
    passage = Passage(model, model.example(1))
    passage.come_to(1)
    for _ in range(3):
        passage.run_stage(1)
    passage.come_to(2)
    assert passage.ask_head(1) == ("0:1", "1:4")


@pytest.mark.parametrize(("skipped", "runs"), [(0, [0]), (2, [0, 1, 2])])
def test_stages_that_were_left_out_are_run_before_a_head_is_asked(skipped: int, runs: list[int]) -> None:
    model = Counted()
    passage = Passage(model, model.example(1))
    passage.come_to(skipped + 1)
    assert len(passage.ask_head(skipped)) == skipped + 1
    assert model.runs == runs


def test_going_back_begins_anew_from_the_example() -> None:
    model = Counted()
    passage = Passage(model, model.example(1))
    passed(passage)
    passage.come_to(1)
    assert model.runs == [0, 1, 2, 0]
