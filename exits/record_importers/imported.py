"""Records as others wrote them, before they are split: what is known of them, and nothing made up.

Axes: N samples, K exits.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.record_checks import refuse_one_exit
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints, refuse_one_class

SPLIT_SHARES = {"calibration": 0.4, "validation": 0.3, "test": 0.3}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imported:
    """Answers of K exits to N samples, numbered as in the file.

    margin_NK, entropy_NK: None where the file does not say and two classes do not give them away. exits: names of the
    exits, empty where they have none. separate: each exit is a model of its own, so that one that is not asked costs
    nothing. price_K: what each costs by the file, in its own unit.
    Raises InputError on one exit, one class or a confidence that is no number.
    """

    model: str
    dataset: str
    label_N: Ints
    prediction_NK: Ints
    confidence_NK: Floats
    margin_NK: Floats | None = None
    entropy_NK: Floats | None = None
    exits: tuple[str, ...] = ()
    separate: bool = False
    price_K: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        what = f"the records of {self.model!r}"
        refuse_one_exit(self.prediction_NK.shape[1], what)
        refuse_one_class(self.label_N, what)
        if not np.isfinite(self.confidence_NK).all():
            row, exit = np.argwhere(~np.isfinite(self.confidence_NK))[0]
            raise InputError(f"{what}: the confidence of sample {row} at exit {exit} is no number", remedy="remove it")


def binary(imported: Imported) -> Imported:
    """The same with the margin and entropy of two classes, the answer's probability being its confidence.

    Published records hold confidences below a half too; their entropy is that of the two probabilities all the same.
    Raises InputError for a confidence outside 0..1.
    """
    p_NK = imported.confidence_NK
    if (p_NK < 0).any() or (p_NK > 1).any():
        raise InputError(
            f"the confidences of {imported.model!r} span {p_NK.min():.4g}..{p_NK.max():.4g}",
            remedy="probabilities lie within 0 and 1",
        )
    tiny = np.finfo(np.float64).tiny
    one_NK, other_NK = np.maximum(p_NK, tiny), np.maximum(1 - p_NK, tiny)
    return replace(
        imported,
        margin_NK=np.abs(2 * p_NK - 1),
        entropy_NK=-(one_NK * np.log(one_NK) + other_NK * np.log(other_NK)),
    )


def split_records(
    imported: Imported, *, seed: int, shares: Mapping[str, float] = SPLIT_SHARES
) -> dict[str, ExitRecords]:
    """Records of every split, drawn at random; the same seed draws the same.

    shares: of the samples by split, summing to 1. Raises InputError if they do not or a split stays empty.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        raise InputError(f"split shares {dict(shares)}", remedy="give positive shares that sum to 1")
    N = len(imported.label_N)
    order_N = np.random.default_rng(seed).permutation(N)
    ends = np.round(np.cumsum(list(shares.values())) * N).astype(np.int64)
    parts = np.split(order_N, ends[:-1])
    return {
        split: records_of_rows(imported, np.sort(rows_N), split) for split, rows_N in zip(shares, parts, strict=True)
    }


def records_of_rows(imported: Imported, rows_N: Ints, split: str) -> ExitRecords:
    """The records of these rows under the name of a split."""
    margin_NK, entropy_NK = imported.margin_NK, imported.entropy_NK
    return ExitRecords(
        model=imported.model,
        dataset=imported.dataset,
        split=split,
        sample_N=rows_N,
        label_N=imported.label_N[rows_N],
        prediction_NK=imported.prediction_NK[rows_N],
        confidence_NK=imported.confidence_NK[rows_N],
        margin_NK=None if margin_NK is None else margin_NK[rows_N],
        entropy_NK=None if entropy_NK is None else entropy_NK[rows_N],
    )


def all_records(imported: Imported, split: str = "test") -> ExitRecords:
    """Every sample in one split."""
    return records_of_rows(imported, np.arange(len(imported.label_N)), split)


def read_columns(path: Path, wanted: Sequence[str]) -> dict[str, list[str]]:
    """The named columns of a CSV file as text; an optional column is named with a trailing `?`.

    Raises InputError if the file cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            table = [row for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    missing = [name for name in wanted if not name.endswith("?") and name not in header]
    if missing or not table:
        raise InputError(
            f"{path} lacks the column {missing[0]!r}" if missing else f"{path} holds no rows",
            remedy=f"its columns are {', '.join(header) or 'none'}",
        )
    if any(len(row) != len(header) for row in table):
        raise InputError(f"{path} has rows of other lengths than its header", remedy="write it anew")
    columns = dict(zip(header, zip(*table, strict=True), strict=True))
    return {name.rstrip("?"): list(columns[name.rstrip("?")]) for name in wanted if name.rstrip("?") in columns}


def as_numbers(values: Sequence[str], what: str) -> Floats:
    """The texts as finite numbers. Raises InputError that names the first one that is none."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{what} holds NaN or infinity", remedy="remove these rows")
    return numbers


def as_classes(values: Sequence[str], what: str) -> Ints:
    """The texts as class numbers. Raises InputError where they are not whole."""
    numbers = as_numbers(values, what)
    whole = numbers.astype(np.int64)
    if (whole != numbers).any():
        raise InputError(f"{what} holds {numbers[whole != numbers][0]}, classes are whole numbers")
    return np.asarray(whole)


def truths(right_NK: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Labels and answers that say no more than which answers are right.

    Two classes are made of the samples' numbers, odd or even: a right answer is the label, a wrong one the other class.
    """
    label_N = np.arange(len(right_NK), dtype=np.int64) % 2
    return label_N, np.where(right_NK, label_N[:, None], 1 - label_N[:, None])


def named(imported: Imported, model: str) -> Imported:
    """The same records under another model's name."""
    return replace(imported, model=model)


def with_exits(imported: Imported, exits: Sequence[int]) -> Imported:
    """The records of these exits alone, in ascending order; the last of them becomes the last exit.

    Raises InputError unless they are two or more of those there are.
    """
    K = imported.prediction_NK.shape[1]
    if list(exits) != sorted(set(exits)) or not exits or exits[0] < 0 or exits[-1] >= K:
        raise InputError(f"exits {list(exits)} of {imported.model!r}", remedy=f"name some of 0 to {K - 1}, ascending")
    columns = list(exits)
    return replace(
        imported,
        prediction_NK=imported.prediction_NK[:, columns],
        confidence_NK=imported.confidence_NK[:, columns],
        margin_NK=None if imported.margin_NK is None else imported.margin_NK[:, columns],
        entropy_NK=None if imported.entropy_NK is None else imported.entropy_NK[:, columns],
        exits=tuple(imported.exits[k] for k in columns) if imported.exits else (),
        price_K=tuple(imported.price_K[k] for k in columns) if imported.price_K else (),
    )
