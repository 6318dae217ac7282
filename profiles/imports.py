"""Profiles from numbers that people already have: a CSV or Parquet file, a row for each model, cores and batch.

Such a row holds one latency, a summary of samples that nobody sees any more; it is kept as what it is, at the quantile
that the user states, and never turned into samples. Columns and an example: docs/import.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.profile import AccuracyRow, ImportedPoint, Machine, ModelSpec, Profile
from ttamer.profiles.provenance import capture
from ttamer.profiles.tables import at_least_zero, read_cells
from ttamer.profiles.tables import number as parse_number
from ttamer.profiles.units import parse_fraction

REQUIRED = ("model", "accuracy", "cores", "batch", "latency_s")
OPTIONAL = ("throughput_rps", "load_time_s", "memory_bytes", "stage", "device")
DEVICES = ("cpu", "cuda")
SAME_COLUMN = {"task": "stage"}
LARGEST_COUNT = 2**31 - 1  # cores and batches are 32-bit in every document
LARGEST_BYTES = 2**63 - 1
PLAUSIBLE = (1e-9, 1e12)  # seconds and requests/s: from a nanosecond up, and so that quotients stay numbers
Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One valid row. line: where it stands in the file; None where a cell is empty and may be."""

    line: int
    device: str
    stage: str
    model: str
    accuracy: float | None
    cores: int
    batch: int
    latency_s: float
    throughput_rps: float | None
    load_time_s: float | None
    memory_bytes: int | None


def import_profile(path: Path, name: str, *, quantile: float = 0.99, device: str = "cpu") -> Profile:
    """The profile in a CSV or Parquet file, in memory. quantile: what every latency in it is the quantile of.

    device: of the rows that name none.

    Raises DocumentError if the file cannot be read, lacks a column or has a column that is nearly a known one;
    InputError on an impossible cell, on a point that stands there twice and on a model of two accuracies.
    """
    rows = [_checked(cells, line, path, device) for line, cells in _read(path)]
    if not rows:
        raise DocumentError(f"{path} holds no rows", remedy="write a row for each model, cores and batch")
    _refuse_twice(rows, path)
    names = _names(rows)
    accuracies = _accuracies(rows, path)
    return Profile(
        name=name,
        machine=Machine(fingerprint="imported", facts={"imported_from": path.name}),
        models={names[key]: _spec(names[key], key[0], path) for key in names},
        latency=(),
        accuracy=tuple(
            _accuracy_row(names[key], key[0] or name, accuracy)
            for key, accuracy in accuracies.items()
            if accuracy is not None
        ),
        imported=tuple(_point(row, names[row.stage, row.model], quantile) for row in rows),
        settings={"imported": {"file": path.name, "quantile": quantile}},
        provenance=capture(inputs=[path]),
    )


def _read(path: Path) -> Iterator[tuple[int, Cells]]:
    """Line numbers and cells, columns by their known names."""
    columns, rows = read_cells(path, ",".join(REQUIRED))
    known = [_known_column(column, path) for column in columns]
    missing = [column for column in REQUIRED if column not in known]
    if missing:
        raise DocumentError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            remedy=f"required: {', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)}",
        )
    twice = sorted({name for name in known if name and known.count(name) > 1})
    if twice:
        raise DocumentError(f"{path} has the column {twice[0]!r} twice", remedy="leave one out")
    for line, cells in rows:
        yield line, {name: cell for name, cell in zip(known, cells, strict=True) if name}


def _known_column(column: str, path: Path) -> str:
    """The known name of a column, empty for one to be ignored. Raises DocumentError if it is nearly a known one."""
    known = (*REQUIRED, *OPTIONAL)
    if column in known or column in SAME_COLUMN:
        return SAME_COLUMN.get(column, column)
    close = get_close_matches(column.lower(), (*known, *SAME_COLUMN), n=1, cutoff=0.7)
    if close:
        raise DocumentError(
            f"{path} has the unknown column {column!r}",
            remedy=f"did you mean {close[0]!r}? seconds, requests/s and fractions are expected",
        )
    return ""


def _checked(cells: Cells, line: int, path: Path, device: str) -> Row:
    """The row with its cells as numbers. Raises InputError that names the line, the column and the value."""

    def read(column: str, parse: Callable[[str], Any], *, is_required: bool) -> Any:
        cell = cells.get(column)
        text = "" if cell is None else str(cell).strip()
        if not text:
            if is_required:
                raise InputError(f"{path}, line {line}: {column} is empty", remedy="fill it in or leave the row out")
            return None
        try:
            return parse(text)
        except ValueError as problem:
            raise InputError(f"{path}, line {line}: {column} {text!r} {problem}", remedy="correct the cell") from None

    return Row(
        line=line,
        device=read("device", _device, is_required=False) or device,
        stage=read("stage", _name, is_required=False) or "",
        model=read("model", _name, is_required=True),
        accuracy=read("accuracy", _fraction, is_required=False),
        cores=read("cores", _small_count, is_required=True),
        batch=read("batch", _small_count, is_required=True),
        latency_s=read("latency_s", _positive, is_required=True),
        throughput_rps=read("throughput_rps", _positive, is_required=False),
        load_time_s=read("load_time_s", at_least_zero, is_required=False),
        memory_bytes=read("memory_bytes", _bytes, is_required=False),
    )


def _name(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _device(text: str) -> str:
    if text not in DEVICES:
        raise ValueError(f"is no device (known: {', '.join(DEVICES)})")
    return text


def _positive(text: str) -> float:
    if (number := parse_number(text)) <= 0:
        raise ValueError("must be above zero")
    if not PLAUSIBLE[0] <= number <= PLAUSIBLE[1]:
        raise ValueError(f"lies outside {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g}")
    return number


def _small_count(text: str) -> int:
    return _count(text, LARGEST_COUNT)


def _bytes(text: str) -> int:
    return _count(text, LARGEST_BYTES)


def _count(text: str, most: int) -> int:
    number = parse_number(text)
    if number != int(number) or number < 1:
        raise ValueError("must be a whole number above zero")
    if number > most:
        raise ValueError(f"is more than {most}")
    return int(number)


def _fraction(text: str) -> float:
    if text.endswith("%"):
        try:
            return parse_fraction(text)
        except InputError as error:
            raise ValueError(f"is refused: {error.message}") from None
    if not 0 <= (number := parse_number(text)) <= 1:
        raise ValueError("lies outside 0 to 1 (write a fraction, or a percentage with %)")
    return number


def _refuse_twice(rows: Sequence[Row], path: Path) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for row in rows:
        if bool(row.stage) != bool(rows[0].stage):
            raise InputError(
                f"{path}, line {row.line}: a stage in some rows and none in others", remedy="fill in every stage"
            )
        key = (row.stage, row.model, row.device, row.cores, row.batch)
        if key in seen:
            raise InputError(
                f"{path}, lines {seen[key]} and {row.line}: {row.model!r} at batch {row.batch} on {row.cores} "
                f"{'cores' if row.device == 'cpu' else 'devices'} stands there twice",
                remedy="keep one of them",
            )
        seen[key] = row.line


def _names(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """Names by stage and model, in the order of the file: a model of two stages is told apart by the stage."""
    keys = list(dict.fromkeys((row.stage, row.model) for row in rows))
    models = [model for _, model in keys]
    return {(stage, model): f"{model}@{stage}" if models.count(model) > 1 else model for stage, model in keys}


def _accuracies(rows: Sequence[Row], path: Path) -> dict[tuple[str, str], float | None]:
    found: dict[tuple[str, str], float | None] = {}
    for row in rows:
        known = found.setdefault((row.stage, row.model), row.accuracy)
        if known != row.accuracy:
            raise InputError(
                f"{path}, line {row.line}: {row.model!r} has accuracy {row.accuracy} here and {known} before",
                remedy="give a model one accuracy in all its rows",
            )
    return found


def _spec(name: str, stage: str, path: Path) -> ModelSpec:
    return ModelSpec(
        name=name, family="imported", classes=0, input_shape=(), exits=("last",), head="none",
        weights="imported", source=path.name, task=stage,
    )  # fmt: skip


def _accuracy_row(model: str, dataset: str, accuracy: float) -> AccuracyRow:
    return AccuracyRow(
        model=model, exit=0, dataset=dataset, split="imported", accuracy=accuracy,
        low=None, high=None, samples=0, source="imported",
    )  # fmt: skip


def _point(row: Row, model: str, quantile: float) -> ImportedPoint:
    return ImportedPoint(
        model=model, device=row.device, cores=row.cores, batch=row.batch, latency_s=row.latency_s, quantile=quantile,
        throughput_rps=row.throughput_rps or row.batch / row.latency_s,
        load_time_s=row.load_time_s or 0.0, memory_bytes=row.memory_bytes,
    )  # fmt: skip
