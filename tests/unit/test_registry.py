"""Finding things by name, and saying which name was probably meant."""

import pytest

from ttamer.profiles.registry import unknown_name

MODELS = ("bert-mini", "bert-tiny", "resnet101", "resnet18", "resnet20", "resnet32")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet21", "resnet20"),
        ("resnet3", "resnet32"),
        ("Resent18", "resnet18"),
        ("bret-mini", "bert-mini"),
        ("resnet102", "resnet101"),
    ],
)
def test_the_name_that_begins_like_the_unknown_one_is_taken_for_what_was_meant(name: str, meant: str) -> None:
    assert f"did you mean {meant!r}? known: bert-mini" in str(unknown_name("model", name, MODELS))


def test_a_name_like_no_other_is_not_guessed() -> None:
    assert "did you mean" not in str(unknown_name("model", "gpt", MODELS))
