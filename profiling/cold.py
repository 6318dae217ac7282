"""Making files cold, so that loading a model is measured from the disk, as it is when a replica starts."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def forget(paths: Iterable[object]) -> int:
    """Drop the files, and the files in the folders, from the system's page cache; returns how many were dropped.

    What names no file is left alone, and so is everything on a system that cannot do it.
    """
    if not hasattr(os, "posix_fadvise"):
        return 0
    return sum(_forget_file(file) for path in paths if isinstance(path, str) for file in _files(Path(path)))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in sorted(path.iterdir()) if file.is_file())
    elif path.is_absolute() and path.is_file():
        yield path


def _forget_file(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return True
