"""Image data sets known by name: the digits that come with scikit-learn, and torchvision's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from ttamer.exits.source import Reading
from ttamer.exits.tables import Columns
from ttamer.exits.torchvision_import import torchvision
from ttamer.profiles.errors import InputError

DIGITS = "digits"
DIGITS_WHITE = 16.0  # scikit-learn stores 17 grey levels, 0 to 16
# Our name -> torchvision's class; all take (root, train, download).
TORCHVISION_NAMES = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "fashionmnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "mnist": "MNIST",
}


def is_digits(location: str) -> bool:
    """Whether the location names the digits."""
    return location == DIGITS


def is_torchvision(location: str) -> bool:
    """Whether the location names a torchvision data set."""
    return location in TORCHVISION_NAMES


def read_digits(location: str, columns: Columns, root: Path) -> Reading:
    """The 1,797 handwritten digits, 8x8 pixels, that come with scikit-learn; any model may scale them."""
    digits = load_digits()
    pixels = np.round(digits.images * (255.0 / DIGITS_WHITE)).astype(np.uint8)
    return Reading(name=DIGITS, kind="image", items=list(pixels), labels=digits.target.tolist(), is_resizable=True)


def read_torchvision(location: str, columns: Columns, root: Path) -> Reading:
    """A torchvision data set from `root`, downloaded there if it is missing. Raises InputError if it cannot be."""
    make = getattr(torchvision().datasets, TORCHVISION_NAMES[location])
    try:
        parts = {split: make(str(root), train=split == "train", download=True) for split in ("train", "test")}
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a damaged download
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(":")
        raise InputError(
            f"the data set {location!r} is neither in {root} nor downloadable: {reason}",
            remedy=f"connect to the network, put it into {root}, or use the embedded `{DIGITS}`",
        ) from None
    return Reading(
        name=location,
        kind="image",
        items=_Joined([part.data for part in parts.values()]),
        labels=[int(label) for part in parts.values() for label in part.targets],
        splits=[split for split, part in parts.items() for _ in range(len(part.data))],
        class_names=tuple(parts["train"].classes),
    )


@dataclass(frozen=True, slots=True)
class _Joined(Sequence[Any]):
    """The pixels of several arrays or tensors, one after the other."""

    parts: list[Any]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, row: Any) -> Any:
        place = int(row)
        for part in self.parts:
            if place < len(part):
                return np.asarray(part[place])
            place -= len(part)
        raise IndexError(row)
