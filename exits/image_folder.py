"""Labelled images in a folder: a folder a class, beneath a folder a split if there are any."""

from pathlib import Path

from ttamer.exits.source import Reading
from ttamer.exits.splits import GIVEN_NAMES
from ttamer.exits.tables import Columns
from ttamer.profiles.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"})


def is_image_folder(location: str) -> bool:
    """Whether the location is a folder."""
    return Path(location).is_dir()


def read_image_folder(location: str, columns: Columns, root: Path) -> Reading:
    """The images of a folder of class folders. Raises InputError if it holds none."""
    folder = Path(location)
    splits = [part for part in _folders(folder) if part.name.lower() in GIVEN_NAMES and _folders(part)]
    found = [(file, "") for file in _images(folder)]
    if splits:
        found = [(file, split.name) for split in splits for file in _images(split)]
    if not found:
        remedy = f"put images into {folder}/CLASS/ or {folder}/train/CLASS/ and {folder}/test/CLASS/"
        raise InputError(f"{folder} holds no class folders with images", remedy=remedy)
    return Reading(
        name=folder.resolve().name,
        kind="image",
        items=[file for file, _ in found],
        labels=[file.parent.name for file, _ in found],
        splits=[split for _, split in found] if splits else None,
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(part for part in folder.iterdir() if part.is_dir() and not part.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return [
        file
        for part in _folders(folder)
        for file in sorted(part.iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
