"""From a model's name to a model with several ways out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ttamer.exits.catalog import Entry, resolve, with_shape
from ttamer.exits.checkpoints import apply_heads, read_heads
from ttamer.exits.families import family
from ttamer.exits.families.bert import folder_weights
from ttamer.exits.heads import HEADS, make_heads
from ttamer.exits.staged import StagedModel
from ttamer.exits.weights import read_weights, weight_shape
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import ModelSpec
from ttamer.profiles.provenance import sha256_of
from ttamer.profiles.registry import unknown_name

RANDOM, DEFAULT = "random", "default"


def load(
    model: str,
    *,
    weights: str = RANDOM,
    head: str | None = None,
    heads_file: str | None = None,
    classes: int | None = None,
    input_shape: Sequence[int] | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> StagedModel:
    """The model of this name or Hugging Face folder, in evaluation mode on the device.

    weights: `random`, `DEFAULT` (the family's published ones) or a file; a folder brings its own.
    heads_file: fitted heads; without it the heads are random.
    seed: of everything initialised at random; torch's own generator is left as it was.
    Raises InputError for an unknown name, head, device or shape, and for weights that do not fit.
    """
    fitted = None if heads_file is None else read_heads(Path(heads_file))
    if fitted is not None:
        head, classes = head or fitted.head, classes or fitted.classes
    spec = spec_of(model, weights=weights, head=head, classes=classes, input_shape=input_shape)
    place = _device(device)
    entry = resolve(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = family(spec.family).build(entry, spec.classes, _tensors(entry, weights))
        heads = make_heads(spec.head, backbone.widths, spec.classes, last=not backbone.has_classifier)
    staged = StagedModel(spec, backbone, heads, place)
    if fitted is not None:
        apply_heads(staged, fitted)
    return staged


def spec_of(
    model: str,
    *,
    weights: str = RANDOM,
    head: str | None = None,
    classes: int | None = None,
    input_shape: Sequence[int] | None = None,
) -> ModelSpec:
    """The specification that `load` gives the model, without building it. Raises InputError as `load` does."""
    entry = with_shape(resolve(model), None if input_shape is None else tuple(input_shape))
    kind = head or entry.heads[0]
    if kind not in entry.heads:
        raise unknown_name("head", kind, entry.heads, where=f" for {entry.name!r}")
    assert kind in HEADS
    return ModelSpec(
        name=entry.name,
        family=entry.family,
        classes=_classes(entry, weights, classes),
        input_shape=entry.input_shape,
        exits=entry.exits,
        head=kind,
        weights=_weights_identity(entry, weights),
        source=str(entry.folder or (entry.base if weights.lower() in (RANDOM, DEFAULT) else weights)),
        variant=entry.variant,
    )


def _weights_file(entry: Entry, weights: str) -> Path | None:
    if entry.folder is not None:
        return folder_weights(entry.folder)
    return None if weights.lower() in (RANDOM, DEFAULT) else Path(weights)


def _weights_identity(entry: Entry, weights: str) -> str:
    path = _weights_file(entry, weights)
    return weights.lower() if path is None else sha256_of(path)


def _tensors(entry: Entry, weights: str) -> Mapping[str, Tensor] | None:
    if entry.folder is not None or weights.lower() == RANDOM:
        return None
    if weights.lower() == DEFAULT:
        return family(entry.family).default_weights(entry.base)
    return read_weights(Path(weights))


def _classes(entry: Entry, weights: str, classes: int | None) -> int:
    """The number of classes: what the weights hold, else what was asked for, else the model's usual one."""
    if classes is not None and classes < 2:
        raise InputError(f"{classes} classes leave nothing to classify", remedy="give at least 2")
    path = _weights_file(entry, weights)
    shape = None if path is None else weight_shape(path, family(entry.family).classifier)
    if path is None and weights.lower() == DEFAULT:
        shape = (entry.classes,)
    if shape and classes is not None and classes != shape[0]:
        raise InputError(f"the weights of {entry.name!r} know {shape[0]} classes, not {classes}", remedy="omit classes")
    return shape[0] if shape else classes or entry.classes


def _device(device: str) -> torch.device:
    try:
        place = torch.device(device)
    except RuntimeError:
        raise InputError(f"unknown device {device!r}", remedy="use cpu, cuda or cuda:N") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is not there", remedy="use cpu, or install torch with CUDA")
    return place
