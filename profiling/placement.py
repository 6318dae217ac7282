"""Where a measuring process runs: its CPUs and threads, or a GPU."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Machine
from ttamer.profiles.registry import lookup
from ttamer.profiling.cgroups import whole_cpus
from ttamer.profiling.machine import siblings_of

_ASK_CUDA = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 3)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The CPUs a measuring process is bound to, and the threads of its numeric libraries."""

    cpus: tuple[int, ...]
    threads: int


def core_limit(machine: Machine) -> int:
    """The most cores a process can really use: its allowed CPUs within its quota."""
    return int(min(len(machine.facts["allowed_cpus"]), whole_cpus(machine.facts.get("cpu_quota"))))


def place_on_cpu(cores: int, machine: Machine, siblings: Callable[[int], Sequence[int]] = siblings_of) -> Placement:
    """Cores of their own: one hardware thread a physical core first, from the last CPU down.

    CPU 0 serves most interrupts, so it is the last to be taken. Raises InputError if there are too few.
    """
    limit = core_limit(machine)
    if not 1 <= cores <= limit:
        raise InputError(
            f"{cores} cores were asked for; this process may use 1 to {limit}",
            remedy=f"give --cores within 1 to {limit}, or allow the process more CPUs",
        )
    allowed = sorted(machine.facts["allowed_cpus"], reverse=True)
    first_threads = [cpu for cpu in allowed if cpu == max(set(siblings(cpu)) & set(allowed), default=cpu)]
    ordered = first_threads + [cpu for cpu in allowed if cpu not in first_threads]
    return Placement(cpus=tuple(sorted(ordered[:cores])), threads=cores)


def place_on_cuda(cores: int, machine: Machine) -> Placement:
    """All allowed CPUs: the GPU is what is measured, and `cores` counts devices. Raises InputError unless one."""
    if cores != 1:
        raise InputError(f"{cores} cores were asked for on cuda; there a core is one device", remedy="give --cores 1")
    return Placement(cpus=tuple(machine.facts["allowed_cpus"]), threads=core_limit(machine))


def require_device(device: str) -> None:
    """Raise InputError unless the device is known and there.

    CUDA is asked in a process of its own: a parent that holds a context would take memory from its children.
    """
    lookup(PLACEMENTS, device, "device")
    if device == "cuda" and subprocess.run([sys.executable, "-P", "-c", _ASK_CUDA], capture_output=True).returncode:
        raise InputError("device 'cuda' was asked for; torch sees no GPU", remedy="measure with --device cpu")


PLACEMENTS: dict[str, Callable[[int, Machine], Placement]] = {"cpu": place_on_cpu, "cuda": place_on_cuda}
