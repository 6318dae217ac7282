"""What every model family and every head must do, checked over the registries."""

import pytest
import torch

from ttamer.exits.catalog import known_names, resolve
from ttamer.exits.families import FAMILIES, family
from ttamer.exits.heads import HEADS
from ttamer.exits.loading import load, spec_of
from ttamer.exits.staged import StagedModel

# A small model of each family: name, smallest sensible input.
EXAMPLES: dict[str, tuple[str, tuple[int, ...]]] = {
    "bert": ("bert-tiny", (8,)),
    "cifar_resnet": ("resnet20", (3, 16, 16)),
    "torchvision_resnet": ("resnet18", (3, 32, 32)),
}
PAIRS = [(name, kind) for name in EXAMPLES for kind in HEADS if kind in resolve(EXAMPLES[name][0]).heads]


@pytest.fixture(scope="module")
def models() -> dict[tuple[str, str], StagedModel]:
    return {(name, kind): _load(name, kind) for name, kind in PAIRS}


def _load(name: str, kind: str) -> StagedModel:
    model, shape = EXAMPLES[name]
    return load(model, classes=5, input_shape=shape, head=kind)


def test_every_family_has_an_example() -> None:
    assert set(EXAMPLES) == set(FAMILIES)


def test_every_head_fits_some_family() -> None:
    assert {kind for _, kind in PAIRS} == set(HEADS)


@pytest.mark.parametrize("name", known_names())
def test_every_known_model_belongs_to_a_family_and_takes_its_heads(name: str) -> None:
    entry = resolve(name)
    assert entry.family in FAMILIES
    assert set(entry.heads) <= set(HEADS)
    assert spec_of(name).exits == entry.exits
    assert len(set(entry.exits)) == len(entry.exits) >= 2
    assert family(entry.family).classifier.endswith(".weight")


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_exit_answers_with_a_logit_a_class(
    models: dict[tuple[str, str], StagedModel], pair: tuple[str, str]
) -> None:
    model = models[pair]
    state = model.example(3)
    for k in range(model.exits):
        state = model.run_stage(k, state)
        assert model.run_head(k, state).shape == (3, 5)
        assert torch.isfinite(model.run_head(k, state)).all()
        assert all(len(part) == 3 for part in state)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_whole_model_is_its_stages_and_its_last_exit(
    models: dict[tuple[str, str], StagedModel], pair: tuple[str, str]
) -> None:
    model = models[pair]
    images = state = model.example(2)
    for k in range(model.exits):
        state = model.run_stage(k, state)
    assert torch.equal(model.run_head(model.exits - 1, state), model.run_whole(images))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_rows_run_alone_give_what_they_give_in_a_batch(
    models: dict[tuple[str, str], StagedModel], pair: tuple[str, str]
) -> None:
    model = models[pair]
    images = model.example(4)
    state = tuple(part[torch.tensor([1, 3])] for part in model.run_stage(0, images))
    for k in range(1, model.exits):
        state = model.run_stage(k, state)
    whole = model.run_whole(images)[[1, 3]]
    assert torch.allclose(model.run_head(model.exits - 1, state), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_models_infer_only(models: dict[tuple[str, str], StagedModel], pair: tuple[str, str]) -> None:
    model = models[pair]
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.run_whole(model.example(1)).requires_grad
