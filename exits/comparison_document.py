"""What is found when exit policies are compared on records: a document, and a table a row a policy.

Axes: K exits, P policies.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document

FORMAT, VERSION = "record-comparison", 1
Role = Literal["policy", "chosen", "bound"]


class Measure(Document):
    """A number on the test split with the middle 95 % of its resampled values."""

    value: float
    low: float
    high: float


class Found(Document):
    """What a policy does on the test split.

    drop: accuracy lost against the last exit. saved: share of the last exit's mean time. throughput: how much more one
    server answers if it stops where the answer leaves (0.5 is half as much again); nothing is gained if it runs on.
    recalled: share answered by an exit before the one that stopped. stop_share: of each exit. behind: how much more of
    the last exit's mean time the choice saves, None where nothing could be chosen.
    """

    accuracy: Measure
    drop: Measure
    agreement: Measure
    mean_s: Measure
    p50_s: Measure
    p99_s: Measure
    saved: Measure
    throughput: Measure
    recalled: Measure
    behind: Measure | None = None
    stop_share: tuple[float, ...]


class Expected(Document):
    """What was expected of a policy before the test split was looked at.

    accuracy, mean_s: on the validation split, which chose the setting. modelled_accuracy, modelled_mean_s: what the
    policy's own model of the calibration records promises, None for rules without one.
    """

    accuracy: float
    mean_s: float
    modelled_accuracy: float | None = None
    modelled_mean_s: float | None = None


class Row(Document):
    """One policy; found is None if no setting of its kind may be chosen, expected is None for bounds."""

    policy: str
    role: Role
    spec: PolicySpec | None = None
    found: Found | None = None
    expected: Expected | None = None


class RecordComparison(Document):
    """All policies on the records of one model.

    samples: of each split. caution: standard errors that every loss was raised by in choosing.
    """

    model: str
    dataset: str
    exits: int
    samples: Mapping[str, int]
    max_drop: float
    caution: float
    seed: int
    rows: tuple[Row, ...]

    def row(self, policy: str) -> Row:
        """The row of a policy. Raises InputError if there is none."""
        for row in self.rows:
            if row.policy == policy:
                return row
        raise InputError(f"no row of {policy!r}", remedy=f"there are {', '.join(row.policy for row in self.rows)}")


def write_comparison(path: Path, comparison: RecordComparison, provenance: Provenance) -> Path:
    """Write the comparison as a Parquet table, a row a policy; returns the path."""
    rows = [_flat(row) for row in comparison.rows]
    header = envelope(FORMAT, VERSION, provenance) | comparison.model_dump(mode="json", exclude={"rows"})
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA), header)
    return path


MEASURES = tuple(name for name in Found.model_fields if name != "stop_share")
SCHEMA = pa.schema({
    "policy": pa.string(), "role": pa.string(),
    **{f"{name}{end}": pa.float64() for name in MEASURES for end in ("", "_low", "_high")},
    "expected_accuracy": pa.float64(), "expected_mean_s": pa.float64(),
    "modelled_accuracy": pa.float64(), "modelled_mean_s": pa.float64(),
    "stop_share": pa.list_(pa.float64()), "spec": pa.string(),
})  # fmt: skip


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {"policy": row.policy, "role": row.role}
    if row.found is not None:
        for name in MEASURES:
            measure: Measure | None = getattr(row.found, name)
            if measure is not None:
                flat |= {name: measure.value, f"{name}_low": measure.low, f"{name}_high": measure.high}
        flat["stop_share"] = list(row.found.stop_share)
    if row.expected is not None:
        expected = row.expected
        flat |= {"expected_accuracy": expected.accuracy, "expected_mean_s": expected.mean_s}
        flat |= {"modelled_accuracy": expected.modelled_accuracy, "modelled_mean_s": expected.modelled_mean_s}
    return flat | {"spec": None if row.spec is None else json.dumps(row.spec.model_dump(mode="json"))}
