"""Labelled samples in tables: Parquet and CSV files, and folders of Parquet files.

Columns are found by name and type: a binary column (or Hugging Face's struct of bytes and path) holds images,
otherwise text columns hold texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ttamer.exits.source import Reading
from ttamer.exits.splits import GIVEN_NAMES
from ttamer.profiles.errors import InputError
from ttamer.profiles.registry import unknown_name
from ttamer.profiles.tables import checked_csv

LABEL_NAMES = ("label", "labels", "target", "class", "category", "fine_label", "sentiment", "y")
SPLIT_NAMES = ("split", "fold", "subset", "partition")
TEXT_NAMES = ("text", "sentence", "content", "review", "question", "document")
# Text columns that say which sample it is rather than what it says.
IDENTITY_NAMES = ("file", "path", "filename", "id", "index", "name", "url", "class", "category", "label_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns to read by name; None lets them be found."""

    image: str | None = None
    text: str | None = None
    label: str | None = None
    split: str | None = None


def is_parquet(location: str) -> bool:
    """Whether the location is a Parquet file or a folder that holds some."""
    path = Path(location)
    return path.suffix.lower() in (".parquet", ".pq") or (path.is_dir() and bool(_parquet_files(path)))


def is_csv(location: str) -> bool:
    """Whether the location is a CSV or TSV file."""
    return Path(location).suffix.lower() in (".csv", ".tsv")


def read_parquet(location: str, columns: Columns, root: Path) -> Reading:
    """The samples of a Parquet file, or of a folder whose file names start with their split."""
    path = _existing(Path(location))
    if not path.is_dir():
        return _reading(_parquet_table(path), path, columns, (path,))
    files = _parquet_files(path)
    tables = [_parquet_table(file) for file in files]
    if columns.split is None and all(_split_of(file) for file in files):
        tables = [_with_split(table, _split_of(file)) for table, file in zip(tables, files, strict=True)]
    try:
        return _reading(pa.concat_tables(tables), path, columns, tuple(files))
    except pa.ArrowInvalid:
        raise InputError(f"the files in {path} differ in their columns", remedy="give a single file") from None


def read_csv(location: str, columns: Columns, root: Path) -> Reading:
    """The samples of a CSV file with a header row; a .tsv file is separated by tabs."""
    path = _existing(Path(location))
    options = pa_csv.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True)
    try:
        table = pa_csv.read_csv(path, parse_options=options)
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path} cannot be read: {_first_line(error)}", remedy="give a CSV file with a header"
        ) from None
    return _reading(checked_csv(table, path), path, columns, (path,))


def _parquet_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])


def _parquet_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {_first_line(error)}", remedy="give a Parquet file") from None


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path} does not exist", remedy="check the path")
    return path


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _split_of(file: Path) -> str:
    word = file.stem.split("-")[0].split("_")[0].lower()
    return word if word in GIVEN_NAMES else ""


def _with_split(table: pa.Table, split: str) -> pa.Table:
    kept = table.drop_columns([name for name in SPLIT_NAMES if name in table.column_names])
    return kept.append_column("split", pa.array([split] * len(table)))


def _reading(table: pa.Table, path: Path, columns: Columns, files: tuple[Path, ...]) -> Reading:
    label = _named(table, columns.label, LABEL_NAMES, "label", path)
    if label is None:
        raise InputError(f"{path} has no label column", remedy=f"name one of its columns {LABEL_NAMES[0]!r}")
    split = _named(table, columns.split, SPLIT_NAMES, "split", path)
    image = _image_column(table, columns.image, path)
    if image is not None:
        kind, items = "image", _encoded_images(table[image])
    else:
        kind, items = "text", _texts(table, columns.text, {label, split}, path)
    return Reading(
        name=path.stem,
        kind=kind,
        items=items,
        labels=table[label].to_pylist(),
        splits=None if split is None else table[split].to_pylist(),
        class_names=_class_names(table, label),
        files=files,
    )


def _named(table: pa.Table, asked: str | None, usual: Iterable[str], what: str, path: Path) -> str | None:
    if asked is not None:
        if asked not in table.column_names:
            raise unknown_name(f"{what} column", asked, table.column_names, where=f" of {path.name}")
        return asked
    return next((name for name in usual if name in table.column_names), None)


def _image_column(table: pa.Table, asked: str | None, path: Path) -> str | None:
    found = [field.name for field in table.schema if _holds_images(field.type)]
    return _named(table, asked, found, "image", path)


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_images(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class _Lazy(Sequence[Any]):
    """A column whose values become Python objects one at a time."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, row: Any) -> Any:
        return self.column[int(row)].as_py()


def _encoded_images(column: pa.ChunkedArray) -> Sequence[Any]:
    return _Lazy(pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column)


def _texts(table: pa.Table, asked: str | None, taken: set[str | None], path: Path) -> Sequence[Any]:
    """The text column, or all columns of text joined where none has a usual name."""
    found = _named(table, asked, TEXT_NAMES, "text", path)
    if found is not None:
        return table[found].to_pylist()  # type: ignore[no-any-return]
    names = [
        field.name
        for field in table.schema
        if (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
        and field.name not in taken
        and field.name.lower() not in IDENTITY_NAMES
    ]
    if not names:
        raise InputError(f"{path} has neither an image nor a text column", remedy="name a column of texts 'text'")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [". ".join(part for part in row if part) or None for row in rows]


def _class_names(table: pa.Table, label: str) -> tuple[str, ...]:
    """The names of numbered classes, from a column `class` beside the labels."""
    if label == "class" or "class" not in table.column_names or not pa.types.is_integer(table[label].type):
        return ()
    names = dict(zip(table[label].to_pylist(), map(str, table["class"].to_pylist()), strict=True))
    complete = None not in names and sorted(names) == list(range(len(names)))
    return tuple(names[number] for number in sorted(names)) if complete else ()
