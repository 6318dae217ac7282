"""What is wrong, what must be said of it, and the folder that must not change."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from tests.e2e.commands import pictures, ttamer
from ttamer.profiles.shelf import read_profile, records_path, write_profile

LOCAL = Path("profiles/local")
LATENCY = LOCAL / "latency.parquet"


def nothing() -> None:
    """Spoil nothing."""


def remove(path: Path) -> Callable[[], None]:
    return path.unlink


def write(path: Path, content: bytes) -> Callable[[], None]:
    def spoil() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return spoil


def cut_in_half(path: Path) -> Callable[[], None]:
    return lambda: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> Callable[[], None]:
    """Change a YAML document as one would by hand."""

    def spoil() -> None:
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return spoil


def inside(*keys: str, **values: object) -> Callable[[dict[str, object]], object]:
    """Set values in a nested mapping."""

    def change(content: dict[str, object]) -> None:
        for key in keys:
            content = content[key]  # type: ignore[assignment]
        content |= values

    return change


def torn_picture() -> None:
    pictures("torn", 10, 32)()
    Path("torn/class0/7.png").write_bytes(b"torn")


def picture_table(path: str, **columns: list[object]) -> Callable[[], None]:
    """A Parquet file of equal pictures and these columns."""

    def spoil() -> None:
        stream = io.BytesIO()
        Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(stream, "PNG")
        rows = max((len(values) for values in columns.values()), default=40)
        pq.write_table(pa.table({"image": [stream.getvalue()] * rows, **columns}), path)

    return spoil


def damaged_seconds() -> None:
    """A latency table of the right form whose first point took no time at all."""
    table = pq.read_table(LATENCY)
    seconds = [[0.0], *table["seconds"].to_pylist()[1:]]
    column = pa.array(seconds, type=table.schema.field("seconds").type)
    pq.write_table(table.set_column(table.schema.get_field_index("seconds"), "seconds", column), LATENCY)


def nan_confidence() -> None:
    path = records_path(LOCAL, "resnet20", "calibration")
    table = pq.read_table(path)
    values = table["confidence"].to_pylist()
    values[0][0] = float("nan")
    column = pa.array(values, type=table.schema.field("confidence").type)
    pq.write_table(table.set_column(table.schema.get_field_index("confidence"), "confidence", column), path)


def records_column(
    name: str, change: Callable[[list[object]], list[object]], kind: pa.DataType | None = None
) -> Callable[[], None]:
    """Change a column of the calibration records, and its type if one is given."""
    return lambda: change_column(records_path(LOCAL, "resnet20", "calibration"), name, change, kind)


def change_column(
    path: Path, name: str, change: Callable[[list[object]], list[object]], kind: pa.DataType | None = None
) -> None:
    """Change a column of a table, and its type if one is given."""
    table = pq.read_table(path)
    column = pa.array(change(table[name].to_pylist()), type=kind or table.schema.field(name).type)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, column), path)


def measured_again() -> None:
    """The profile with other timings, as after deleting and measuring it again."""
    profile = read_profile(LOCAL)
    slower = tuple(
        replace(point, samples=replace(point.samples, seconds=tuple(2 * s for s in point.samples.seconds)))
        for point in profile.latency
    )
    write_profile(LOCAL, replace(profile, latency=slower))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A command, what is wrong with the folder it runs in, and what it must say."""

    name: str
    command: tuple[str, ...]
    says: str
    remedy: str
    spoil: Callable[[], None] = nothing
    exit_code: int = 2


def contents(folder: Path) -> dict[str, str]:
    """Every file in a folder and the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def check(bad: Bad, here: Path) -> None:
    """Run the command in a spoiled folder: one sentence, one remedy, the exit code, and nothing written."""
    bad.spoil()
    before = contents(here)
    done = ttamer(*bad.command)
    said, _, remedy = done.stderr.removeprefix("ttamer: ").partition("\n  try: ")
    goes_on = bad.says.endswith((" ", "("))  # with what the system says, or a number that was measured
    assert (said[: len(bad.says)] if goes_on else said) == bad.says
    assert remedy == f"{bad.remedy}\n"
    assert "\n" not in said
    assert done.exit_code == bad.exit_code
    assert done.stdout == ""
    assert contents(here) == before
