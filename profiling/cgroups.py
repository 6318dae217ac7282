"""What a control group allows this process: CPU quota, CPU set, memory. Versions 1 and 2.

A limit holds for everything below the group that carries it, so all groups up to the root are asked.
"""

import math
from collections.abc import Iterator
from pathlib import Path


def read_cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time that the process may use, the least of its groups; None where unlimited."""
    quotas = [_quota(folder) for folder in _folders(root, "cpu")]
    limits = [quota for quota in quotas if quota is not None]
    return min(limits) if limits else None


def read_cpuset(root: Path = Path("/")) -> str | None:
    """The CPUs the process's group allows, as the kernel writes them (`0-3,8`)."""
    for folder in _folders(root, "cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            text = _text(folder / name)
            if text:
                return text
    return None


def read_memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The most memory the process's groups allow; None where unlimited."""
    texts = [
        _text(folder / name) for folder in _folders(root, "memory") for name in ("memory.max", "memory.limit_in_bytes")
    ]
    limits = [int(text) for text in texts if text and text.isdigit()]
    below = [limit for limit in limits if limit < 2**60]  # version 1 writes "unlimited" as about 2^63
    return min(below) if below else None


def read_cpu_stat(root: Path = Path("/")) -> dict[str, int]:
    """The counters of the process's own group: nr_periods, nr_throttled, ...; empty where unreadable."""
    for folder in _folders(root, "cpu"):
        text = _text(folder / "cpu.stat")
        if text:
            pairs = [line.split() for line in text.splitlines()]
            return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    return {}


def cpu_pressure_file(root: Path = Path("/")) -> Path | None:
    """The file that says how long tasks of the process's own group waited for a CPU; None where there is none."""
    for folder in _folders(root, "cpu"):
        path = folder / "cpu.pressure"
        return path if path.is_file() else None
    return None


def _quota(folder: Path) -> float | None:
    modern = (_text(folder / "cpu.max") or "").split()
    if len(modern) == 2 and modern[0].isdigit() and int(modern[1]) > 0:
        return int(modern[0]) / int(modern[1])
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    if quota and period and quota.isdigit() and period.isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return None


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's group and of all groups above it, innermost first."""
    mount = root / "sys/fs/cgroup"
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller in controllers.split(","):
            base = mount / controller if (mount / controller).is_dir() else mount / controllers
        elif number == "0" and not controllers:
            base = mount
        else:
            continue
        steps = [step for step in path.split("/") if step and step != ".."]
        for depth in range(len(steps), -1, -1):
            folder = base.joinpath(*steps[:depth])
            if folder.is_dir():
                yield folder


def whole_cpus(quota: float | None) -> float:
    """Whole CPUs within a quota, at least one; inf without a quota.

    >>> whole_cpus(2.5), whole_cpus(0.5), whole_cpus(None)
    (2, 1, inf)
    """
    return math.inf if quota is None else max(1, math.floor(quota))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
