"""Variants of models by name, and models of the user's own."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ttamer.exits.catalog import resolve
from ttamer.exits.loading import load, spec_of
from ttamer.exits.published import published_accuracy
from ttamer.exits.user_model import load as load_user_model
from ttamer.exits.variants import BF16_FLAGS, has_bf16
from ttamer.profiles.errors import InputError

CPU = torch.device("cpu")
MODULE = """
import torch
from torch import nn


class Staged(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 8)])
        self.heads = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 3)])


def staged():
    return Staged(), torch.zeros(1, 4)


def plain():
    return nn.Linear(4, 5), torch.zeros(2, 4)


def pair():
    return Pair(), (torch.zeros(1, 4), torch.ones(1, 4))


class Pair(nn.Module):
    def forward(self, left, right):
        return left + right


def uneven():
    model = Staged()
    model.heads = model.heads[:1]
    return model, torch.zeros(1, 4)


def number():
    return 3


def vector():
    return nn.Flatten(0), torch.zeros(1, 4)
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder with a module of models; named after the test so that no other one is found in its place."""
    (tmp_path / f"models_{tmp_path.name}.py").write_text(MODULE)
    return str(tmp_path)


def own(folder: str, function: str) -> str:
    return f"models_{Path(folder).name}:{function}"


def test_a_variant_follows_the_name_in_one_order() -> None:
    assert resolve("resnet18+bf16+channels_last").name == "resnet18+channels_last+bf16"
    assert resolve("bert-mini+64tokens+bf16").input_shape == (64,)
    assert resolve("resnet18").variant == ()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("resnet18+channelslast", "unknown variant 'channelslast' of 'resnet18'"),
        ("resnet18+bf16+bf16", "says the same thing twice"),
        ("bert-mini+32tokens+64tokens", "says the same thing twice"),
        ("resnet18+64tokens", "'resnet18' reads images"),
        ("bert-mini+9999tokens", "9999 tokens are too many"),
        ("resnet17+bf16", "unknown model 'resnet17'"),
    ],
)
def test_a_variant_that_does_not_exist_is_refused_by_name(model: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("+", r"\+")):
        resolve(model)


def test_a_variant_is_another_model_to_a_profile() -> None:
    usual, variant = spec_of("resnet20"), spec_of("resnet20+channels_last")
    assert usual.digest() != variant.digest()
    assert (usual.dtype, spec_of("resnet20+bf16").dtype) == ("float32", "bfloat16")


def test_channels_last_answers_as_the_usual_layout_does() -> None:
    usual, variant = load("resnet20"), load("resnet20+channels_last")
    images = usual.example(2)
    assert torch.allclose(usual.run_whole(images), variant.run_whole(images), atol=1e-4)
    (state,) = variant.run_stage(0, images)
    assert state.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(usual.run_head(0, usual.run_stage(0, images)), variant.run_head(0, (state,)), atol=1e-4)


def test_channels_last_is_refused_for_texts() -> None:
    with pytest.raises(InputError, match="reads texts, which have no channels"):
        load("bert-tiny+channels_last")


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttamer.exits.variants.has_bf16", lambda device: False)
    with pytest.raises(InputError, match="7 to 27 times slower"):
        load("resnet20+bf16")


def test_bf16_computes_in_bf16_and_answers_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttamer.exits.variants.has_bf16", lambda device: True)
    usual, variant = load("bert-tiny"), load("bert-tiny+bf16")
    text = usual.example(2)
    hidden, mask = variant.run_stage(0, text)
    assert (hidden.dtype, mask.dtype) == (torch.bfloat16, torch.bool)
    answer = variant.run_whole(text)
    assert answer.dtype == torch.float32
    assert torch.allclose(usual.run_whole(text), answer, atol=0.05)


@pytest.mark.parametrize("flag", BF16_FLAGS)
def test_the_processor_says_whether_it_has_bf16(tmp_path: Path, flag: str) -> None:
    (tmp_path / "with").write_text(f"processor : 0\nflags\t\t: fpu avx2 {flag}\n")
    (tmp_path / "without").write_text("processor : 0\nflags\t\t: fpu avx2 avx512f\n")
    assert has_bf16(CPU, tmp_path / "with")
    assert not has_bf16(CPU, tmp_path / "without")
    assert not has_bf16(CPU, tmp_path / "missing")


def test_a_variant_that_computes_the_same_has_the_published_accuracy_and_another_format_has_none() -> None:
    assert published_accuracy("resnet18+channels_last")[0].accuracy == published_accuracy("resnet18")[0].accuracy
    assert published_accuracy("resnet18+bf16") == []


def test_a_compiled_variant_compiles_every_stage_and_head_and_answers_as_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call: compiled.append(call) or real(call, backend="eager"))
    usual, variant = load("bert-tiny"), load("bert-tiny+compile")
    text = usual.example(2)
    assert torch.allclose(usual.run_whole(text), variant.run_whole(text), atol=1e-4)
    assert len(compiled) == 2 * variant.exits


def test_a_plain_module_of_the_user_is_one_stage(folder: str) -> None:
    model = load_user_model(own(folder, "plain"), name="plain", folder=folder)
    assert (model.spec.exits, model.spec.classes, model.spec.input_shape) == (("output",), 5, (4,))
    assert model.run_whole(model.example(7)).shape == (7, 5)


def test_a_staged_module_of_the_user_is_measured_stage_by_stage(folder: str) -> None:
    model = load_user_model(own(folder, "staged"), name="staged", folder=folder)
    state = model.run_stage(1, model.run_stage(0, model.example(3)))
    assert torch.equal(model.run_head(1, state), model.run_whole(model.example(3)))
    assert len(model.spec.exits) == 2


def test_an_example_of_several_tensors_is_given_as_arguments(folder: str) -> None:
    model = load_user_model(own(folder, "pair"), name="pair", folder=folder)
    assert model.run_whole(model.example(2)).shape == (2, 4)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("number", "returns int"),
        ("missing", "there is no function 'missing' in "),
        ("uneven", "2 stages and 1 heads"),
        ("vector", "answers one input with shape"),
    ],
)
def test_what_is_no_model_is_refused(folder: str, function: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_user_model(own(folder, function), name=function, folder=folder)


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be called: No module named"):
        load_user_model("no_such_module_at_all:make", name="make")


def test_code_that_python_cannot_read_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "torn_code.py").write_text("\ndef make(:\n")
    with pytest.raises(InputError, match=r"torn_code\.py, line 2: "):
        load_user_model("torn_code:make", name="make", folder=str(tmp_path))


def test_answers_of_transformers_are_understood() -> None:
    class Answer:
        logits = torch.ones(1, 2)

    class Module(nn.Module):
        def forward(self, x: torch.Tensor) -> Answer:
            return Answer()

    from ttamer.exits.user_model import logits_of

    assert logits_of(Module()(torch.zeros(1))).shape == (1, 2)
    assert logits_of((torch.ones(1, 2), None)).shape == (1, 2)
