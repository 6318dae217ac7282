"""How busy a machine is right now: what other processes and the hypervisor take while nothing is measured."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttamer.profiling.cgroups import read_cpu_stat

WATCH_S = 2.0  # long enough to see a busy neighbour, short enough to wait for


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What was seen during a short watch; None where the system does not say.

    busy_share, steal_share: of the time of the allowed CPUs, used by processes and taken by the hypervisor.
    waiting_share: of the watch, during which some process waited for a CPU (pressure stall information).
    throttled_periods: in which the control group was held to its quota. swapped_bytes: memory swapped out.
    """

    busy_share: float | None
    steal_share: float | None
    waiting_share: float | None
    throttled_periods: int | None
    swapped_bytes: int | None
    free_disk_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Ticks:
    busy: int
    steal: int
    total: int


def watch(
    cpus: Sequence[int],
    folder: Path,
    *,
    root: Path = Path("/"),
    watch_s: float = WATCH_S,
    wait: Callable[[float], None],
) -> Conditions:
    """Look twice, `watch_s` seconds apart, at the given CPUs. folder: where profiles will be written."""
    ticks, stalled_us, throttled = _ticks(cpus, root), _stalled_us(root), _throttled(root)
    wait(watch_s)
    later, later_us, later_throttled = _ticks(cpus, root), _stalled_us(root), _throttled(root)
    total = max(1, later.total - ticks.total) if ticks and later else 0
    return Conditions(
        busy_share=(later.busy - ticks.busy) / total if ticks and later else None,
        steal_share=(later.steal - ticks.steal) / total if ticks and later else None,
        waiting_share=(later_us - stalled_us) / 1e6 / watch_s
        if stalled_us is not None and later_us is not None
        else None,
        throttled_periods=later_throttled - throttled
        if throttled is not None and later_throttled is not None
        else None,
        swapped_bytes=_swapped_bytes(root),
        free_disk_bytes=_free_disk_bytes(folder),
    )


def _ticks(cpus: Sequence[int], root: Path) -> _Ticks | None:
    """Clock ticks of the CPUs so far: user nice system idle iowait irq softirq steal, as the kernel lists them."""
    names = {f"cpu{cpu}" for cpu in cpus}
    rows = [line.split() for line in (_text(root / "proc/stat") or "").splitlines()]
    counts = [[int(field) for field in row[1:9]] for row in rows if row and row[0] in names and len(row) > 8]
    if not counts:
        return None
    idle, steal = sum(row[3] + row[4] for row in counts), sum(row[7] for row in counts)
    total = sum(map(sum, counts))
    return _Ticks(busy=total - idle - steal, steal=steal, total=total)


def _stalled_us(root: Path) -> int | None:
    found = re.search(r"^some .*total=(\d+)", _text(root / "proc/pressure/cpu") or "", flags=re.MULTILINE)
    return int(found[1]) if found else None


def _throttled(root: Path) -> int | None:
    return read_cpu_stat(root).get("nr_throttled")


def _swapped_bytes(root: Path) -> int | None:
    found = dict(re.findall(r"^(Swap\w+):\s*(\d+) kB", _text(root / "proc/meminfo") or "", flags=re.MULTILINE))
    if "SwapTotal" not in found or "SwapFree" not in found:
        return None
    return (int(found["SwapTotal"]) - int(found["SwapFree"])) * 1024


def _free_disk_bytes(folder: Path) -> int | None:
    existing = next((place for place in (folder, *folder.resolve().parents) if place.is_dir()), None)
    if existing is None:
        return None
    facts = os.statvfs(existing)
    return facts.f_bavail * facts.f_frsize


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
