"""What the machine took away while a group was measured: quotas, stolen time, neighbours, and waiting for a core."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ttamer.profiling.cgroups import cpu_pressure_file, read_cpu_stat
from ttamer.profiling.clock import Counters

ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """Counters of the machine and of this process at one moment; None where the machine does not say.

    steal_s, busy_s: of the CPUs that this process is bound to. pressure_s: for how long some task of the machine
    waited for a CPU; group_pressure_s: some task of this control group.
    """

    own: Counters
    throttled_periods: int | None = None
    steal_s: float | None = None
    busy_s: float | None = None
    pressure_s: float | None = None
    group_pressure_s: float | None = None

    def evidence_since(self, before: "Interference", cores: int) -> dict[str, float]:
        """The part of a verdict's evidence that belongs to the whole group; what is unknown is left out.

        throttled_periods: in which the quota was used up. Shares of the time that passed: steal_share of the cores,
        pressure_share in which some task of the machine waited, group_pressure_share one of this control group;
        waited_share of the time of this process's threads, up to one a core, in which they waited for one;
        foreign_share of the cores used by others; running_share in which the calling thread ran.
        """
        elapsed_s = self.own.at_s - before.own.at_s
        if elapsed_s <= 0:
            return {}
        cpu_s = self.own.cpu_s - before.own.cpu_s
        gains = {
            "throttled_periods": (self.throttled_periods, before.throttled_periods, 1.0, 0.0),
            "steal_share": (self.steal_s, before.steal_s, elapsed_s * cores, 0.0),
            "pressure_share": (self.pressure_s, before.pressure_s, elapsed_s, 0.0),
            "group_pressure_share": (self.group_pressure_s, before.group_pressure_s, elapsed_s, 0.0),
            "waited_share": (self.own.waited_s, before.own.waited_s, elapsed_s * min(cores, self.own.threads), 0.0),
            "foreign_share": (self.busy_s, before.busy_s, elapsed_s * cores, cpu_s),
            "running_share": (self.own.thread_s, before.own.thread_s, elapsed_s, 0.0),
            "preemptions_per_s": (self.own.preemptions, before.own.preemptions, elapsed_s, 0.0),
        }
        return {
            name: max(0.0, (after - earlier - own_s) / unit)
            for name, (after, earlier, unit, own_s) in gains.items()
            if after is not None and earlier is not None
        }


def read_interference(cpus: Sequence[int], own: Counters, root: Path = ROOT) -> Interference:
    """The counters now; stolen and busy time summed over the given CPUs."""
    ticks = _ticks(cpus, root)
    return Interference(
        own=own,
        throttled_periods=read_cpu_stat(root).get("nr_throttled"),
        steal_s=ticks and ticks[1],
        busy_s=ticks and ticks[0],
        pressure_s=_stalled_s(root / "proc/pressure/cpu"),
        group_pressure_s=_stalled_s(cpu_pressure_file(root)),
    )


def _ticks(cpus: Sequence[int], root: Path) -> tuple[float, float] | None:
    """Seconds that the CPUs were busy with tasks and interrupts, and that the hypervisor took."""
    try:
        lines = (root / "proc/stat").read_text().splitlines()
    except OSError:
        return None
    names = {f"cpu{cpu}" for cpu in cpus}
    rows = [list(map(int, fields[1:])) for fields in map(str.split, lines) if fields and fields[0] in names]
    rows = [row for row in rows if len(row) > 7]  # user nice system idle iowait irq softirq steal
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    busy, steal = sum(sum(row[:3]) + row[5] + row[6] for row in rows), sum(row[7] for row in rows)
    return (busy * tick_s, steal * tick_s) if rows else None


def _stalled_s(path: Path | None) -> float | None:
    """Seconds in a pressure file for which some task waited. Source: Linux, Documentation/accounting/psi.rst."""
    try:
        found = re.search(r"^some .*\btotal=(\d+)", path.read_text(), re.MULTILINE) if path else None
    except (OSError, UnicodeDecodeError):
        return None
    return int(found[1]) / 1e6 if found else None
