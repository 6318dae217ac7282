"""Choosing models whose accuracies mean the same thing."""

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.model_choice import choose_models, last_exit_row
from ttamer.profiles.errors import InputError
from ttamer.profiles.service import Service, Stage

MIXED = (
    ModelPlan(name="cat", dataset="pets"),
    ModelPlan(name="dog", dataset="pets", source="published"),
    ModelPlan(name="red", dataset="colours"),
    ModelPlan(name="mystery", accuracy=None),
)


def service(*models: str, device: str = "cpu") -> Service:
    return Service(slo_s=0.2, rate_rps=10, stages=(Stage(models=models),), device=device)  # type: ignore[arg-type]


def test_the_data_set_with_most_models_is_planned_and_the_rest_is_named() -> None:
    (choice,) = choose_models(make_profile(MIXED), service())
    assert (choice.models, choice.dataset) == (("cat", "dog"), "pets")
    assert choice.notes == (
        "compared on pets; left out, for accuracy on another data set or on none: red (colours), mystery (unknown) "
        "(plan them by name: --models red,mystery)",
    )


def test_of_data_sets_with_as_many_models_the_measured_one_wins() -> None:
    models = (ModelPlan(name="a", dataset="first", source="published"), ModelPlan(name="b", dataset="second"))
    (choice,) = choose_models(make_profile(models), service())
    assert choice.dataset == "second"


def test_models_named_by_the_user_must_share_a_data_set() -> None:
    with pytest.raises(InputError) as caught:
        choose_models(make_profile(MIXED), service("cat", "red"))
    assert str(caught.value) == (
        "the models of stage 'serve' cannot share a load, their accuracies are of different data sets: "
        "cat (pets), red (colours) (plan the models of one data set at a time with --models)"
    )


def test_a_model_of_unknown_accuracy_cannot_be_compared_with_a_known_one() -> None:
    with pytest.raises(InputError, match=r"mystery \(unknown\)"):
        choose_models(make_profile(MIXED), service("cat", "mystery"))


def test_a_model_of_unknown_accuracy_can_be_planned_alone() -> None:
    (choice,) = choose_models(make_profile(MIXED), service("mystery"))
    assert (choice.models, choice.dataset) == (("mystery",), None)


def test_without_any_accuracy_every_model_competes_and_a_note_says_so() -> None:
    models = (ModelPlan(name="a", accuracy=None), ModelPlan(name="b", accuracy=None))
    (choice,) = choose_models(make_profile(models), service())
    assert choice.models == ("a", "b")
    assert "no accuracy is known" in choice.notes[0]


def test_an_unknown_model_is_named_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean 'cat'"):
        choose_models(make_profile(MIXED), service("cta"))


def test_a_device_that_was_not_measured_is_refused_with_the_command_that_measures_it() -> None:
    with pytest.raises(InputError, match="run: ttamer profile cat dog mystery red --device cuda -p made-up"):
        choose_models(make_profile(MIXED), service(device="cuda"))
    with pytest.raises(InputError, match="ttamer profile cat --device cuda"):
        choose_models(make_profile(MIXED), service("cat", device="cuda"))


def test_the_accuracy_of_the_last_exit_is_taken_and_of_no_other() -> None:
    profile = make_profile((ModelPlan(name="a", exits=3, accuracy=0.8),))
    row = last_exit_row(profile, "a", "synthetic")
    assert row is not None
    assert (row.exit, row.accuracy) == (2, 0.8)
    assert last_exit_row(profile, "a", "elsewhere") is None
