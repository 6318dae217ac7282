"""Fitted heads on disk: safetensors, with what they were fitted to in the metadata. Axes: K exits, V classes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import ttamer
from ttamer.exits.heads import Head
from ttamer.exits.staged import StagedModel
from ttamer.profiles.documents import write_atomically
from ttamer.profiles.errors import DocumentError, InputError

FORMAT, VERSION = "ttamer/heads", 2  # 2: hidden layers


# Field of FittedHeads -> what its tensors are called in the file.
LAYERS = {"weights": "weight", "biases": "bias", "dense_weights": "dense.weight", "dense_biases": "dense.bias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHeads:
    """The layers of a model's heads and the temperature of every exit.

    weights and biases: one a fitted head, shallow to deep, of shapes (V, D) and (V,). dense_weights, dense_biases: of
    the hidden layers, of shapes (D, D) and (D,); empty for heads without.
    backbone: digest of the parameters the heads were fitted to.
    """

    model: str
    head: str
    classes: int
    exits: tuple[str, ...]
    backbone: str
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    temperature_K: tuple[float, ...]
    dataset: str = ""
    target: str = "label"
    seed: int = 0
    dense_weights: tuple[Tensor, ...] = ()
    dense_biases: tuple[Tensor, ...] = ()

    def with_temperatures(self, temperatures: Sequence[float]) -> "FittedHeads":
        """The same heads at other temperatures, one an exit."""
        return replace(self, temperature_K=tuple(temperatures))


def backbone_digest(model: StagedModel) -> str:
    """The sha256 of the backbone's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.backbone.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(memoryview(tensor.detach().cpu().contiguous().numpy().reshape(-1)).cast("B"))
    return digest.hexdigest()


def write_heads(path: Path, heads: FittedHeads) -> None:
    """Write fitted heads atomically."""
    facts: dict[str, Any] = {
        "model": heads.model, "head": heads.head, "classes": heads.classes, "exits": heads.exits,
        "backbone": heads.backbone, "temperature_K": heads.temperature_K, "dataset": heads.dataset,
        "target": heads.target, "seed": heads.seed,
    }  # fmt: skip
    metadata = {"format": FORMAT, "version": str(VERSION), "ttamer": ttamer.__version__, "facts": json.dumps(facts)}
    tensors = {f"heads.{k}.weight": weight.contiguous() for k, weight in enumerate(heads.weights)}
    tensors |= {f"heads.{k}.bias": bias.contiguous() for k, bias in enumerate(heads.biases)}
    tensors |= {f"heads.{k}.dense.weight": weight.contiguous() for k, weight in enumerate(heads.dense_weights)}
    tensors |= {f"heads.{k}.dense.bias": bias.contiguous() for k, bias in enumerate(heads.dense_biases)}
    content = save(tensors, metadata=metadata)
    write_atomically(path, lambda file: file.write(content))


def read_heads(path: Path) -> FittedHeads:
    """The fitted heads in a file. Raises DocumentError with the cause."""
    if not path.is_file():
        raise DocumentError(f"there are no fitted heads in {path}", remedy="run: ttamer fit")
    try:
        with safe_open(path, "pt") as file:
            facts = _facts(file.metadata() or {}, path)
            keys = set(file.keys())
            layers: dict[str, Any] = {
                field: tuple(file.get_tensor(name) for k in range(len(keys)) if (name := f"heads.{k}.{part}") in keys)
                for field, part in LAYERS.items()
            }
        exits, temperature_K = tuple(facts.pop("exits")), tuple(facts.pop("temperature_K"))
        return FittedHeads(exits=exits, temperature_K=temperature_K, **layers, **facts)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"{path} is damaged: {error}", remedy="fit the heads again") from None


def apply_heads(model: StagedModel, heads: FittedHeads) -> None:
    """Give a model its fitted heads and temperatures. Raises InputError if they were fitted to another model."""
    remedy = "load the backbone they were fitted to, or fit them again"
    if heads.exits != model.spec.exits or heads.head != model.spec.head or heads.classes != model.spec.classes:
        raise InputError(
            f"the heads were fitted to {heads.model!r}, which differs from {model.spec.name!r}", remedy=remedy
        )
    if heads.backbone != backbone_digest(model):
        raise InputError(f"the heads were fitted to other weights of {heads.model!r}", remedy=remedy)
    set_heads(model, heads)


def set_heads(model: StagedModel, heads: FittedHeads) -> None:
    """Copy the parameters of fitted heads into a model that is known to match.

    Temperatures of fitted heads go into their weights, so that calibrated logits cost no division.
    Raises InputError if the heads were fitted to features of another number.
    """
    K = len(model.heads)
    dense = zip(heads.dense_weights or (None,) * K, heads.dense_biases or (None,) * K, strict=True)
    parameters = zip(model.heads, heads.weights, heads.biases, heads.temperature_K, dense, strict=False)
    for head, weight, bias, temperature, (dense_weight, dense_bias) in parameters:
        assert isinstance(head, Head)
        if head.linear.weight.shape != weight.shape or (head.dense is None) != (dense_weight is None):
            raise InputError(
                f"the heads of {heads.model!r} read {weight.shape[1]} features, those of this version "
                f"{head.linear.in_features}",
                remedy=f"fit them again: ttamer fit {heads.model}",
            )
        head.set_linear(weight.to(model.device) / temperature, bias.to(model.device) / temperature)
        if dense_weight is not None and dense_bias is not None:
            head.set_dense(dense_weight.to(model.device), dense_bias.to(model.device))
    model.temperature_K = (*(1.0,) * K, *heads.temperature_K[K:])


def _facts(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise DocumentError(f"{path} holds no fitted heads", remedy=f"expected a file of format {FORMAT}")
    version = int(metadata.get("version", "0"))
    if version > VERSION:
        message = f"{path} has version {version} of {FORMAT}; this ttamer reads up to {VERSION}"
        raise DocumentError(message, remedy="install a newer ttamer")
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts
