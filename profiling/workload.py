"""Measuring real work end to end: a workload answers given batches, one way or another, and every answer is timed.

A batch's time depends on what is in it, so the same batches are answered again and again, and times are kept by batch.
The reference kernel runs before every turn, so that a profile taken in a faster or slower hour can be compared.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from ttamer.profiling.budgets import Budget
from ttamer.profiling.clock import Timing, WaitingClock, time_calls
from ttamer.profiling.devices import DEVICES
from ttamer.profiling.interference import read_interference
from ttamer.profiling.reference import reference_kernel
from ttamer.profiling.rounds import reference_at
from ttamer.profiling.session import Emit, clear_failures, factory_of, library_facts, without_garbage_collection
from ttamer.profiling.task import Task
from ttamer.profiling.verdicts import judge
from ttamer.profiling.warming import PART, warm_up

TURN = 16  # batches answered one way before the next way has its turn: a machine's drift then meets all alike

Run = Callable[[], object]


class Workload(Protocol):
    """Batches of real inputs, in memory and on the device, and the ways in which they can be answered."""

    ways: Sequence[str]

    def batches(self, batch: int) -> int:
        """How many batches of that size there are."""
        ...

    def run(self, way: str, batch: int, index: int) -> object:
        """Answer one of the batches of that size in one of the ways."""
        ...

    def report(self) -> Mapping[str, Any]:
        """What was answered, as plain data."""
        ...


def run_workload(task: Task, emit: Emit) -> None:
    """Load the workload a task names, time it at every batch size in every way, and tell it all.

    Raises InputError if it cannot be built or run.
    """
    torch.manual_seed(0)
    torch.set_flush_denormal(True)  # as in `run_task`: both are to be compared
    with torch.inference_mode():
        factory = factory_of(task)
        with clear_failures(task.model, "it was built"):
            workload: Workload = factory(**task.arguments, device=task.device)
        emit("loaded", facts=library_facts())
        device = DEVICES[task.device]
        reference = device.finishing(reference_kernel(task.device, device.gemm_size, device.moved_bytes))
        for batch, _ in task.groups:
            emit("group", batch=batch)
            with clear_failures(task.model, f"it ran a batch of {batch}"), without_garbage_collection():
                for timed in _measure(workload, task, batch, reference):
                    emit("timed", **timed)
            emit("group_done", batch=batch)
        emit("report", **workload.report())


def _measure(workload: Workload, task: Task, batch: int, reference: Run) -> list[dict[str, Any]]:
    runs = {way: _runs(workload, task.device, way, batch) for way in workload.ways}
    with WaitingClock() as clock:
        before = read_interference(task.cpus, clock.counters())
        taken = take_turns(runs, reference, Budget(**task.budget), time_calls=time_calls, now=time.monotonic)
        after = read_interference(task.cpus, clock.counters())
    disturbance = after.evidence_since(before, task.threads)
    return [
        {"way": way, "batch": batch, **_summary(timings, taken.beside, disturbance, task.device)}
        for way, timings in taken.timings.items()
    ]


def _runs(workload: Workload, device: str, way: str, batch: int) -> list[Run]:
    def run(index: int) -> Run:
        return DEVICES[device].finishing(lambda: workload.run(way, batch, index))

    return [run(index) for index in range(workload.batches(batch))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The timings of every run of every way, and of the reference kernel before every turn."""

    timings: Mapping[str, Sequence[list[Timing]]]
    beside: Sequence[Timing]


def take_turns(
    runs: Mapping[str, Sequence[Run]],
    reference: Run,
    budget: Budget,
    *,
    time_calls: Callable[[Run, int], Timing],
    now: Callable[[], float],
) -> Taken:
    """Every run of every way, in passes over all of them until the budget's time a way is spent.

    A turn is the reference kernel, an untimed run that gives the caches back to the model, and then the timed ones.
    """
    timings: dict[str, list[list[Timing]]] = {way: [[] for _ in some] for way, some in runs.items()}
    beside: list[Timing] = []
    for one in (reference, *(some[0] for some in runs.values())):
        warm_up(one, time_calls, PART)
    start_s, passes = now(), 0
    while not passes or (passes < budget.samples_needed() and now() - start_s < budget.group_s * len(runs)):
        for first in range(0, max(map(len, runs.values())), TURN):
            for way, some in runs.items():
                turn = some[first : first + TURN]
                beside.append(time_calls(reference, 1))
                turn[0]()
                for run, taken in zip(turn, timings[way][first : first + TURN], strict=True):
                    taken.append(time_calls(run, 1))
        passes += 1
    beside.append(time_calls(reference, 1))
    return Taken(timings=timings, beside=beside)


def _summary(
    timings: Sequence[Sequence[Timing]], beside: Sequence[Timing], disturbance: Mapping[str, float], device: str
) -> dict[str, Any]:
    """Seconds of every batch while nobody else had the core (all of a batch's, if there are no such), and a verdict."""
    everything = [timing for taken in timings for timing in taken]
    evidence = {"error": 0.0, **disturbance}
    if device != "cpu":
        evidence.pop("running_share", None)  # the calling thread waits for the device
    else:
        evidence["clean_share"] = sum(timing.is_clean for timing in everything) / len(everything)
    kept = [[one for one in taken if one.is_clean or device != "cpu"] or taken for taken in timings]
    return {
        "seconds": [[timing.wall_s for timing in taken] for taken in kept],
        "reference_s": [reference_at([timing.middle_s for timing in taken], beside).tolist() for taken in kept],
        "evidence": evidence,
        "verdict": judge(evidence),
    }
