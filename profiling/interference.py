"""What the machine took away while a group was measured: quota throttling and stolen time."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ttamer.profiling.cgroups import read_cpu_stat


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """Counters at one moment; None where the machine does not say."""

    throttled_periods: int | None
    steal_s: float | None
    at_s: float

    def evidence_since(self, before: "Interference", cores: int) -> dict[str, float]:
        """The part of a verdict's evidence that belongs to the whole group."""
        evidence: dict[str, float] = {}
        if self.throttled_periods is not None and before.throttled_periods is not None:
            evidence["throttled_periods"] = float(self.throttled_periods - before.throttled_periods)
        if self.steal_s is not None and before.steal_s is not None and self.at_s > before.at_s:
            evidence["steal_share"] = (self.steal_s - before.steal_s) / (self.at_s - before.at_s) / cores
        return evidence


def read_interference(cpus: Sequence[int], at_s: float, root: Path = Path("/")) -> Interference:
    """The counters now, the stolen time summed over the given CPUs."""
    stat = read_cpu_stat(root)
    throttled = stat.get("nr_throttled")
    return Interference(throttled_periods=throttled, steal_s=_steal_s(cpus, root), at_s=at_s)


def _steal_s(cpus: Sequence[int], root: Path) -> float | None:
    try:
        lines = (root / "proc/stat").read_text().splitlines()
    except OSError:
        return None
    names = {f"cpu{cpu}" for cpu in cpus}
    ticks = [int(fields[8]) for fields in map(str.split, lines) if fields and fields[0] in names and len(fields) > 8]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None
