"""Exit records: what every exit of a model answered on every sample of one split.

Axes: N samples, K exits (shallow to deep, the last is the backbone's own answer), V classes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ttamer.profiles.documents import envelope, read_table, require_columns, write_table
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.provenance import Provenance

FORMAT, VERSION = "exit-records", 1
SPLITS = ("fit", "calibration", "validation", "test")
COLUMNS = {
    "sample": pa.int64(),
    "label": pa.int32(),
    "prediction": pa.list_(pa.int32()),
    "confidence": pa.list_(pa.float32()),
    "margin": pa.list_(pa.float32()),
    "entropy": pa.list_(pa.float32()),
}
OPTIONAL = ("margin", "entropy")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecords:
    """One split of a data set, seen through all exits of one model.

    sample_N identifies samples across splits (its place in the data source); confidence is the largest
    softmax probability after temperature, margin the distance to the second largest, entropy in nats; the last two are
    None in records that others wrote without them. starts: the first exit of each model, where several were joined.
    Raises InputError on NaN, on arrays that disagree in shape and on repeated samples.
    """

    model: str
    dataset: str
    split: str
    sample_N: Ints
    label_N: Ints
    prediction_NK: Ints
    confidence_NK: Floats
    margin_NK: Floats | None = None
    entropy_NK: Floats | None = None
    starts: tuple[int, ...] = (0,)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        N, K = self.prediction_NK.shape if self.prediction_NK.ndim == 2 else (0, 0)
        what = f"exit records of {self.model!r} ({self.split})"
        if self.split not in SPLITS:
            raise InputError(f"{what} name an unknown split", remedy=f"allowed: {', '.join(SPLITS)}")
        if N == 0 or K == 0:
            raise InputError(f"{what} are empty", remedy="record at least one sample and one exit")
        for name in ("confidence_NK", "margin_NK", "entropy_NK"):
            values = getattr(self, name)
            if values is None and name != "confidence_NK":
                continue
            if values.shape != (N, K):
                raise InputError(f"{what}: {name} has shape {values.shape}, expected {(N, K)}")
            if not np.isfinite(values).all():
                raise InputError(f"{what}: {name} holds NaN or infinity", remedy="fit the heads again")
        if self.label_N.shape != (N,) or self.sample_N.shape != (N,):
            raise InputError(f"{what}: one label and one sample number each are needed for {N} rows")
        if len(np.unique(self.sample_N)) != N:
            raise InputError(f"{what} hold a sample twice", remedy="remove the duplicates from the data")

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return int(self.prediction_NK.shape[0])

    @property
    def exits(self) -> int:
        """K, the number of exits, the backbone's own answer included."""
        return int(self.prediction_NK.shape[1])

    def taken(self, row_M: Ints | slice) -> "ExitRecords":
        """Some of the samples, in the order given."""
        return replace(self, **{name: array[row_M] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, Any]:
        """What is known of the samples, each array by its name."""
        names = ("sample_N", "label_N", "prediction_NK", "confidence_NK", "margin_NK", "entropy_NK")
        return {name: array for name in names if (array := getattr(self, name)) is not None}

    def correct_NK(self) -> NDArray[np.bool_]:
        """Whether each exit gives the label."""
        return np.asarray(self.prediction_NK == self.label_N[:, None])

    def agrees_NK(self) -> NDArray[np.bool_]:
        """Whether each exit gives the last exit's answer (agreement, not accuracy)."""
        return np.asarray(self.prediction_NK == self.prediction_NK[:, -1:])

    def accuracy_K(self) -> Floats:
        """Accuracy of each exit by itself."""
        return np.asarray(self.correct_NK().mean(axis=0), dtype=np.float64)

    def digest(self) -> str:
        """The first 16 hex digits of the sha256 of what was recorded, whatever the split is called.

        Taken at the precision of the file, so that writing and reading the records does not change it.
        """
        sha = hashlib.sha256(f"{self.model}\0{self.dataset}\0{self.exits}\0".encode())
        for array, dtype in (
            (self.sample_N, "<i8"),
            (self.label_N, "<i4"),
            (self.prediction_NK, "<i4"),
            (self.confidence_NK, "<f4"),
            (self.margin_NK, "<f4"),
            (self.entropy_NK, "<f4"),
        ):
            if array is None:
                sha.update(b"unknown")
                continue
            sha.update(np.ascontiguousarray(array, dtype=dtype).data)
        return sha.hexdigest()[:16]

    def write(self, path: Path) -> None:
        """Write the records as Parquet, a row a sample."""
        header = envelope(FORMAT, VERSION, self.provenance)
        header |= {"model": self.model, "dataset": self.dataset, "split": self.split}
        columns = self._columns()
        schema = pa.schema({name: COLUMNS[name] for name in columns})
        write_table(path, pa.table(columns, schema=schema), header)

    def _columns(self) -> dict[str, Any]:
        arrays = {
            "sample": self.sample_N,
            "label": self.label_N,
            "prediction": self.prediction_NK,
            "confidence": self.confidence_NK,
            "margin": self.margin_NK,
            "entropy": self.entropy_NK,
        }
        known = {name: values for name, values in arrays.items() if values is not None}
        return {name: pa.array(list(values), type=COLUMNS[name]) for name, values in known.items()}

    @classmethod
    def read(cls, path: Path) -> "ExitRecords":
        """The records in a Parquet file. Raises DocumentError or InputError with the cause."""
        table, header = read_table(path, FORMAT, VERSION)
        require_columns(table, {name: kind for name, kind in COLUMNS.items() if name not in OPTIONAL}, path)
        table = _typed(table, path)
        widths = {len(row) for row in table["prediction"].to_pylist()}
        if len(widths) != 1:
            raise InputError(f"{path}: rows answer {sorted(widths)} exits", remedy="record every exit of every sample")
        return cls(**_arrays(table, widths.pop()), **_identity(header))


def refuse_one_class(label_N: Ints, what: str) -> None:
    """Raise InputError if every label is the same."""
    if (label_N == label_N[0]).all():
        raise InputError(
            f"{what} hold one class only, {int(label_N[0])}: any exit may be right by chance",
            remedy="record samples of two classes or more",
        )


def _typed(table: pa.Table, path: Path) -> pa.Table:
    """The columns of records in their types. Raises DocumentError on other ones, on empty cells and on no rows."""
    if not table.num_rows:
        raise DocumentError(f"{path} holds no samples", remedy="record them again")
    schema = pa.schema({name: kind for name, kind in COLUMNS.items() if name in table.column_names})
    for name in schema.names:
        cells = table[name].combine_chunks()
        if cells.null_count or (pa.types.is_list(cells.type) and cells.flatten().null_count):
            raise DocumentError(f"{path}: column {name!r} has empty cells", remedy="record every exit of every sample")
    try:
        return table.select(schema.names).replace_schema_metadata().cast(schema)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DocumentError(f"{path} holds other values than records do: {reason}", remedy="write it anew") from None


def _arrays(table: pa.Table, K: int) -> dict[str, Any]:
    def matrix(name: str, dtype: type) -> Any:
        if name in OPTIONAL and name not in table.column_names:
            return None
        flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.astype(dtype).reshape(-1, K) if len(flat) == K * len(table) else flat.astype(dtype)[None, :0]

    return {
        "sample_N": table["sample"].to_numpy().astype(np.int64),
        "label_N": table["label"].to_numpy().astype(np.int64),
        "prediction_NK": matrix("prediction", np.int64),
        "confidence_NK": matrix("confidence", np.float64),
        "margin_NK": matrix("margin", np.float64),
        "entropy_NK": matrix("entropy", np.float64),
    }


def _identity(header: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(header.get(name)) for name in ("model", "dataset", "split")} | {
        "provenance": Provenance.from_dict(header["provenance"])
    }
