"""What a device needs around a timed call, inside the measuring process."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """synchronize returns when all work given to the device is done; gemm_size and moved_bytes size the reference."""

    name: str
    synchronize: Callable[[], None]
    peak_memory_bytes: Callable[[], int]
    gemm_size: int
    moved_bytes: int

    def finishing(self, call: Callable[[], object]) -> Callable[[], object]:
        """The call, made to return only when the device has finished it."""
        if self.name == "cpu":
            return call

        def finished() -> None:
            call()
            self.synchronize()

        return finished


def host_peak_memory_bytes() -> int:
    """High-water mark of this process's resident memory.

    Linux: VmHWM, because ru_maxrss starts at the mark of the process that started this one.
    """
    if sys.platform == "win32":  # pragma: no cover
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    import resource  # absent on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _nothing() -> None:
    pass


DEVICES = {
    "cpu": Device(
        name="cpu",
        synchronize=_nothing,
        peak_memory_bytes=host_peak_memory_bytes,
        gemm_size=512,
        moved_bytes=32 * 2**20,  # as large as a last-level cache, so that it comes from memory
    ),
    "cuda": Device(
        name="cuda",
        synchronize=torch.cuda.synchronize,
        peak_memory_bytes=torch.cuda.max_memory_reserved,
        gemm_size=4096,
        moved_bytes=512 * 2**20,
    ),
}
