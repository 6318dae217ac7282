"""What replicas of one model do to each other on one host: measured alone and side by side.

They lie in a profile's folder as `replicas.parquet`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from ttamer.profiles.documents import envelope, read_table, require_columns, write_table
from ttamer.profiles.provenance import Provenance

FORMAT, VERSION = "replicas", 1
SCHEMA = pa.schema({
    "model": pa.string(), "device": pa.string(), "cores": pa.int32(), "batch": pa.int32(), "replicas": pa.int32(),
    "throughput_rps": pa.float64(), "median_s": pa.float64(), "slowdown": pa.float64(), "calls": pa.int64(),
    "seconds": pa.float64(), "verdict": pa.string(),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Replicas of one model, each on cores of its own, all answering without a pause.

    throughput_rps: of all replicas together; median_s: of one call, over all of them; slowdown: that over the median
    of one replica alone, measured in the same run. calls, seconds: how much was measured.
    """

    model: str
    device: str
    cores: int
    batch: int
    replicas: int
    throughput_rps: float
    median_s: float
    slowdown: float
    calls: int
    seconds: float
    verdict: str

    @property
    def setting(self) -> tuple[str, str, int, int, int]:
        """What tells it from others: model, device, cores, batch, replicas."""
        return self.model, self.device, self.cores, self.batch, self.replicas


def replicas_path(folder: Path) -> Path:
    """Where they lie in a profile's folder."""
    return folder / "replicas.parquet"


def read_side_by_side(folder: Path) -> list[SideBySide]:
    """All that was measured; empty where nothing was. Raises DocumentError if the file is damaged."""
    path = replicas_path(folder)
    if not path.is_file():
        return []
    table, _ = read_table(path, FORMAT, VERSION)
    require_columns(table, dict.fromkeys(SCHEMA.names), path)
    return [SideBySide(**row) for row in table.select(SCHEMA.names).to_pylist()]


def write_side_by_side(folder: Path, measured: Sequence[SideBySide], provenance: Provenance) -> None:
    """Add to what is there; a setting that was measured before is replaced."""
    found = {one.setting: one for one in (*read_side_by_side(folder), *measured)}
    rows = [asdict(found[setting]) for setting in sorted(found)]
    write_table(replicas_path(folder), pa.Table.from_pylist(rows, schema=SCHEMA), envelope(FORMAT, VERSION, provenance))
