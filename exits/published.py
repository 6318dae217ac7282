"""What torchvision publishes about its weights: accuracy on ImageNet, and how images are prepared."""

from typing import Any

from ttamer.exits.catalog import TORCHVISION_BLOCKS, resolve
from ttamer.exits.torchvision_import import torchvision
from ttamer.profiles.profile import AccuracyRow
from ttamer.profiles.registry import unknown_name

DATASET, SPLIT, SAMPLES = "imagenet-1k", "validation", 50_000
DEFAULT = "DEFAULT"


def published_accuracy(model: str, weights: str = DEFAULT) -> list[AccuracyRow]:
    """The top-1 accuracy torchvision publishes for these weights of its own models; none for any other model.

    A variant that computes the same has the same; one in another number format has none until it is measured.

    weights: `DEFAULT`, or a name such as `IMAGENET1K_V1`. Raises InputError for an unknown name.
    """
    base, *variant = model.split("+")
    if base not in TORCHVISION_BLOCKS or "bf16" in variant:
        return []
    percent = _published(base, weights).meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return [
        AccuracyRow(
            model=model, exit=len(resolve(model).exits) - 1, dataset=DATASET, split=SPLIT, accuracy=percent / 100,
            low=None, high=None, samples=SAMPLES, source="published",
        )
    ]  # fmt: skip


def published_weights(model: str) -> tuple[str, ...]:
    """The names of the weights torchvision publishes for a model, the default last."""
    if model not in TORCHVISION_BLOCKS:
        return ()
    known = torchvision().models.get_model_weights(model)
    return tuple(sorted((entry.name for entry in known), key=lambda name: name == known.DEFAULT.name))


def published_resize_ratio(model: str) -> float:
    """The shorter side before the crop, as a multiple of the crop, that the default weights were evaluated with."""
    transforms = _published(model, DEFAULT).transforms()
    return float(transforms.resize_size[0] / transforms.crop_size[0])


def _published(model: str, weights: str) -> Any:
    known = torchvision().models.get_model_weights(model)
    if weights != DEFAULT and weights not in known.__members__:
        raise unknown_name("weights", weights, known.__members__, where=f" of {model!r}")
    return known[weights]
