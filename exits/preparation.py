"""From items of a data source to the input state of a model. Axes: B batch, T tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ttamer.exits.heads import HEADS, State
from ttamer.exits.published import published_resize_ratio
from ttamer.exits.source import DataSource
from ttamer.exits.staged import StagedModel
from ttamer.exits.torchvision_import import transformers
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints

# RGB, pixels in [0, 1]; torchvision's ImageNet models and the published CIFAR ResNets share them.
CHANNEL_MEAN, CHANNEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESIZE_RATIO = 256 / 224  # shorter side before the crop, to the crop; He et al. (2016) evaluate 224 crops of 256
SMALL_SIDE, SMALL_BATCH, LARGE_BATCH, TEXT_BATCH = 64, 256, 32, 64
Pixels = NDArray[np.uint8]


class Preparation(Protocol):
    """Turns samples of a source into the input state of stage 0, on the CPU."""

    @property
    def batch(self) -> int:
        """How many samples to run at once."""
        ...

    def order(self, source: DataSource, rows: Ints) -> Ints:
        """The rows in the order in which they are cheapest to run."""
        ...

    def state(self, source: DataSource, rows: Ints) -> State:
        """The input state of these rows."""
        ...


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """Fits images to (height, width) and normalises their channels."""

    fit: Callable[[Pixels], Pixels]
    batch: int

    def order(self, source: DataSource, rows: Ints) -> Ints:
        """The rows as they come."""
        return rows

    def state(self, source: DataSource, rows: Ints) -> State:
        """Images (B, 3, H, W), float32."""
        pixels = np.stack([self.fit(source.image(int(row))) for row in rows])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255.0)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CHANNEL_MEAN, CHANNEL_STD))
        return (images.sub_(mean).div_(std).contiguous(),)


@dataclass(frozen=True, slots=True)
class TextPreparation:
    """Cuts texts into at most `tokens` tokens and pads them to the longest of their batch."""

    tokenizer: Callable[..., Any]
    tokens: int
    batch: int = TEXT_BATCH

    def order(self, source: DataSource, rows: Ints) -> Ints:
        """The rows by length, so that a batch needs little padding."""
        lengths = np.array([len(source.text(int(row))) for row in rows])
        return rows[np.argsort(lengths, kind="stable")]

    def state(self, source: DataSource, rows: Ints) -> State:
        """Token ids (B, T) and the mask of what is no padding."""
        texts = [source.text(int(row)) for row in rows]
        out = self.tokenizer(texts, truncation=True, max_length=self.tokens, padding=True, return_tensors="pt")
        return out["input_ids"], out["attention_mask"].bool()


def prepare(model: StagedModel, source: DataSource, *, resize: bool = False) -> Preparation:
    """How this source becomes the model's input.

    resize: scale images to the model's size. Raises InputError if the source cannot feed the model.
    """
    kind = HEADS[model.spec.head].modality
    if source.kind != kind:
        message = f"{model.spec.name!r} reads {kind}s but {source.name!r} holds {source.kind}s"
        raise InputError(message, remedy=f"give a source of {kind}s")
    if kind == "text":
        return TextPreparation(_tokenizer(model), model.spec.input_shape[0])
    height, width = model.spec.input_shape[1:]
    batch = SMALL_BATCH if max(height, width) <= SMALL_SIDE else LARGE_BATCH
    return ImagePreparation(_image_fit(model, source, resize=resize), batch)


def tokenizer_in(folder: Path) -> Any:
    """The tokenizer that lies in a Hugging Face folder. Raises InputError if there is none."""
    try:
        return transformers().AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        remedy = "copy the tokenizer's files beside config.json"
        raise InputError(f"{folder} holds no tokenizer: {reason}", remedy=remedy) from None


def _tokenizer(model: StagedModel) -> Any:
    folder = Path(model.spec.source)
    if not folder.is_dir():
        message = f"{model.spec.name!r} has no tokenizer, so it cannot read texts"
        raise InputError(message, remedy="give a local Hugging Face folder as the model")
    return tokenizer_in(folder)


def _image_fit(model: StagedModel, source: DataSource, *, resize: bool) -> Callable[[Pixels], Pixels]:
    name, size = model.spec.name, (model.spec.input_shape[1], model.spec.input_shape[2])
    if resize or source.is_resizable:
        return lambda pixels: stretched(pixels, size)
    if model.spec.family == "torchvision_resnet":
        ratio = published_resize_ratio(name) if model.spec.weights == "default" else RESIZE_RATIO
        return lambda pixels: cropped(pixels, size, ratio)

    def exact(pixels: Pixels) -> Pixels:
        if pixels.shape[:2] != size:
            seen, wanted = (f"{height}x{width}" for height, width in (pixels.shape[:2], size))
            message = f"images of {source.name!r} are {seen} but {name!r} takes {wanted}"
            raise InputError(message, remedy=f"pass --resize to scale them{_own_size(pixels)}")
        return pixels

    return exact


def _own_size(pixels: Pixels) -> str:
    height, width = pixels.shape[:2]
    return f", or --size {height} to take them as they are" if height == width else ""


def stretched(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The image scaled to (height, width), whatever its proportions."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def cropped(pixels: Pixels, size: tuple[int, int], ratio: float = RESIZE_RATIO) -> Pixels:
    """The centre crop of (height, width) after the shorter side is scaled to `ratio` times the crop's."""
    height, width = pixels.shape[:2]
    scale = round(max(size) * ratio) / min(height, width)
    scaled = stretched(pixels, (max(size[0], round(height * scale)), max(size[1], round(width * scale))))
    top, left = (round((scaled.shape[axis] - size[axis]) / 2) for axis in (0, 1))
    return scaled[top : top + size[0], left : left + size[1]]


def sized(rows: Ints, batch: int) -> Sequence[Ints]:
    """The rows in batches."""
    return [rows[start : start + batch] for start in range(0, len(rows), batch)]
