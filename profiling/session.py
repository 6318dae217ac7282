"""What the measuring process does once it is bound to its CPUs: load a target and measure its groups.

A group is every part of the target at one batch size: all stages, all heads and the whole.
"""

import gc
import importlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import WHOLE, ModelSpec, PointKey
from ttamer.profiling.budgets import PROTOCOL, Budget
from ttamer.profiling.clock import WaitingClock
from ttamer.profiling.cold import forget
from ttamer.profiling.devices import DEVICES, Device
from ttamer.profiling.gpu import read_gpu
from ttamer.profiling.interference import read_interference
from ttamer.profiling.passage import Passage
from ttamer.profiling.reference import reference_kernel
from ttamer.profiling.rounds import GroupTimings, Part, PartTimings, all_timings, clean_timings, measure_group
from ttamer.profiling.target import Target
from ttamer.profiling.task import Task
from ttamer.profiling.verdicts import evidence_of_visit
from ttamer.profiling.visits import Visit

ON_DEVICES = ("throttled_periods", "steal_share")  # what speaks of a host that only waits for its device
KEEP = {"cpu": clean_timings, "cuda": all_timings}
Emit = Callable[..., None]
# What a model raises when it is wrong; anything else is a bug of ours and keeps its traceback.
MODEL_FAILURES = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTarget:
    """A target ready to be measured; load_time_s runs from its files, cold, to its first answer."""

    target: Target
    spec: ModelSpec
    load_time_s: float


def run_task(task: Task, emit: Emit) -> None:
    """Load the target and measure every group, telling each event as soon as it is known.

    Raises InputError if the model cannot be built or run.
    """
    torch.manual_seed(0)  # examples are random; the same ones in every process
    torch.set_flush_denormal(True)  # as when serving: denormal weights can cost 40 x, on some processors
    with torch.inference_mode():
        loaded = load_target(task)
        emit("loaded", spec=asdict(loaded.spec), load_time_s=loaded.load_time_s, facts=library_facts())
        device = DEVICES[task.device]
        reference = device.finishing(reference_kernel(task.device, device.gemm_size, device.moved_bytes))
        for batch, done in task.groups:
            emit("group", batch=batch)
            visits, spent_s = _measure(loaded, task, batch, set(done), reference)
            for visit in visits:
                emit("visit", row=visit.to_row())
            emit("group_done", batch=batch, spent_s=spent_s)


def factory_of(task: Task) -> Callable[..., Any]:
    """The function that builds what a task measures. Raises InputError if it cannot be imported."""
    module, _, function = task.factory.partition(":")
    try:
        factory: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{task.model!r} cannot be built: {error}", remedy=f"check {task.factory}") from error
    return factory


def load_target(task: Task) -> LoadedTarget:
    """The target a task names. Raises InputError if it cannot be imported, built or run."""
    factory = factory_of(task)
    forget(task.arguments.values())
    start_s = time.perf_counter()
    with clear_failures(task.model, "it was built"):
        target: Target = factory(**task.arguments, device=task.device)
        spec = replace(target.spec, name=task.model)
    with clear_failures(task.model, "it answered for the first time"):
        logits = target.run_whole(target.example(1))
        DEVICES[task.device].synchronize()
    load_time_s = time.perf_counter() - start_s
    check_logits(logits, spec, 1, "the whole model")
    return LoadedTarget(target=target, spec=spec, load_time_s=load_time_s)


def group_parts(loaded: LoadedTarget, batch: int, device: Device) -> list[Part]:
    """The parts of a group, each finding what the one before it has left: whole, stage 0, head 0, ...

    Raises InputError if an answer has the wrong shape or is not finite.
    """
    target, spec = loaded.target, loaded.spec
    parts: list[Part] = []
    with clear_failures(spec.name, f"it ran a batch of {batch}"):
        state = first = target.example(batch)
        check_logits(target.run_whole(first), spec, batch, "the whole model")
        parts.append(_part("whole", WHOLE, device, target.run_whole, first))
        passage = Passage(target, first)
        for k, name in enumerate(spec.exits):
            state = target.run_stage(k, state)
            check_logits(target.run_head(k, state), spec, batch, f"exit {name!r}")
            parts += [
                _part(part, k, device, call, k, prepare=device.finishing(partial(passage.come_to, behind)))
                for part, call, behind in (("stage", passage.run_stage, k), ("head", passage.ask_head, k + 1))
            ]
    return parts


def check_logits(logits: torch.Tensor, spec: ModelSpec, batch: int, what: str) -> None:
    """Raise InputError unless the logits are finite and of shape (batch, classes)."""
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (batch, spec.classes):
        raise InputError(
            f"{what} of {spec.name!r} answers with shape {shape}, not {(batch, spec.classes)}",
            remedy="correct the model's classes or its head",
        )
    if not bool(torch.isfinite(logits).all()):
        raise InputError(
            f"{what} of {spec.name!r} answers with NaN or infinity at batch {batch}",
            remedy="check its weights and its heads: ttamer fit makes new ones",
        )


def library_facts() -> dict[str, Any]:
    """Versions and settings that only a process with torch knows."""
    lines = [line.strip() for line in torch.__config__.parallel_info().splitlines()]

    def named(*beginnings: str) -> str | None:
        return next((line for line in lines if line.startswith(beginnings)), None)

    return {
        "torch": torch.__version__,
        "onednn": named("Intel(R) MKL-DNN", "oneDNN"),
        "mkl": named("Intel(R) oneAPI Math Kernel", "Intel(R) Math Kernel"),
        "openmp": named("OpenMP"),
        "openmp_runtime": _openmp_runtime(),
        "parallel_backend": (named("ATen parallel backend") or "").partition(": ")[2] or None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cuda": torch.version.cuda,
    }


def _openmp_runtime(maps: Path = Path("/proc/self/maps")) -> str | None:
    """The file name of the OpenMP library in this process: two of them in one process slow each other down."""
    try:
        found = re.findall(r"/((?:libgomp|libiomp5|libomp)[^/\s]*)$", maps.read_text(), re.MULTILINE)
    except OSError:
        return None
    return ", ".join(sorted(set(found))) or None


def _measure(
    loaded: LoadedTarget, task: Task, batch: int, done: Set[tuple[str, int]], reference: Callable[[], object]
) -> tuple[list[Visit], dict[str, float]]:
    """The visits of a group, and seconds by what they went into."""
    start_s = time.perf_counter()
    parts = group_parts(loaded, batch, DEVICES[task.device])
    todo = [part for part in parts if (part.part, part.exit) not in done]
    with clear_failures(task.model, f"it ran a batch of {batch}"), without_garbage_collection():
        checked_s = time.perf_counter() - start_s
        timings, disturbance = _time(todo, reference, parts[0].call, task)
    peak_memory_bytes = DEVICES[task.device].peak_memory_bytes()
    visits = [_visit(part, task, batch, disturbance, peak_memory_bytes, loaded) for part in timings.parts]
    spent_s = timings.spent_s | {"warm_up": timings.spent_s["warm_up"] + checked_s}
    return visits, spent_s


def _time(
    parts: Sequence[Part], reference: Callable[[], object], whole: Callable[[], object], task: Task
) -> tuple[GroupTimings, dict[str, float]]:
    """The timings of the parts, and what disturbed them while they were taken."""
    for part in parts:
        part.prepare()
        part.call()  # so that every thread it will use exists when the clock looks for them
    with WaitingClock() as clock:
        before = read_interference(task.cpus, clock.counters())
        timings = measure_group(
            parts, reference, whole, Budget(**task.budget), keep=KEEP[task.device], time_calls=clock.time_calls,
            now=time.perf_counter,
        )  # fmt: skip
        after = read_interference(task.cpus, clock.counters())
    disturbance = after.evidence_since(before, task.threads)
    if task.device != "cpu":
        disturbance = {name: disturbance[name] for name in ON_DEVICES if name in disturbance} | read_gpu()
    return timings, disturbance


def _visit(
    part: PartTimings,
    task: Task,
    batch: int,
    disturbance: Mapping[str, float],
    peak_memory_bytes: int,
    loaded: LoadedTarget,
) -> Visit:
    evidence = evidence_of_visit(part.timings, task.cores, task.device) | dict(disturbance)
    evidence |= {"protocol": float(PROTOCOL), "budget_s": float(task.budget["group_s"])}
    return Visit(
        key=PointKey(
            model=task.model,
            part=part.part,
            exit=part.exit,
            device=task.device,
            dtype=loaded.spec.dtype,
            batch=batch,
            cores=task.cores,
        ),
        seconds=tuple(part.seconds()),
        reference_s=part.reference_s,
        loops=part.kept[0].loops,
        peak_memory_bytes=peak_memory_bytes,
        load_time_s=loaded.load_time_s,
        spec_digest=task.identity,
        evidence=evidence,
    )


def _part(
    part: str, exit: int, device: Device, function: Callable[[Any], object], argument: Any, **others: Any
) -> Part:
    return Part(part=part, exit=exit, call=device.finishing(lambda: function(argument)), **others)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect no garbage inside the block: a collection in a timed call would be counted as the model's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def clear_failures(model: str, moment: str) -> Iterator[None]:
    """Turn what a model raises into one sentence with a remedy."""
    try:
        yield
    except MODEL_FAILURES as error:
        reason = str(error).strip().splitlines()[0:1]
        text = f"{type(error).__name__}: {reason[0] if reason else 'no reason given'}"
        if isinstance(error, MemoryError) or "memory" in text.lower():
            remedy = "measure smaller batches (--batches) or a smaller model"
        else:
            remedy = "the model itself fails; run it by hand to see where"
        raise InputError(f"{model!r} failed when {moment}: {text}", remedy=remedy) from error
