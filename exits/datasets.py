"""Opening a data source by name or path."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ttamer.exits.image_folder import is_image_folder, read_image_folder
from ttamer.exits.named_images import (
    DIGITS,
    TORCHVISION_NAMES,
    is_digits,
    is_torchvision,
    read_digits,
    read_torchvision,
)
from ttamer.exits.source import DataSource, Reading, make_source
from ttamer.exits.tables import Columns, is_csv, is_parquet, read_csv, read_parquet
from ttamer.profiles.errors import InputError
from ttamer.profiles.registry import unknown_name

DATA_ROOT = Path("data")  # where data sets known by name are kept, relative to the user's folder


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of source: whether a name or path is one, and reading it."""

    opens: Callable[[str], bool]
    read: Callable[[str, Columns, Path], Reading]


# In the order in which they are asked: a folder of Parquet files is a folder too.
DATASETS = {
    "digits": Reader(is_digits, read_digits),
    "torchvision": Reader(is_torchvision, read_torchvision),
    "parquet": Reader(is_parquet, read_parquet),
    "csv": Reader(is_csv, read_csv),
    "image_folder": Reader(is_image_folder, read_image_folder),
}


def open_source(
    location: str,
    *,
    seed: int = 0,
    max_fit: int | None = None,
    max_held_out: int | None = None,
    columns: Columns | None = None,
    root: Path = DATA_ROOT,
) -> DataSource:
    """The data source of this name (`digits`, `cifar10`) or path (Parquet, CSV, folder of class folders).

    max_fit, max_held_out: caps on the samples of `fit` and of each other split. root: where named sets are kept.
    Raises InputError with the cause and a remedy.
    """
    if any(most is not None and most < 1 for most in (max_fit, max_held_out)):
        raise InputError("a cap below one sample leaves nothing", remedy="give a cap of at least 1")
    for reader in DATASETS.values():
        if reader.opens(location):
            source = make_source(reader.read(location, columns or Columns(), root), seed=seed)
            return source.capped(fit=max_fit, held_out=max_held_out, seed=seed)
    if Path(location).exists():
        remedy = "give a Parquet or CSV file, or a folder of class folders"
        raise InputError(f"{location} is no data source", remedy=remedy)
    also = ", or a Parquet or CSV file, or a folder of class folders"
    raise unknown_name("data source", location, (DIGITS, *TORCHVISION_NAMES), also=also)
