"""Records to compare policies on, wherever they lie: a layout that others write, or the records of a profile.

Axes: K exits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttamer.exits.record_checks import refuse_unusable
from ttamer.exits.record_importers import IMPORTERS
from ttamer.exits.record_importers.imported import Imported, named, split_records, with_exits
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.registry import lookup

JUDGING = ("calibration", "validation", "test")  # fitted on, chosen by, reported on
LAYOUT_BY_COLUMN = {"Sample_ID": "long-csv", "conf_branch_1": "wide-csv", "proxy_pred_true_prob": "cascade-csv"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordSource:
    """Records of three disjoint splits, and what their file says of the exits.

    layout: by which the file was read, empty for records of our own. separate: each exit is a model of its own, so that
    one that is not asked costs nothing. price_K: what each exit costs by the file; empty where it does not say.
    """

    splits: Mapping[str, ExitRecords]
    layout: str
    exits: tuple[str, ...]
    separate: bool = False
    price_K: tuple[float, ...] = ()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.splits["test"].model


def open_records(
    where: str, *, seed: int, model: str | None = None, exits: Sequence[int] | None = None
) -> RecordSource:
    """The records at a path, `LAYOUT:PATH` where the layout shall not be guessed, or of a folder of our own records.

    seed: of the split of what is not split yet, 40 % calibration, 30 % validation and 30 % test. model: a name for it.
    exits: numbers of those to keep; the last of them becomes the last exit. Raises InputError on a path that is not
    there, an unknown layout, and on records that policies cannot be judged on.
    """
    layout, path = _layout_and_path(where)
    if layout is None and own_records(path):
        return _own(path, exits)
    imported = read_imported(where, model=model, exits=exits)
    return of_imported(imported, layout or recognized(path), seed=seed)


def read_imported(where: str, *, model: str | None = None, exits: Sequence[int] | None = None) -> Imported:
    """What others wrote at `PATH` or `LAYOUT:PATH`. Raises InputError on an unknown layout or a damaged file."""
    layout, path = _layout_and_path(where)
    imported = lookup(IMPORTERS, layout or recognized(path), "layout of records")(path)
    imported = imported if exits is None else with_exits(imported, exits)
    return imported if model is None else named(imported, model)


def of_imported(imported: Imported, layout: str, *, seed: int) -> RecordSource:
    """The source of what was imported, split at random by the seed. Raises InputError on records of no use."""
    splits = split_records(imported, seed=seed)
    refuse_unusable(*splits.values())
    names = imported.exits or tuple(f"exit {k}" for k in range(imported.prediction_NK.shape[1]))
    return RecordSource(splits=splits, layout=layout, exits=names, separate=imported.separate, price_K=imported.price_K)


def files_of(where: str) -> list[Path]:
    """The files behind a place of records, to be named in what is written from them."""
    _, path = _layout_and_path(where)
    own = own_records(path)
    if own:
        return list(own.values())
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def recognized(path: Path) -> str:
    """The layout that a file or folder is in. Raises InputError if it is in none or not there."""
    if not path.exists():
        raise InputError(f"there is nothing at {path}", remedy="check the path")
    if (path / "meta.csv").is_file():
        return "frugalml"
    if path.suffix.lower() == ".npz":
        return "apparate-npz"
    header = _first_line(path)
    for column, layout in LAYOUT_BY_COLUMN.items():
        if column in header:
            return layout
    raise InputError(
        f"{path} holds records in no known layout",
        remedy=f"name it, LAYOUT:PATH with one of {', '.join(IMPORTERS)}, or give a folder of our own records",
    )


def own_records(path: Path) -> dict[str, Path]:
    """The files MODEL.SPLIT.parquet in a folder, or of the model that the path names there; empty if there are none.

    Raises InputError if the folder holds several models.
    """
    folder, model = (path, "*") if path.is_dir() else (path.parent, path.name)
    files = sorted(folder.glob(f"{model}.{JUDGING[-1]}.parquet")) if folder.is_dir() and model else []
    if len(files) > 1:
        names = [file.name.removesuffix(f".{JUDGING[-1]}.parquet") for file in files]
        raise InputError(f"{path} holds records of {', '.join(names)}", remedy=f"name one: {path / names[0]}")
    stem = [file.name.removesuffix(f".{JUDGING[-1]}.parquet") for file in files]
    return {split: folder / f"{stem[0]}.{split}.parquet" for split in JUDGING} if stem else {}


def _own(path: Path, exits: Sequence[int] | None) -> RecordSource:
    if exits is not None:
        raise InputError("exits of our own records cannot be left out", remedy="import the file they came from anew")
    splits = {split: ExitRecords.read(file) for split, file in own_records(path).items()}
    refuse_unusable(*splits.values())
    return RecordSource(splits=splits, layout="", exits=tuple(f"exit {k}" for k in range(splits["test"].exits)))


def _layout_and_path(where: str) -> tuple[str | None, Path]:
    layout, colon, rest = where.partition(":")
    is_layout = bool(colon) and (layout in IMPORTERS or not Path(where).exists())
    return (layout, Path(rest).expanduser()) if is_layout and len(layout) > 1 else (None, Path(where).expanduser())


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline(100_000)
    except (OSError, UnicodeDecodeError):
        return ""
