"""What a network takes of every request, second by second: times, or bandwidths and the size of a request.

A CSV or Parquet file with a row a second. Columns and an example: docs/schedule.md.

Axes: S seconds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.records import Floats
from ttamer.profiles.tables import at_least_zero, number, read_cells

SECONDS = {"network_s": 1.0, "network_ms": 1e-3}
BYTES_PER_S = {
    "bytes_per_s": 1.0, "bytes_per_ms": 1e3, "bandwidth_kbps": 1e3 / 8, "bandwidth_mbps": 1e6 / 8,
}  # fmt: skip
START = "t_s"


@dataclass(frozen=True, slots=True, eq=False)
class NetworkTrace:
    """When each second starts and what the network then takes of a request; infinite where nothing passes."""

    t_s_S: Floats
    network_s_S: Floats


def read_network_trace(path: Path, request_bytes: int | None) -> NetworkTrace:
    """The trace in a file. request_bytes: for bandwidths, the size of a request.

    Raises DocumentError if the file cannot be read or has no known column, InputError on an impossible cell, on starts
    that go back, and on bandwidths without a size or times with one.
    """
    columns, rows = read_cells(path, "network_s")
    column = _column(columns, path)
    if column in BYTES_PER_S and request_bytes is None:
        raise InputError(
            f"{path} holds bandwidths ({column}), and how large a request is nobody says",
            remedy="give --request-size 200kB, or request: 200kB under network",
        )
    if column in SECONDS and request_bytes is not None:
        raise InputError(
            f"{path} holds times ({column}), which a request's size says nothing about", remedy="leave the size out"
        )
    cells = list(rows)
    if not cells:
        raise DocumentError(f"{path} holds no rows", remedy="write a row a second")
    value_S = _read(column, at_least_zero, columns, cells, path)
    network_s_S = (
        value_S * SECONDS[column] if column in SECONDS else _passed_s(value_S * BYTES_PER_S[column], request_bytes)
    )
    return NetworkTrace(_starts(columns, cells, path), network_s_S)


def _column(columns: Sequence[str], path: Path) -> str:
    """The column that says what the network takes: times before bandwidths."""
    known = [*SECONDS, *BYTES_PER_S]
    found = [name for name in known if name in columns]
    if not found:
        raise DocumentError(
            f"{path} does not say what the network takes", remedy=f"name a column one of {', '.join(known)}"
        )
    return found[0]


def _passed_s(bytes_per_s_S: Floats, request_bytes: int | None) -> Floats:
    assert request_bytes is not None
    with np.errstate(divide="ignore"):
        return np.asarray(request_bytes / bytes_per_s_S)


def _starts(columns: Sequence[str], cells: Sequence[tuple[int, Sequence[Any]]], path: Path) -> Floats:
    if START not in columns:
        return np.arange(len(cells), dtype=float)
    start_S = _read(START, number, columns, cells, path)
    back = np.flatnonzero(np.diff(start_S) <= 0)
    if len(back):
        line = cells[int(back[0]) + 1][0]
        raise InputError(
            f"{path}, line {line}: {START} does not grow", remedy="give the seconds of one trace, in order"
        )
    return start_S


def _read(
    column: str, parse: Callable[[str], float], columns: Sequence[str], cells: Sequence[tuple[int, Sequence[Any]]],
    path: Path,
) -> Floats:  # fmt: skip
    """The cells of a column as numbers. Raises InputError that names the line and the value."""
    place = list(columns).index(column)
    found = np.full(len(cells), math.nan)
    for row, (line, values) in enumerate(cells):
        text = "" if values[place] is None else str(values[place]).strip()
        try:
            found[row] = parse(text)
        except ValueError as problem:
            said = f"{text!r} {problem}" if text else "is empty"
            raise InputError(f"{path}, line {line}: {column} {said}", remedy="correct the cell") from None
    return found
