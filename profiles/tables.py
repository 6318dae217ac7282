"""Reading tables that people bring, as CSV or Parquet: columns by name, cells as they stand, rows by their number."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ttamer.profiles.documents import load_table
from ttamer.profiles.errors import DocumentError

Rows = Iterator[tuple[int, Sequence[Any]]]


def read_cells(path: Path, example: str) -> tuple[list[str], Rows]:
    """The columns of a file and its rows, each with its line (of Parquet: its number).

    example: of a header, for an empty file. Raises DocumentError if the file cannot be read.
    """
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path, example)


def number(text: str) -> float:
    """A finite number. Raises ValueError that says what the text is instead."""
    try:
        found = float(text)
    except ValueError:
        raise ValueError("is not a number (write seconds, requests/s or counts without a unit)") from None
    if not math.isfinite(found):
        raise ValueError("is not finite")
    return found


def at_least_zero(text: str) -> float:
    """A finite number from zero up. Raises ValueError that says what the text is instead."""
    if (found := number(text)) < 0:
        raise ValueError("must not be negative")
    return found


def checked_csv(table: pa.Table, path: Path) -> pa.Table:
    """The table of a CSV file. Raises DocumentError on text that is not in UTF-8 and on a column given twice."""
    try:
        names = table.column_names
    except UnicodeDecodeError:
        raise DocumentError(f"the header of {path} is no text in UTF-8", remedy="save it as UTF-8 CSV") from None
    for place, field in enumerate(table.schema):
        if names.index(field.name) < place:
            raise DocumentError(f"{path} has the column {field.name!r} twice", remedy="leave one out")
        if pa.types.is_binary(field.type):
            raise DocumentError(f"column {field.name!r} of {path} is no text in UTF-8", remedy="save it as UTF-8 CSV")
    return table


def _csv(path: Path, example: str) -> tuple[list[str], Rows]:
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except FileNotFoundError:
        raise DocumentError(f"{path} does not exist", remedy="check the path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DocumentError(f"{path} is not a readable CSV file: {error}", remedy="save it as UTF-8 CSV") from None
    if not lines:
        raise DocumentError(f"{path} is empty", remedy=f"start it with the header {example}")
    header = [cell.strip() for cell in lines[0]]
    rows = [(place, row) for place, row in enumerate(lines[1:], start=2) if any(cell.strip() for cell in row)]
    for place, row in rows:
        if len(row) != len(header):
            raise DocumentError(
                f"{path}, line {place}: {len(row)} cells under {len(header)} columns",
                remedy="separate cells by commas and quote text that has some",
            )
    return header, iter(rows)


def _parquet(path: Path) -> tuple[list[str], Rows]:
    try:
        table = load_table(path)
    except FileNotFoundError:
        raise DocumentError(f"{path} does not exist", remedy="check the path") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DocumentError(f"{path} is not a readable Parquet file: {reason}", remedy="write it anew") from None
    columns = [column.to_pylist() for column in table.columns]
    return list(table.column_names), ((place, row) for place, row in enumerate(zip(*columns, strict=True), start=1))
