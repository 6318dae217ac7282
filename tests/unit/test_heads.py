"""Heads pool what they say they pool, and survive being written and read."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ttamer.exits.checkpoints import FittedHeads, backbone_digest, read_heads, write_heads
from ttamer.exits.heads import HEADS, Head, first_token, global_average, grid_average, make_heads, masked_mean
from ttamer.exits.loading import load
from ttamer.exits.staged import StagedModel
from ttamer.profiles.errors import DocumentError, InputError

SMALL = {"input_shape": (3, 8, 8), "classes": 3}


def _fitted(model: StagedModel, **changes: object) -> FittedHeads:
    generator = torch.Generator().manual_seed(0)
    linears = [head.linear for head in model.heads if isinstance(head, Head)]
    facts: dict = {
        "model": model.spec.name, "head": model.spec.head, "classes": model.spec.classes, "exits": model.spec.exits,
        "backbone": backbone_digest(model), "temperature_K": tuple(1.0 + k / 10 for k in range(model.exits)),
        "weights": tuple(torch.randn(layer.weight.shape, generator=generator) for layer in linears),
        "biases": tuple(torch.randn(layer.bias.shape, generator=generator) for layer in linears),
    }  # fmt: skip
    return FittedHeads(**(facts | changes))


def test_gap_is_the_mean_of_each_channel() -> None:
    x = torch.randn(2, 3, 5, 7)
    assert torch.allclose(global_average((x,)), x.flatten(2).mean(dim=2))


def test_pool4_keeps_a_grid_in_the_first_half_of_the_blocks_only() -> None:
    heads = make_heads("pool4", [16, 16, 32, 32], 10, last=False)
    assert [head.linear.in_features for head in heads] == [16 * 16, 16 * 16, 32]
    x = torch.randn(2, 16, 8, 8)
    assert torch.allclose(grid_average((x,))[:, 0], x[:, 0, :2, :2].mean(dim=(1, 2)), atol=1e-6)


def test_the_masked_mean_ignores_padding() -> None:
    hidden, mask = torch.randn(2, 4, 6), torch.tensor([[True, True, True, True], [True, True, False, False]])
    pooled = masked_mean((hidden, mask))
    assert torch.allclose(pooled[1], hidden[1, :2].mean(dim=0), atol=1e-6)
    assert torch.equal(first_token((hidden, mask)), hidden[:, 0])


def test_a_backbone_without_a_classifier_gets_one_head_more() -> None:
    assert len(make_heads("mean", [8, 8, 8], 2, last=True)) == 3
    assert len(make_heads("mean", [8, 8, 8], 2, last=False)) == 2


def test_an_unknown_head_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError) as refusal:
        make_heads("poll4", [8, 8], 2, last=False)
    assert str(refusal.value) == f"unknown head 'poll4' (did you mean 'pool4'? known: {', '.join(sorted(HEADS))})"


def test_written_heads_come_back_and_give_the_same_answers(tmp_path: Path) -> None:
    model = load("resnet20", **SMALL)
    fitted = _fitted(model, dataset="digits", target="teacher", seed=3)
    write_heads(tmp_path / "heads.safetensors", fitted)
    back = read_heads(tmp_path / "heads.safetensors")
    assert (back.dataset, back.target, back.seed, back.exits) == ("digits", "teacher", 3, model.spec.exits)
    assert back.temperature_K == fitted.temperature_K
    loaded = load("resnet20", input_shape=(3, 8, 8), heads_file=str(tmp_path / "heads.safetensors"))
    state = loaded.run_stage(0, loaded.example(2))
    expected = (loaded.pooled(0, state) @ fitted.weights[0].T + fitted.biases[0]) / fitted.temperature_K[0]
    assert torch.allclose(loaded.run_head(0, state), expected, atol=1e-5)
    assert loaded.spec.classes == 3


def test_the_head_of_an_exit_is_calibrated_and_the_whole_model_is_not(tmp_path: Path) -> None:
    model = load("resnet20", **SMALL)
    write_heads(tmp_path / "heads.safetensors", _fitted(model, temperature_K=(1.0,) * 8 + (4.0,)))
    loaded = load("resnet20", heads_file=str(tmp_path / "heads.safetensors"), **SMALL)
    images = state = loaded.example(2)
    for k in range(loaded.exits):
        state = loaded.run_stage(k, state)
    assert torch.allclose(loaded.run_head(8, state) * 4.0, loaded.run_whole(images), atol=1e-5)


def test_heads_of_another_backbone_are_refused(tmp_path: Path) -> None:
    write_heads(tmp_path / "heads.safetensors", _fitted(load("resnet20", **SMALL)))
    with pytest.raises(InputError, match="the heads were fitted to other weights of 'resnet20'"):
        load("resnet20", heads_file=str(tmp_path / "heads.safetensors"), seed=1, **SMALL)
    with pytest.raises(InputError, match="which differs from 'resnet32'"):
        load("resnet32", heads_file=str(tmp_path / "heads.safetensors"), **SMALL)


def test_a_foreign_or_damaged_file_of_heads_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DocumentError, match="holds no fitted heads"):
        read_heads(tmp_path / "foreign.safetensors")
    write_heads(tmp_path / "whole.safetensors", _fitted(load("resnet20", **SMALL)))
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(DocumentError, match="is damaged"):
        read_heads(tmp_path / "half.safetensors")


def test_heads_of_a_newer_version_name_the_remedy(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "new.safetensors", {"format": "ttamer/heads", "version": "99"})
    with pytest.raises(DocumentError) as refusal:
        read_heads(tmp_path / "new.safetensors")
    assert refusal.value.remedy == "install a newer ttamer"
