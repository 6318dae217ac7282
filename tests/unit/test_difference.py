"""Two profiles beside each other: worse means that the intervals are apart."""

from dataclasses import replace

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.profiles.difference import difference
from ttamer.profiles.profile import Machine

MODEL = ModelPlan(name="toy")


def test_a_profile_does_not_differ_from_itself() -> None:
    found = difference(make_profile(), make_profile())
    assert {change.judgement for change in found.latency} == {"same"}
    assert found.regressions() == []
    assert found.is_same_machine


def test_another_run_of_the_same_thing_is_no_regression() -> None:
    found = difference(make_profile(seed=0), make_profile(seed=1), tolerance=0.01)
    assert found.regressions() == []


def test_a_slower_model_is_worse_at_every_point_and_a_faster_one_better() -> None:
    slow = make_profile([replace(MODEL, whole_s=0.012)])
    assert {change.judgement for change in difference(make_profile(), slow).latency} == {"worse"}
    assert {change.judgement for change in difference(slow, make_profile()).latency} == {"better"}
    assert difference(make_profile(), slow).latency[0].ratio == pytest.approx(1.2)


def test_a_tolerance_forgives() -> None:
    slow = make_profile([replace(MODEL, whole_s=0.0105)])
    assert difference(make_profile(), slow).regressions()
    assert not difference(make_profile(), slow, tolerance=0.1).regressions()


@pytest.mark.parametrize("verdict", ["noisy", "contended", "throttled"])
def test_a_disturbed_point_proves_nothing(verdict: str) -> None:
    slow = make_profile([replace(MODEL, whole_s=0.1)], verdicts={"toy": verdict})
    assert {change.judgement for change in difference(make_profile(), slow).latency} == {"doubtful"}


def test_points_that_only_one_profile_has_are_named() -> None:
    found = difference(make_profile(batches=(1, 2)), make_profile(batches=(2, 4)))
    assert {key.batch for key in found.gone} == {1}
    assert {key.batch for key in found.new} == {4}


def test_a_measured_accuracy_beyond_its_interval_is_a_regression_and_a_published_one_is_not_looked_at() -> None:
    worse = make_profile([replace(MODEL, accuracy=0.5)])
    (regression,) = difference(make_profile(), worse).regressions()
    assert (regression.before, regression.after) == (0.9, 0.5)  # type: ignore[union-attr]
    published = make_profile([replace(MODEL, accuracy=0.5, source="published")])
    assert difference(make_profile(), published).accuracy == ()


def test_another_machine_is_told() -> None:
    other = replace(make_profile(), machine=Machine(fingerprint="other", facts={}))
    assert not difference(make_profile(), other).is_same_machine
