"""A model cut into stages computes what the uncut model computes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ttamer.exits import catalog
from ttamer.exits.families.cifar_resnet import CifarResNet
from ttamer.exits.loading import load, spec_of
from ttamer.exits.staged import StagedModel, State
from ttamer.exits.torchvision_import import torchvision, transformers
from ttamer.exits.weights import read_weights
from ttamer.profiles.errors import DocumentError, InputError

TOLERANCE = 1e-5


def _stages(model: StagedModel, state: State) -> list[State]:
    states = []
    for k in range(model.exits):
        state = model.run_stage(k, state)
        states.append(state)
    return states


def _padded_batch(vocabulary: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(vocabulary, (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(12) < torch.tensor([[12], [7], [3]])
    return ids * mask, mask


def _folder(folder: Path, kind: str, *, classifier: str) -> Path:
    """A small Hugging Face folder, written by transformers: classifier is `own`, `mean` or `none`."""
    library, folder = transformers(), folder / "small-model"
    torch.manual_seed(0)
    if kind == "bert":
        config = library.BertConfig(vocab_size=90, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
                                    intermediate_size=64, num_labels=3)  # fmt: skip
        model = library.BertForSequenceClassification(config)
    else:
        config = library.DistilBertConfig(vocab_size=90, dim=32, n_layers=3, n_heads=4, hidden_dim=64, num_labels=3)
        model = library.DistilBertForSequenceClassification(config)
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    dropped = {"own": (), "mean": ("pooler", "pre_classifier"), "none": ("pooler", "pre_classifier", "classifier")}
    keep = {k: v for k, v in load_file(path).items() if not any(part in k.split(".") for part in dropped[classifier])}
    save_file(keep, path, metadata={"format": "pt"})
    return folder


def test_a_torchvision_resnet_in_stages_gives_the_logits_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision().models.resnet18(num_classes=7).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    model = load("resnet18", weights=str(tmp_path / "weights.pth"), input_shape=(3, 64, 64))
    (images,) = model.example(2)
    with torch.inference_mode():
        expected = network(images)
    assert model.spec.classes == 7
    assert (model.run_whole((images,)) - expected).abs().max() < TOLERANCE
    assert (model.run_head(7, _stages(model, (images,))[-1]) - expected).abs().max() < TOLERANCE


def test_a_resnet50_has_an_exit_after_each_of_its_sixteen_blocks() -> None:
    model = load("resnet50", classes=5, input_shape=[3, 32, 32])
    states = _stages(model, model.example(2))
    assert [state[0].shape[1] for state in states] == list(model.backbone.widths)
    assert model.spec.exits[0] == "layer1.0"
    assert model.spec.exits[-1] == "layer4.2"
    assert len(model.heads) == 15


def test_a_cifar_resnet_in_stages_gives_the_logits_of_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CifarResNet(3, 10).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    model = load("resnet20", weights=str(tmp_path / "weights.safetensors"), input_shape=(3, 16, 16))
    (images,) = model.example(2)
    with torch.inference_mode():
        expected = network(images)
    assert (model.run_whole((images,)) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_folder_in_stages_gives_every_hidden_state_and_the_logits_of_transformers(tmp_path: Path, kind: str) -> None:
    folder = _folder(tmp_path, kind, classifier="own")
    ids, mask = _padded_batch()
    name = "BertForSequenceClassification" if kind == "bert" else "DistilBertForSequenceClassification"
    original = getattr(transformers(), name).from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = original(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
    model = load(str(folder))
    for (hidden, kept), reference in zip(_stages(model, (ids, mask)), expected.hidden_states[1:], strict=True):
        assert (hidden - reference)[mask].abs().max() < TOLERANCE
        assert torch.equal(kept, mask)
    assert (model.run_whole((ids, mask)) - expected.logits).abs().max() < TOLERANCE
    assert model.spec.classes == 3
    assert model.spec.name == "small-model"


def test_a_classifier_without_a_pooler_reads_the_masked_mean(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "bert", classifier="mean")
    weights, (ids, mask) = load_file(folder / "model.safetensors"), _padded_batch()
    model = load(str(folder))
    hidden = _stages(model, (ids, mask))[-1][0]
    mean = torch.stack([row[keep].mean(dim=0) for row, keep in zip(hidden, mask, strict=True)])
    expected = mean @ weights["classifier.weight"].T + weights["classifier.bias"]
    assert (model.run_whole((ids, mask)) - expected).abs().max() < TOLERANCE


def test_a_folder_without_a_classifier_gets_a_head_on_its_last_exit_too(tmp_path: Path) -> None:
    model = load(str(_folder(tmp_path, "distilbert", classifier="none")), classes=4)
    assert len(model.heads) == model.exits == 3
    assert model.run_whole(model.example(2)).shape == (2, 4)


def test_half_precision_weights_run_as_single_precision(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "bert", classifier="own")
    path = folder / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
    model = load(str(folder))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_rows_of_a_state_can_be_dropped_between_stages(tmp_path: Path) -> None:
    model = load(str(_folder(tmp_path, "bert", classifier="own")))
    ids, mask = _padded_batch()
    whole = model.run_whole((ids, mask))
    state = tuple(part[torch.tensor([0, 2])] for part in model.run_stage(0, (ids, mask)))
    for k in range(1, model.exits):
        state = model.run_stage(k, state)
    assert (model.run_head(model.exits - 1, state) - whole[[0, 2]]).abs().max() < TOLERANCE


def test_the_same_seed_gives_the_same_model_and_leaves_torch_s_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = load("resnet20", seed=1), load("resnet20", seed=1), load("resnet20", seed=2)
    assert torch.equal(before, torch.get_rng_state())
    images = first.example(1)
    assert torch.equal(first.run_whole(images), second.run_whole(images))
    assert not torch.equal(first.run_whole(images), other.run_whole(images))


def test_the_specification_is_known_without_building_the_model(tmp_path: Path) -> None:
    save_file(CifarResNet(3, 6).state_dict(), tmp_path / "w.safetensors")
    options = {"weights": str(tmp_path / "w.safetensors"), "head": "pool4", "input_shape": (3, 16, 16)}
    assert spec_of("resnet20", **options) == load("resnet20", **options).spec
    assert spec_of("resnet20", **options).classes == 6
    assert len(spec_of("resnet20", **options).weights) == 64


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("resnet21", {}, "unknown model 'resnet21'"),
        ("resnet20", {"head": "mean"}, "unknown head 'mean' for 'resnet20'"),
        ("resnet20", {"weights": "absent.pth"}, "the weights file absent.pth does not exist"),
        ("resnet20", {"weights": "default"}, "'resnet20' has no default weights"),
        ("bert-tiny", {"weights": "default"}, "'bert-tiny' has no default weights"),
        ("resnet20", {"input_shape": (1, 28, 28)}, "input shape (1, 28, 28) has 1 channels"),
        ("bert-tiny", {"input_shape": (1024,)}, "1024 tokens are too many for 'bert-tiny'"),
        ("resnet20", {"classes": 1}, "1 classes leave nothing to classify"),
        ("resnet20", {"device": "gpu"}, "unknown device 'gpu'"),
        ("resnet20", {"heads_file": "absent.safetensors"}, "there are no fitted heads in absent.safetensors"),
    ],
)
def test_a_model_that_cannot_be_had_is_refused(model: str, options: dict, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        load(model, **options)
    assert refusal.value.message == message
    assert refusal.value.remedy


def test_weights_of_another_depth_are_refused(tmp_path: Path) -> None:
    save_file(CifarResNet(5, 10).state_dict(), tmp_path / "deeper.safetensors")
    with pytest.raises(InputError, match=r"hold the unknown 'layer1\.3\.bn1\.bias' of 'resnet20'"):
        load("resnet20", weights=str(tmp_path / "deeper.safetensors"))


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    weights = CifarResNet(3, 10).state_dict()
    weights["conv1.weight"][0] = float("nan")
    save_file(weights, tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match=r"'conv1\.weight' of 'resnet20' holds NaN"):
        load("resnet20", weights=str(tmp_path / "broken.safetensors"))


def test_a_pickled_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"linear.weight": Path("here")}, tmp_path / "code.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_weights(tmp_path / "code.pth")


def test_a_folder_of_another_model_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(InputError, match="holds a model of type 'gpt2'"):
        catalog.resolve(str(tmp_path))


def test_a_folder_with_a_broken_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DocumentError, match="is no valid JSON"):
        catalog.resolve(str(tmp_path))
