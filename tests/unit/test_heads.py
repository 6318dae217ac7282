"""Heads pool what they say they pool, and survive being written and read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ttamer.exits.checkpoints import FittedHeads, backbone_digest, read_heads, write_heads
from ttamer.exits.dense import fit_dense_layers
from ttamer.exits.features import Features
from ttamer.exits.fitting import exit_logits
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


def test_pool4_keeps_as_fine_a_grid_as_the_channels_allow() -> None:
    heads = make_heads("pool4", [16, 256, 512, 2048, 16], 10, last=False)
    assert [head.linear.in_features for head in heads] == [16 * 16, 256 * 16, 512 * 4, 2048]
    x = torch.randn(2, 16, 8, 8)
    assert torch.allclose(grid_average((x,))[:, 0], x[:, 0, :2, :2].mean(dim=(1, 2)), atol=1e-6)


def test_a_pooler_head_is_dense_tanh_and_linear_and_comes_back_from_its_file(tmp_path: Path) -> None:
    model = load("bert-tiny", input_shape=(6,), head="pooler")
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(600, 128)) for _ in model.heads]
    wanted_N = (np.abs(features[0][:, 0]) > 0.7).astype(np.int64)  # no linear layer tells these apart
    (layers,) = fit_dense_layers(features, wanted_N, 2, seed=0, progress=lambda what, share: None)
    heads = _fitted(
        model, weights=(layers.weight_VD,), biases=(layers.bias_V,),
        dense_weights=(layers.dense_weight_DD,), dense_biases=(layers.dense_bias_D,),
    )  # fmt: skip
    write_heads(tmp_path / "heads.safetensors", heads)
    loaded = load("bert-tiny", input_shape=(6,), head="pooler", heads_file=str(tmp_path / "heads.safetensors"))
    head = loaded.heads[0]
    assert isinstance(head, Head)
    logits = head.read(torch.from_numpy(features[0]).float())
    assert (logits.argmax(dim=1).numpy() == wanted_N).mean() > 0.9
    raw, *_ = exit_logits(heads, Features(np.arange(600), tuple(features), None))
    assert torch.allclose(torch.from_numpy(raw).float() / heads.temperature_K[0], logits, atol=1e-4)


def test_dense_heads_start_from_the_backbones_own_pooler() -> None:
    model = load("bert-tiny", input_shape=(6,), head="pooler")
    start = model.backbone.pooler()
    assert start is not None
    assert start.dense_weight_DD.shape == (128, 128)
    x_ND, target_N = np.random.default_rng(1).normal(size=(64, 128)), np.arange(64) % 2
    one, other = (
        fit_dense_layers([x_ND], target_N, 2, seed=0, progress=lambda what, share: None, start=begin)[0]
        for begin in (start, None)
    )
    near, far = ((layers.dense_weight_DD - start.dense_weight_DD).norm() for layers in (one, other))
    assert near < 0.8 * far


def test_heads_of_other_features_are_to_be_fitted_again(tmp_path: Path) -> None:
    model = load("resnet20", head="pool4", **SMALL)
    heads = _fitted(model, weights=tuple(torch.zeros(3, 7) for _ in range(8)))
    write_heads(tmp_path / "heads.safetensors", heads)
    with pytest.raises(InputError, match=r"read 7 features, those of this version 256 \(fit them again"):
        load("resnet20", heads_file=str(tmp_path / "heads.safetensors"), **SMALL)


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
