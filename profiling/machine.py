"""Facts of the machine that measures: what a latency depends on beside the model.

Every fact is None where the system does not say; virtual machines and containers hide many.
"""

import hashlib
import os
import platform
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiles.profile import Machine
from ttamer.profiling.cgroups import read_cpu_quota, read_cpuset, read_memory_limit_bytes
from ttamer.profiling.gpu import read_gpu_facts

ROOT = Path("/")
# What makes two machines the same one for a profile. Clock policy and quotas may change from day to day.
STABLE = ("cpu", "logical_cores", "physical_cores", "memory_gib", "gpus")
VECTOR = re.compile(r"^(avx|fma|f16c|amx|sse4_2|asimd|sve|bf16|i8mm)")
THREAD_VARIABLES = re.compile(r"^(OMP|MKL|KMP|GOMP|OPENBLAS|VECLIB|NUMEXPR|TORCH|ATEN|CUDA_VISIBLE|LD_PRELOAD|MALLOC)")


def read_machine(
    *,
    root: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    allowed: Callable[[], tuple[int, ...]] | None = None,
) -> Machine:
    """The facts under a file-system root, and their fingerprint."""
    variables = os.environ if environment is None else environment
    memory_bytes = _memory_bytes(root)
    facts = {
        "cpu": _cpu_model(root),
        "instructions": _instructions(root),
        "microcode": _of_cpuinfo(root, "microcode"),
        "virtual": _is_virtual(root),
        "logical_cores": _logical_cores(root),
        "physical_cores": _physical_cores(root),
        "topology": _topology(root),
        "memory_bytes": memory_bytes,
        "memory_gib": None if memory_bytes is None else round(memory_bytes / 2**30),
        "gpus": _gpu_names(root),
        "gpu_facts": read_gpu_facts() if root == ROOT else None,
        "allowed_cpus": list((allowed or allowed_cpus)()),
        "cpu_quota": read_cpu_quota(root),
        "cpuset": read_cpuset(root),
        "memory_limit_bytes": read_memory_limit_bytes(root),
        "caches": _caches(root),
        "cache_sharing": _cache_sharing(root),
        "numa_nodes": _numa_nodes(root),
        "smt": _text(root / "sys/devices/system/cpu/smt/active"),
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(root),
        "mhz": _mhz(root),
        "clock_source": _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "huge_pages": _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "kernel": _text(root / "proc/sys/kernel/osrelease") or (platform.release() if root == ROOT else None),
        "system": _system(root),
        "container": _container(root),
        "libc": " ".join(platform.libc_ver()).strip() or None if root == ROOT else None,
        "thread_variables": {name: variables[name] for name in sorted(variables) if THREAD_VARIABLES.match(name)},
        "allocator": dict(KEEP_MEMORY),  # what measuring processes set, whatever the variables above say
    }
    return Machine(fingerprint=fingerprint_of(facts), facts=facts)


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """Short hash of the facts that make two machines the same one."""
    return hashlib.sha256(repr([facts.get(name) for name in STABLE]).encode()).hexdigest()[:12]


def allowed_cpus() -> tuple[int, ...]:
    """The CPUs this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def siblings_of(cpu: int, root: Path = ROOT) -> tuple[int, ...]:
    """The hardware threads that share the CPU's physical core, itself among them."""
    text = _text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return parse_cpu_list(text) if text else (cpu,)


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs in a list as the kernel writes it.

    >>> parse_cpu_list("0-2,8")
    (0, 1, 2, 8)
    """
    spans = [part.partition("-") for part in text.split(",") if part]
    return tuple(cpu for low, _, high in spans for cpu in range(int(low), int(high or low) + 1))


def _cpu_model(root: Path) -> str | None:
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        name, _, text = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return text.strip()
    return (platform.processor() or platform.machine() or None) if root == ROOT else None


def _of_cpuinfo(root: Path, name: str) -> str | None:
    """What /proc/cpuinfo says of the first CPU."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", _text(root / "proc/cpuinfo") or "", flags=re.MULTILINE)
    return found[1].strip() if found else None


def _instructions(root: Path) -> list[str] | None:
    """The vector instructions that numeric libraries choose their kernels by."""
    flags = _of_cpuinfo(root, "flags") or _of_cpuinfo(root, "Features")
    return None if flags is None else [flag for flag in flags.split() if VECTOR.match(flag)]


def _is_virtual(root: Path) -> bool | None:
    flags = _of_cpuinfo(root, "flags")
    return None if flags is None else "hypervisor" in flags.split()


def _topology(root: Path) -> dict[str, int] | None:
    """Sockets, physical cores and hardware threads of the machine."""
    folders = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology"))
    ids = [(_text(folder / "physical_package_id"), _text(folder / "core_id")) for folder in folders]
    known = [pair for pair in ids if None not in pair]
    if not known:
        return None
    return {"sockets": len({socket for socket, _ in known}), "cores": len(set(known)), "threads": len(known)}


def _mhz(root: Path) -> dict[str, float] | None:
    """The least and most that the clock may be, and what it is; in MHz, what is unknown left out."""
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    names = {"least": "cpuinfo_min_freq", "most": "cpuinfo_max_freq", "now": "scaling_cur_freq"}
    khz = {name: _text(folder / file) for name, file in names.items()}
    found = {name: int(text) / 1e3 for name, text in khz.items() if text and text.isdigit()}
    now = _of_cpuinfo(root, "cpu MHz")
    if now and "now" not in found:
        found["now"] = float(now)
    return found or None


def _cache_sharing(root: Path) -> dict[str, str] | None:
    """Which CPUs share each cache of CPU 0."""
    return _of_caches(root, "shared_cpu_list")


def _system(root: Path) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', _text(root / "etc/os-release") or "", flags=re.MULTILINE)
    return found[1] if found else None


def _container(root: Path) -> str | None:
    """The kind of container, None outside of one or where nothing says so."""
    marks = {"docker": ".dockerenv", "podman": "run/.containerenv"}
    return next((kind for kind, mark in marks.items() if (root / mark).exists()), None)


def _logical_cores(root: Path) -> int | None:
    count = len(re.findall(r"^processor\s*:", _text(root / "proc/cpuinfo") or "", flags=re.MULTILINE))
    return count or (os.cpu_count() if root == ROOT else None)


def _physical_cores(root: Path) -> int | None:
    text = _text(root / "proc/cpuinfo") or ""
    sockets = re.findall(r"^physical id\s*:\s*(\d+)", text, flags=re.MULTILINE)
    cores = re.findall(r"^core id\s*:\s*(\d+)", text, flags=re.MULTILINE)
    if cores and len(sockets) == len(cores):
        return len(set(zip(sockets, cores, strict=True)))
    return psutil.cpu_count(logical=False) if root == ROOT else None


def _memory_bytes(root: Path) -> int | None:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo") or "", flags=re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    return psutil.virtual_memory().total if root == ROOT else None


def _caches(root: Path) -> dict[str, str] | None:
    return _of_caches(root, "size")


def _of_caches(root: Path, what: str) -> dict[str, str] | None:
    caches = {}
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, text = (_text(folder / name) for name in ("level", "type", what))
        if level and kind and text:
            caches[f"L{level} {kind.lower()}"] = text
    return caches or None


def _numa_nodes(root: Path) -> dict[str, str] | None:
    folders = sorted((root / "sys/devices/system/node").glob("node[0-9]*"))
    nodes = {folder.name: _text(folder / "cpulist") or "" for folder in folders}
    return nodes or None


def _turbo(root: Path) -> bool | None:
    cpu = root / "sys/devices/system/cpu"
    off, on = _text(cpu / "intel_pstate/no_turbo"), _text(cpu / "cpufreq/boost")
    if off is not None:
        return off == "0"
    return None if on is None else on == "1"


def _chosen(text: str | None) -> str | None:
    """The word in brackets: the kernel writes `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def _gpu_names(root: Path) -> list[str] | None:
    """Names of the GPUs as the driver gives them, so that installing nvidia-ml-py makes no other machine of it."""
    folders = sorted((root / "proc/driver/nvidia/gpus").glob("*"))
    models = [re.search(r"^Model:\s*(.+)$", _text(folder / "information") or "", re.MULTILINE) for folder in folders]
    names = [found[1].strip() for found in models if found]
    return names or (_names_by_nvml() if root == ROOT else None)


def _names_by_nvml() -> list[str] | None:
    try:
        import pynvml  # the extra `gpu`, so it may be absent
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        names = [pynvml.nvmlDeviceGetName(handle) for handle in handles]
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
