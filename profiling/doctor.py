"""What on this machine will spoil measurements, and the remedy of each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ttamer.profiling.child import PINNING, THREAD_COUNTS
from ttamer.profiling.conditions import Conditions
from ttamer.profiling.machine import parse_cpu_list

BUSY_SHARE = 0.1  # of the allowed CPUs: a tenth moves medians by more than the interval that a profile aims at
STEAL_SHARE = 0.05  # the limit above which a point is judged contended
LEAST_DISK_BYTES = 2**30
PRELOADED = ("jemalloc", "tcmalloc", "mimalloc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """The numeric libraries as they are installed; None where one is missing.

    cuda: the CUDA version that torch was built for. sees_gpu: whether torch can use one.
    has_operators: whether torchvision's compiled operators load beside this torch. capability: the vector
    instructions that torch uses (AVX2, AVX512, ...).
    """

    torch: str | None
    torchvision: str | None
    transformers: str | None
    cuda: str | None = None
    sees_gpu: bool = False
    has_operators: bool | None = None
    capability: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `fine`, `spoils` measurements (with a remedy), or `unknown` where nothing can be read."""

    topic: str
    state: Literal["fine", "spoils", "unknown"]
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """All that is examined. facts: of the machine, as a profile keeps them."""

    facts: Mapping[str, Any]
    conditions: Conditions
    software: Software


def examine(patient: Patient) -> list[Finding]:
    """Everything looked at, in a fixed order."""
    return [finding for check in CHECKS for finding in check(patient)]


def _quota(patient: Patient) -> Iterator[Finding]:
    quota, cpus = patient.facts.get("cpu_quota"), len(patient.facts["allowed_cpus"])
    if quota is None:
        yield Finding("CPU quota", "fine", f"none; {cpus} CPUs may be used")
    elif quota < cpus:
        yield Finding(
            "CPU quota", "spoils", f"{quota:g} CPUs' worth of time on {cpus} CPUs: threads beyond it are held back",
            f"raise the quota (docker run --cpus={cpus}), or profile with --cores up to {max(1, int(quota))}",
        )  # fmt: skip
    else:
        yield Finding("CPU quota", "fine", f"{quota:g} CPUs' worth of time on {cpus} CPUs")


def _throttling(patient: Patient) -> Iterator[Finding]:
    periods = patient.conditions.throttled_periods
    if periods:
        yield Finding(
            "throttling", "spoils", f"the control group was held back {periods} times while nothing was measured",
            "stop what else runs in this container, or raise its CPU quota",
        )  # fmt: skip


def _neighbours(patient: Patient) -> Iterator[Finding]:
    busy, waiting = patient.conditions.busy_share, patient.conditions.waiting_share
    if busy is None:
        yield Finding("neighbours", "unknown", "the system does not say how busy its CPUs are")
        return
    seen = f"other processes use {100 * busy:.0f} % of the CPUs"
    seen += "" if waiting is None else f", some process waits {100 * waiting:.0f} % of the time"
    if busy > BUSY_SHARE:
        yield Finding("neighbours", "spoils", seen, "stop them (`top` names them), or profile when they are done")
    else:
        yield Finding("neighbours", "fine", seen)


def _steal(patient: Patient) -> Iterator[Finding]:
    steal = patient.conditions.steal_share
    if steal is None:
        yield Finding("stolen time", "unknown", "the system does not say what its hypervisor takes")
    elif steal > STEAL_SHARE:
        yield Finding(
            "stolen time", "spoils", f"the hypervisor takes {100 * steal:.0f} % of the CPUs' time",
            "use a machine with dedicated CPUs, or profile at a quieter time",
        )  # fmt: skip
    else:
        yield Finding("stolen time", "fine", f"the hypervisor takes {100 * steal:.0f} %")


def _governor(patient: Patient) -> Iterator[Finding]:
    governor, turbo = patient.facts.get("governor"), patient.facts.get("turbo")
    if governor is None:
        yield Finding("clock", "unknown", "the system shows no governor (usual in virtual machines)")
    elif governor != "performance":
        yield Finding(
            "clock", "spoils", f"the governor is {governor!r}: clocks follow the load",
            "sudo cpupower frequency-set --governor performance",
        )  # fmt: skip
    else:
        yield Finding("clock", "fine", "the governor is 'performance'")
    if turbo:
        yield Finding("turbo", "fine", "on: clocks fall as more cores work; serve with the same setting")


def _siblings(patient: Patient) -> Iterator[Finding]:
    cpus, physical = len(patient.facts["allowed_cpus"]), patient.facts.get("physical_cores")
    smt = patient.facts.get("smt")
    if smt is None:
        yield Finding("hyper-threads", "unknown", "the system does not say whether CPUs share physical cores")
    elif smt == "1" and physical is not None and cpus > physical:
        yield Finding(
            "hyper-threads", "spoils", f"{cpus} CPUs share {physical} physical cores: more are not faster",
            f"profile with --cores up to {physical} (ttamer takes one CPU of each physical core first)",
        )  # fmt: skip
    else:
        yield Finding("hyper-threads", "fine", "no two CPUs share a physical core")


def _affinity(patient: Patient) -> Iterator[Finding]:
    variables = patient.facts["thread_variables"]
    pinning = [name for name in PINNING if name in variables]
    counts = [name for name in THREAD_COUNTS if name in variables]
    if pinning:
        yield Finding(
            "thread variables", "spoils", f"{', '.join(pinning)} pins threads; a profile is measured without",
            f"unset {' '.join(pinning)}, or expect other latencies where you serve with it",
        )  # fmt: skip
    elif counts:
        stated = ", ".join(f"{name}={variables[name]}" for name in counts)
        yield Finding("thread variables", "fine", f"{stated}; each measuring process sets its own")
    else:
        yield Finding("thread variables", "fine", "none set")
    preload = variables.get("LD_PRELOAD", "")
    if any(name in preload for name in PRELOADED):
        yield Finding(
            "allocator", "spoils", f"LD_PRELOAD={preload} replaces the allocator",
            "unset LD_PRELOAD, or serve with the same one: latencies differ by up to a fifth",
        )  # fmt: skip


def _placement(patient: Patient) -> Iterator[Finding]:
    allowed, nodes = set(patient.facts["allowed_cpus"]), patient.facts.get("numa_nodes") or {}
    touched = [name for name, cpus in nodes.items() if allowed & set(parse_cpu_list(cpus))]
    if len(touched) > 1:
        yield Finding(
            "memory nodes", "spoils", f"the allowed CPUs lie on {len(touched)} NUMA nodes",
            f"numactl --cpunodebind=0 --membind=0 ttamer profile ... ({', '.join(touched)} are there)",
        )  # fmt: skip


def _memory(patient: Patient) -> Iterator[Finding]:
    swapped = patient.conditions.swapped_bytes
    if swapped is not None and swapped > 2**28:
        yield Finding(
            "memory", "spoils", f"{swapped / 2**20:,.0f} MiB are swapped out",
            "free memory, then sudo swapoff -a && sudo swapon -a",
        )  # fmt: skip
    disk = patient.conditions.free_disk_bytes
    if disk is not None and disk < LEAST_DISK_BYTES:
        yield Finding("disk", "spoils", f"{disk / 2**20:,.0f} MiB are free for profiles", "free 1 GiB")


def _pairing(patient: Patient) -> Iterator[Finding]:
    software = patient.software
    for name, version in (("torch", software.torch), ("torchvision", software.torchvision),
                          ("transformers", software.transformers)):  # fmt: skip
        if version is None:
            yield Finding(name, "spoils", "not installed: its models cannot be measured", f"pip install {name}")
    built = "for the CPU" if software.cuda is None else f"for CUDA {software.cuda}"
    if software.torch:
        yield Finding("torch", "fine", f"{software.torch}, built {built}, uses {software.capability or 'no vectors'}")
    if software.torchvision and software.has_operators is False:
        yield Finding(
            "torchvision", "fine", f"{software.torchvision} was built for another torch: its compiled operators do "
            "not load; the models that ttamer measures need none",
        )  # fmt: skip
    elif software.torchvision:
        yield Finding("torchvision", "fine", f"{software.torchvision}, built for this torch")


def _gpu(patient: Patient) -> Iterator[Finding]:
    names, software = patient.facts.get("gpus"), patient.software
    if not names:
        yield Finding("GPU", "fine", "none seen; --device cuda is refused")
    elif not software.sees_gpu:
        why = "torch is built for the CPU" if software.cuda is None else f"torch for CUDA {software.cuda} cannot use it"
        yield Finding(
            "GPU", "spoils", f"{names[0]}: {why}",
            "pip install torch from https://pytorch.org/get-started for the CUDA version that nvidia-smi names",
        )  # fmt: skip
    else:
        yield Finding("GPU", "fine", ", ".join(names))


Check = Callable[[Patient], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    _quota, _throttling, _neighbours, _steal, _governor, _siblings, _affinity, _placement, _memory, _pairing, _gpu,
)  # fmt: skip
