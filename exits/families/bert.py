"""BERT and DistilBERT encoders: shapes by name with random weights, or a local Hugging Face folder.

Built from the layers of transformers. The state is (hidden states, mask); the mask is True where a
token is no padding. Axes: B batch, T tokens, C hidden width.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ttamer.exits.catalog import BERT_SHAPES, Entry
from ttamer.exits.dense import DenseLayers
from ttamer.exits.heads import State, first_token, masked_mean
from ttamer.exits.staged import Backbone, Family
from ttamer.exits.torchvision_import import transformers
from ttamer.exits.weights import copy_weights, read_weights
from ttamer.profiles.errors import InputError

HEAD_WIDTH = 64  # hidden units per attention head, in every published BERT shape
FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Parts of a folder's weights that no encoder needs: language-model heads, and buffers of older versions.
SURPLUS = re.compile(r"^(cls\.|vocab_|lm_head|qa_outputs)|position_ids$|token_type_ids$")


class TextBackbone(Backbone):
    """Embeddings, encoder layers, and a classifier that reads the last state (None: it has none)."""

    def __init__(self, embeddings: nn.Module, layers: Sequence[nn.Module], width: int, vocabulary: int,
                 classifier: nn.Module | None) -> None:  # fmt: skip
        super().__init__()
        self.embeddings, self.layers = embeddings, nn.ModuleList(layers)
        self.classifier = classifier
        self.vocabulary = vocabulary
        self.widths = (width,) * len(self.layers)
        self.has_classifier = classifier is not None

    def stage(self, k: int, state: State) -> State:
        """The hidden states after layer k, with their mask; before layer 0 the state is (token ids, mask)."""
        hidden, mask = state
        if k == 0:
            hidden = self.embeddings(input_ids=hidden)
        # Added to the attention scores; this form suits every attention implementation of transformers.
        bias = (~mask)[:, None, None, :].to(hidden.dtype) * torch.finfo(hidden.dtype).min
        out = self.layers[k](hidden, attention_mask=bias)
        return (out[0] if isinstance(out, tuple) else out, mask)  # transformers 4 returns a tuple

    def classify(self, state: State) -> Tensor:
        """The model's own logits."""
        assert self.classifier is not None
        logits: Tensor = self.classifier(state)
        return logits

    def pooler(self) -> DenseLayers | None:
        """Copies of BERT's pooler and classifier; None for another kind of classifier."""
        own = self.classifier
        if not isinstance(own, PooledClassifier) or not isinstance(own.activation, nn.Tanh):
            return None
        parameters = (own.dense.weight, own.dense.bias, own.linear.weight, own.linear.bias)
        return DenseLayers(*(parameter.detach().cpu().clone() for parameter in parameters))

    def example(self, batch: int, input_shape: tuple[int, ...], device: torch.device) -> State:
        """Random tokens without padding."""
        shape = (batch, *input_shape)
        ids = torch.randint(self.vocabulary, shape, device=device)
        return ids, torch.ones(shape, dtype=torch.bool, device=device)


class PooledClassifier(nn.Module):
    """First token, dense layer, activation, linear: how BERT (tanh) and DistilBERT (ReLU) classify."""

    def __init__(self, dense: nn.Linear, activation: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.dense, self.activation, self.linear = dense, activation, linear

    def forward(self, state: State) -> Tensor:
        """Logits (B, V) from the last state."""
        logits: Tensor = self.linear(self.activation(self.dense(first_token(state))))
        return logits


class MeanClassifier(nn.Module):
    """Masked mean of the last hidden states, linear."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, state: State) -> Tensor:
        """Logits (B, V) from the last state."""
        logits: Tensor = self.linear(masked_mean(state))
        return logits


def build(entry: Entry, classes: int, weights: Mapping[str, Tensor] | None) -> Backbone:
    """The encoder in stages; a folder's own weights are read here. Raises InputError if they do not fit."""
    if weights is not None:
        remedy = "store config.json beside the weights and give the folder as the model"
        raise InputError(f"{entry.name!r} takes no weights file", remedy=remedy)
    if entry.folder is None:
        return _random(entry, classes)
    return _from_folder(entry, classes, entry.folder)


def default_weights(name: str) -> Mapping[str, Tensor]:
    """No weights are fetched by name. Raises InputError."""
    raise InputError(f"{name!r} has no default weights", remedy="give a local Hugging Face folder as the model")


def folder_weights(folder: Path) -> Path:
    """The weights file of a Hugging Face folder. Raises InputError if there is none."""
    for name in FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds no weights", remedy=f"it must hold one of: {', '.join(FOLDER_WEIGHTS)}")


def _random(entry: Entry, classes: int) -> Backbone:
    layers, width = BERT_SHAPES[entry.base]
    library = transformers()
    config = library.BertConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=4 * width, num_labels=classes, max_position_embeddings=max(512, *entry.input_shape),
    )  # fmt: skip
    model = library.BertForSequenceClassification(config)
    classifier = PooledClassifier(model.bert.pooler.dense, nn.Tanh(), model.classifier)
    return TextBackbone(model.bert.embeddings, model.bert.encoder.layer, width, config.vocab_size, classifier)


def _from_folder(entry: Entry, classes: int, folder: Path) -> Backbone:
    weights = {_modern_name(key): tensor.float() for key, tensor in read_weights(folder_weights(folder)).items()}
    encoder_weights = {key: tensor for key, tensor in weights.items() if _is_encoder(key)}
    config = transformers().AutoConfig.from_pretrained(str(folder), local_files_only=True)
    encoder = _encoder(config)
    copy_weights(encoder, encoder_weights, entry.name)
    width = config.hidden_size
    layers = encoder.encoder.layer if config.model_type == "bert" else encoder.transformer.layer
    classifier = _classifier(weights, width, classes, entry.name)
    return TextBackbone(encoder.embeddings, layers, width, config.vocab_size, classifier)


def _encoder(config: Any) -> Any:
    library = transformers()
    if config.model_type == "bert":
        return library.BertModel(config, add_pooling_layer=False)
    return library.DistilBertModel(config)


def _modern_name(key: str) -> str:
    name = key.removeprefix("bert.").removeprefix("distilbert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _is_encoder(key: str) -> bool:
    return not SURPLUS.search(key) and key.split(".")[0] not in ("pooler", "pre_classifier", "classifier")


def _classifier(weights: Mapping[str, Tensor], width: int, classes: int, name: str) -> nn.Module | None:
    """The classifier the folder holds: pooled, by masked mean where it has no pooling layer, or none."""
    if "classifier.weight" not in weights:
        return None
    linear = _linear(weights, "classifier", width, classes, name)
    if "pooler.dense.weight" in weights:
        return PooledClassifier(_linear(weights, "pooler.dense", width, width, name), nn.Tanh(), linear)
    if "pre_classifier.weight" in weights:
        return PooledClassifier(_linear(weights, "pre_classifier", width, width, name), nn.ReLU(), linear)
    return MeanClassifier(linear)


def _linear(weights: Mapping[str, Tensor], key: str, inputs: int, outputs: int, name: str) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    parts = {part: weights[f"{key}.{part}"] for part in ("weight", "bias") if f"{key}.{part}" in weights}
    copy_weights(layer, parts, f"{name}: {key}")
    return layer


FAMILY = Family(build=build, default_weights=default_weights, classifier="classifier.weight")
