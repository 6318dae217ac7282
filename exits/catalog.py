"""The models known by name, and the shape of each, without loading torch.

A model is named (`resnet18`, `bert-tiny`) or is the path of a local Hugging Face folder.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.registry import unknown_name

IMAGENET_CLASSES, IMAGENET_SHAPE = 1000, (3, 224, 224)
CIFAR_CLASSES, CIFAR_SHAPE = 10, (3, 32, 32)
TEXT_CLASSES, TEXT_TOKENS = 2, 128
IMAGE_HEADS, TEXT_HEADS = ("gap", "pool4"), ("mean", "cls", "pooler")
VARIANTS = ("channels_last", "bf16", "compile")  # what may follow a name, after a plus sign
TOKENS_SUFFIX = re.compile(r"(\d+)tokens")  # so may a length of texts: bert-mini+64tokens
FOLDER_MODEL_TYPES = {"bert": "num_hidden_layers", "distilbert": "n_layers"}  # model type -> key of its depth

# Blocks in each of the four stages; He et al., Deep Residual Learning (2016), table 1.
TORCHVISION_BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
# depth = 6 n + 2 with n blocks in each of three stages; He et al. (2016), section 4.2.
CIFAR_BLOCKS = {f"resnet{depth}": (depth - 2) // 6 for depth in (20, 32, 44, 56, 110)}
# (layers, hidden width); Turc et al., Well-Read Students Learn Better (2019), and BERT-large.
BERT_SHAPES = {
    "bert-tiny": (2, 128),
    "bert-mini": (4, 256),
    "bert-small": (4, 512),
    "bert-medium": (8, 512),
    "bert-base": (12, 768),
    "bert-large": (24, 1024),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of a model before it is built.

    input_shape: (channels, height, width) or (tokens,); exits: names, shallow to deep; heads: kinds that fit, the
    default first; folder: the Hugging Face folder, None for a named model; config: its parsed config.json.
    variant: of VARIANTS, in this order.
    """

    name: str
    family: str
    classes: int
    input_shape: tuple[int, ...]
    exits: tuple[str, ...]
    heads: tuple[str, ...]
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    variant: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The name without the variant."""
        return self.name.split("+")[0]

    @property
    def suffix(self) -> str:
        """What follows the name: empty, or a plus sign and the variant."""
        return "+".join(["", *self.name.split("+")[1:]])


def known_names() -> tuple[str, ...]:
    """Every model that can be built by name."""
    return (*TORCHVISION_BLOCKS, *CIFAR_BLOCKS, *BERT_SHAPES)


def resolve(model: str) -> Entry:
    """The entry of a known name or of a local Hugging Face folder, with the variant that follows it.

    Raises InputError that names the nearest known model or variant, or says what the folder lacks.
    """
    base, *suffixes = [model] if Path(model).is_dir() else model.split("+")
    entry = _resolve_base(base)
    if not suffixes:
        return entry
    tokens = [int(found[1]) for found in map(TOKENS_SUFFIX.fullmatch, suffixes) if found]
    variant = [suffix for suffix in suffixes if not TOKENS_SUFFIX.fullmatch(suffix)]
    for suffix in variant:
        if suffix not in VARIANTS:
            raise unknown_name("variant", suffix, VARIANTS, where=f" of {base!r}", also=", or a length like 64tokens")
    if len(tokens) > 1 or len(set(variant)) < len(variant):
        raise InputError(f"{model!r} says the same thing twice", remedy="give each variant once")
    if tokens and len(entry.input_shape) == 3:
        raise InputError(f"{base!r} reads images", remedy=f"leave {tokens[0]}tokens out")
    shaped = with_shape(entry, (tokens[0],)) if tokens else entry
    ordered = tuple(name for name in VARIANTS if name in variant)
    words = [entry.name, *(f"{count}tokens" for count in tokens), *ordered]
    return replace(shaped, name="+".join(words), variant=ordered)


def _resolve_base(model: str) -> Entry:
    if model in TORCHVISION_BLOCKS:
        exits = _block_names(TORCHVISION_BLOCKS[model])
        return Entry(
            name=model, family="torchvision_resnet", classes=IMAGENET_CLASSES, input_shape=IMAGENET_SHAPE,
            exits=exits, heads=IMAGE_HEADS,
        )  # fmt: skip
    if model in CIFAR_BLOCKS:
        exits = _block_names((CIFAR_BLOCKS[model],) * 3)
        return Entry(
            name=model, family="cifar_resnet", classes=CIFAR_CLASSES, input_shape=CIFAR_SHAPE,
            exits=exits, heads=IMAGE_HEADS,
        )  # fmt: skip
    if model in BERT_SHAPES:
        exits = _layer_names(BERT_SHAPES[model][0])
        return Entry(
            name=model, family="bert", classes=TEXT_CLASSES, input_shape=(TEXT_TOKENS,), exits=exits, heads=TEXT_HEADS
        )
    if Path(model).is_dir():
        return _folder_entry(Path(model))
    raise unknown_name("model", model, known_names(), also=", or a local Hugging Face folder")


def with_shape(entry: Entry, input_shape: tuple[int, ...] | None) -> Entry:
    """The entry at another input shape. Raises InputError if the model cannot take it."""
    if input_shape is None:
        return entry
    wanted, given = len(entry.input_shape), tuple(input_shape)
    form = "(channels, height, width)" if wanted == 3 else "(tokens,)"
    if len(given) != wanted or any(side < 1 for side in given):
        raise InputError(f"input shape {given} does not fit {entry.name!r}", remedy=f"give {form}")
    if wanted == 3 and given[0] != entry.input_shape[0]:
        remedy = f"give {entry.input_shape[0]} channels"
        raise InputError(f"input shape {given} has {given[0]} channels", remedy=remedy)
    longest = int(entry.config.get("max_position_embeddings", 512))
    if wanted == 1 and given[0] > longest:
        raise InputError(f"{given[0]} tokens are too many for {entry.name!r}", remedy=f"give at most {longest}")
    return replace(entry, input_shape=given)


def _block_names(blocks: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"layer{stage + 1}.{block}" for stage, count in enumerate(blocks) for block in range(count))


def _layer_names(layers: int) -> tuple[str, ...]:
    return tuple(f"layer.{layer}" for layer in range(layers))


def _folder_entry(folder: Path) -> Entry:
    config = _read_json(folder / "config.json", required=True)
    kind = config.get("model_type")
    if kind not in FOLDER_MODEL_TYPES:
        raise InputError(
            f"{folder} holds a model of type {kind!r}", remedy=f"supported types: {', '.join(FOLDER_MODEL_TYPES)}"
        )
    tokenizer = _read_json(folder / "tokenizer_config.json", required=False)
    tokens = min(tokenizer.get("model_max_length", TEXT_TOKENS), config.get("max_position_embeddings", 512))
    # num_labels is written by newer versions only; id2label is what older ones write.
    classes = config.get("num_labels") or len(config.get("id2label", ())) or TEXT_CLASSES
    return Entry(
        name=folder.resolve().name,
        family="bert",
        classes=int(classes),
        input_shape=(int(min(tokens, TEXT_TOKENS)),),
        exits=_layer_names(int(config.get(FOLDER_MODEL_TYPES[kind], config.get("num_hidden_layers", 0)))),
        heads=TEXT_HEADS,
        folder=folder,
        config=config,
    )


def _read_json(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.is_file():
        if not required:
            return {}
        remedy = f"give a folder that holds config.json, or one of: {', '.join(known_names())}"
        raise InputError(f"{path.parent} is no Hugging Face model folder", remedy=remedy)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} is no valid JSON: {error}", remedy="copy the folder anew") from None
    if not isinstance(content, dict):
        raise DocumentError(f"{path} holds no mapping", remedy="copy the folder anew")
    return content
