"""Reading and writing profile folders, and where the files of a profile lie."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ttamer.profiles.cascade import is_cascade, members_of
from ttamer.profiles.documents import envelope, read_table, read_yaml, require_columns, write_table, write_yaml
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.profile import AccuracyRow, ImportedPoint, LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.samples import Samples

FORMAT, LATENCY_FORMAT, ACCURACY_FORMAT, VERSION = "profile", "latency", "accuracy", 1
LATENCY_VERSION = 2  # 2: raw_seconds beside seconds with drift divided out, and the samples of each process
SHELF = Path("profiles")  # where commands keep profiles, relative to the user's folder
DEFAULT_NAME = "local"  # of the profile that commands use unless told otherwise
SHIPPED = Path(__file__).parent / "data"  # profiles that come with the package, to be read only

LATENCY_SCHEMA = pa.schema({
    "model": pa.string(), "part": pa.string(), "exit": pa.int32(), "device": pa.string(), "dtype": pa.string(),
    "batch": pa.int32(), "cores": pa.int32(), "seconds": pa.list_(pa.float64()),
    "raw_seconds": pa.list_(pa.float64()), "counts": pa.list_(pa.int32()), "loops": pa.int32(),
    "peak_memory_bytes": pa.int64(), "load_time_s": pa.float64(), "verdict": pa.string(),
    "evidence": pa.map_(pa.string(), pa.float64()), "spec_digest": pa.string(),
})  # fmt: skip
KEYS = ("model", "part", "device", "batch", "cores", "exit", "accuracy")  # no row is without them
SINCE_2 = ("raw_seconds", "counts")  # columns that a table of version 1 lacks
ACCURACY_SCHEMA = pa.schema({
    "model": pa.string(), "exit": pa.int32(), "dataset": pa.string(), "split": pa.string(), "accuracy": pa.float64(),
    "low": pa.float64(), "high": pa.float64(), "samples": pa.int64(), "source": pa.string(),
})  # fmt: skip
IMPORTED_FORMAT = "imported"
IMPORTED_SCHEMA = pa.schema({
    "model": pa.string(), "device": pa.string(), "cores": pa.int32(), "batch": pa.int32(), "latency_s": pa.float64(),
    "quantile": pa.float64(), "throughput_rps": pa.float64(), "load_time_s": pa.float64(), "memory_bytes": pa.int64(),
})  # fmt: skip


def records_path(folder: Path, model: str, split: str) -> Path:
    """Where the exit records of one split lie."""
    return folder / "records" / f"{model}.{split}.parquet"


def heads_path(folder: Path, model: str) -> Path:
    """Where the fitted heads of a model lie."""
    return folder / "heads" / f"{model}.safetensors"


def weights_path(folder: Path, model: str) -> Path:
    """Where the weights of a backbone that was trained here lie."""
    return folder / "weights" / f"{model}.safetensors"


def imported_path(folder: Path) -> Path:
    """Where numbers that came from elsewhere lie."""
    return folder / "imported.parquet"


def journal_path(folder: Path) -> Path:
    """Where finished points are appended while a sweep runs."""
    return folder / "journal.jsonl"


def profile_folder(name_or_path: str) -> Path:
    """The folder to write a profile to, given by name (`local`) or by path (`./somewhere/profile`).

    Raises InputError for a name that is none.
    """
    given = Path(name_or_path)
    if given.name in ("", "..") and not (given / "profile.yaml").is_file():
        raise InputError(f"{name_or_path!r} names no profile", remedy="give a name (local) or a folder (./here/local)")
    return given if len(given.parts) > 1 or (given / "profile.yaml").is_file() else SHELF / given


def find_profile(name_or_path: str) -> Path:
    """The folder to read a profile from: the user's own, else one of that name that comes with the package."""
    own, shipped = profile_folder(name_or_path), SHIPPED / name_or_path
    return own if (own / "profile.yaml").is_file() or not (shipped / "profile.yaml").is_file() else shipped


def profile_option(folder: Path) -> str:
    """How a command names this folder, to be typed as it stands; nothing for the default profile.

    >>> profile_option(SHELF / "demo"), profile_option(SHELF / "local")
    (' -p demo', '')
    """
    if folder == SHELF / DEFAULT_NAME:
        return ""
    return f" -p {shlex.quote(folder.name if folder.parent == SHELF else str(folder))}"


def remeasuring(models: Iterable[str], verdict: str, folder: Path) -> str:
    """The command that measures the points of these models anew which were given this verdict.

    Of a cascade those of its members. A profile that comes with the package is of another machine: there the models
    are measured into one of the user's.
    """
    models = {member for model in models for member in (members_of(model) if is_cascade(model) else (model,))}
    if folder.parent == SHIPPED:
        return f"ttamer profile {' '.join(sorted(models))}"
    return f"ttamer profile {' '.join(sorted(models))} --remeasure {verdict}{profile_option(folder)}"


def point_row(point: LatencyPoint) -> dict[str, Any]:
    """A latency point as one flat row, the same in the journal and in the table."""
    return {
        **asdict(point.key),
        "seconds": list(point.samples.seconds),
        "raw_seconds": list(point.samples.raw_seconds),
        "counts": list(point.samples.counts),
        "loops": point.samples.loops,
        "peak_memory_bytes": point.peak_memory_bytes,
        "load_time_s": point.load_time_s,
        "verdict": point.verdict,
        "evidence": dict(point.evidence),
        "spec_digest": point.spec_digest,
    }


def point_from_row(row: Mapping[str, Any]) -> LatencyPoint:
    """The latency point in a row, of version 1 too. Raises InputError on a missing field or an impossible value."""
    try:
        return LatencyPoint(
            key=PointKey(**{name: row[name] for name in PointKey.__dataclass_fields__}),
            samples=Samples(row["seconds"], row["loops"], row.get("raw_seconds"), row.get("counts")),
            peak_memory_bytes=row["peak_memory_bytes"],
            load_time_s=row["load_time_s"],
            verdict=row["verdict"],
            evidence=dict(row["evidence"]),
            spec_digest=row["spec_digest"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a latency row is damaged: {error}", remedy="measure the point again") from None


def write_profile(folder: Path, profile: Profile) -> Profile:
    """Write the profile's header and tables; returns it with its folder set."""
    header = envelope(FORMAT, VERSION, profile.provenance) | {
        "name": profile.name,
        "machine": asdict(profile.machine),
        "settings": dict(profile.settings),
        "models": {name: asdict(spec) for name, spec in profile.models.items()},
    }
    rows = [point_row(point) for point in profile.latency]
    write_table(
        folder / "latency.parquet",
        pa.Table.from_pylist(rows, schema=LATENCY_SCHEMA),
        envelope(LATENCY_FORMAT, LATENCY_VERSION, profile.provenance),
    )
    write_table(
        folder / "accuracy.parquet",
        pa.Table.from_pylist([asdict(row) for row in profile.accuracy], schema=ACCURACY_SCHEMA),
        envelope(ACCURACY_FORMAT, VERSION, profile.provenance),
    )
    if profile.imported:
        write_table(
            imported_path(folder),
            pa.Table.from_pylist([asdict(point) for point in profile.imported], schema=IMPORTED_SCHEMA),
            envelope(IMPORTED_FORMAT, VERSION, profile.provenance),
        )
    write_yaml(folder / "profile.yaml", header)
    return replace(profile, folder=folder)


def read_profile(folder: Path) -> Profile:
    """The profile in a folder. Raises DocumentError with the cause and the command that makes one."""
    if not (folder / "profile.yaml").is_file():
        unfinished = " (its journal is there: the run was stopped)" if journal_path(folder).is_file() else ""
        remedy = f"run: ttamer profile --quick{profile_option(folder)}"
        if unfinished:
            remedy = "run the same ttamer profile command again"
        elif folder.is_file():
            remedy = f"a profile is a folder: give {folder.parent}"
        raise DocumentError(f"there is no profile in {folder}{unfinished}", remedy=remedy)
    header = read_yaml(folder / "profile.yaml", FORMAT, VERSION)
    latency = _latency(folder / "latency.parquet")
    accuracy = _rows(folder / "accuracy.parquet", ACCURACY_FORMAT, ACCURACY_SCHEMA, lambda row: AccuracyRow(**row))
    imported: Sequence[ImportedPoint] = ()
    if imported_path(folder).is_file():
        imported = _rows(
            imported_path(folder), IMPORTED_FORMAT, IMPORTED_SCHEMA, lambda row: ImportedPoint(**row)
        )  # fmt: skip
    try:
        return Profile(
            name=header["name"],
            machine=Machine(**header["machine"]),
            models={name: ModelSpec(**fields) for name, fields in header["models"].items()},
            latency=tuple(latency),
            accuracy=tuple(accuracy),
            imported=tuple(imported),
            settings=header["settings"],
            provenance=Provenance.from_dict(header["provenance"]),
            folder=folder,
        )
    except (KeyError, TypeError) as error:
        raise DocumentError(f"{folder / 'profile.yaml'} is damaged: {error}", remedy="measure it anew") from None


def _latency(path: Path) -> Sequence[LatencyPoint]:
    table, header = read_table(path, LATENCY_FORMAT, LATENCY_VERSION)
    fields = [field for field in LATENCY_SCHEMA if header["version"] > 1 or field.name not in SINCE_2]
    return _built(path, table, pa.schema(fields), point_from_row)


def _rows(path: Path, format: str, schema: pa.Schema, build: Callable[[dict[str, Any]], Any]) -> Sequence[Any]:
    table, _ = read_table(path, format, VERSION)
    return _built(path, table, schema, build)


def _built(path: Path, table: pa.Table, schema: pa.Schema, build: Callable[[dict[str, Any]], Any]) -> Sequence[Any]:
    require_columns(table, dict.fromkeys(schema.names), path)
    columns = {field.name: _column(table[field.name], field, path) for field in schema}
    try:
        return [build(row) for row in pa.table(columns).to_pylist()]
    except InputError as error:
        raise DocumentError(f"{path}: {error.message}", remedy=error.remedy) from None


def _column(cells: pa.ChunkedArray, field: pa.Field, path: Path) -> pa.ChunkedArray:
    """The cells in the field's type. Raises DocumentError on other values, and on none where a key must be."""
    if field.name in KEYS and cells.null_count:
        raise DocumentError(f"{path}: column {field.name!r} has empty cells", remedy="write it anew")
    try:
        return cells if pa.types.is_map(field.type) else cells.cast(field.type)
    except pa.ArrowException:
        raise DocumentError(
            f"{path}: column {field.name!r} holds {cells.type}, not {field.type}", remedy="write it anew"
        ) from None
