"""A labelled data source: its items, read lazily, and the split of every sample. Axes: N samples."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ttamer.exits.splits import UNUSED, Names, assign_splits, given_splits, thinned
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import SPLITS, Ints

HELD_OUT = SPLITS[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader found, before anything is checked or divided.

    items: encoded images (bytes or a path), pixel arrays, or texts. labels: numbers from 0, or class names.
    splits: the source's own split of every sample, None if it has none. files: what was read, for provenance.
    class_names: the names of numbered classes, if known. is_resizable: images may be scaled without being asked.
    """

    name: str
    kind: str
    items: Sequence[Any]
    labels: Sequence[Any]
    splits: Sequence[str] | None = None
    class_names: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    is_resizable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Labelled samples in four disjoint splits; a sample's number is its row in the source.

    kind: `image` or `text`. own_test_N: the samples that the source itself sets aside for testing.
    has_named_classes: labels came as names, so a class's number depends on the names present.
    """

    name: str
    kind: str
    items: Sequence[Any]
    classes: tuple[str, ...]
    label_N: Ints
    split_N: Names
    own_test_N: Ints
    has_named_classes: bool
    files: tuple[Path, ...] = ()
    is_resizable: bool = False

    def rows(self, split: str) -> Ints:
        """The numbers of the samples in a split, ascending."""
        return np.flatnonzero(self.split_N == split)

    def image(self, row: int) -> NDArray[np.uint8]:
        """One image as (height, width, 3). Raises InputError if it cannot be decoded."""
        item = self.items[row]
        if isinstance(item, np.ndarray):
            return item if item.ndim == 3 else np.repeat(item[:, :, None], 3, axis=2)
        try:
            with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
                return np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, TypeError, AttributeError) as error:
            raise InputError(f"image {row} of {self.name!r} cannot be decoded: {error}", remedy="remove it") from None

    def text(self, row: int) -> str:
        """One text. Raises InputError if it is missing."""
        text = self.items[row]
        if not isinstance(text, str):
            raise InputError(f"sample {row} of {self.name!r} has no text", remedy="remove it or fill it in")
        return text

    def capped(self, *, fit: int | None = None, held_out: int | None = None, seed: int = 0) -> "DataSource":
        """The source with at most so many samples in `fit`, and in each held-out split."""
        split_N = np.full_like(self.split_N, UNUSED)
        for split in SPLITS:
            split_N[thinned(self.label_N, self.rows(split), fit if split == "fit" else held_out, seed)] = split
        own = self.own_test_N
        return replace(self, split_N=split_N, own_test_N=own if held_out is None else own[split_N[own] != UNUSED])

    def renumbered(self, names: Sequence[str]) -> "DataSource":
        """The source with its named classes numbered in the order of `names`, which must be the same names."""
        number = {name.casefold(): index for index, name in enumerate(names)}
        order = np.array([number[name.casefold()] for name in self.classes])
        return replace(self, classes=tuple(names), label_N=order[self.label_N])


def make_source(reading: Reading, *, seed: int) -> DataSource:
    """The checked and divided source of a reading.

    Raises InputError on no samples, a missing or negative label, a single class or an unknown split name.
    """
    if len(reading.items) == 0:
        raise InputError(f"{reading.name!r} holds no samples", remedy="give a source with labelled samples")
    label_N, classes, named = _numbered(reading)
    present = np.unique(label_N)
    if len(present) < 2:
        raise InputError(f"{reading.name!r} holds one class only", remedy="give samples of at least two classes")
    given_N = None if reading.splits is None else given_splits(np.asarray(reading.splits, dtype=object))
    split_N = assign_splits(label_N, given_N, seed)
    own_N = split_N if given_N is None or not (given_N == "test").any() else given_N
    return DataSource(
        name=reading.name,
        kind=reading.kind,
        items=reading.items,
        classes=classes,
        label_N=label_N,
        split_N=split_N,
        own_test_N=np.flatnonzero(own_N == "test"),
        has_named_classes=named,
        files=reading.files,
        is_resizable=reading.is_resizable,
    )


def _numbered(reading: Reading) -> tuple[Ints, tuple[str, ...], bool]:
    """Labels as numbers, the names of the classes, and whether they came as names."""
    for row, label in enumerate(reading.labels):
        if label is None or label != label:  # NaN alone differs from itself
            raise InputError(f"sample {row} of {reading.name!r} has no label", remedy="remove it or fill it in")
    if isinstance(reading.labels[0], str):
        names = _in_order({str(label) for label in reading.labels})
        number = {name: index for index, name in enumerate(names)}
        return np.array([number[str(label)] for label in reading.labels], dtype=np.int64), names, True
    values = np.asarray(reading.labels)
    label_N = values.astype(np.int64)
    if (values != label_N).any() or label_N.min() < 0:
        worst = values[(values != label_N) | (label_N < 0)][0]
        raise InputError(f"label {worst} of {reading.name!r} is no class", remedy="number the classes 0, 1, 2, ...")
    names = reading.class_names or tuple(str(label) for label in range(int(label_N.max()) + 1))
    return label_N, names, False


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Names sorted, as numbers if all of them are."""
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names))
