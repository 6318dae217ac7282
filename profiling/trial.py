"""A workload measured in a fresh process, bound as for a sweep, so that the numbers can be held against a profile's."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ttamer.profiles.errors import InputError, Interrupted
from ttamer.profiles.profile import Machine
from ttamer.profiling.budgets import Budget
from ttamer.profiling.child import StartWorker, start_worker
from ttamer.profiling.interruption import Interruption
from ttamer.profiling.machine import read_machine
from ttamer.profiling.placement import PLACEMENTS, require_device
from ttamer.profiling.target import TargetSource
from ttamer.profiling.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """A workload to measure: where a fresh process finds it, at which batch sizes, and where it runs."""

    model: str
    source: TargetSource
    batches: tuple[int, ...]
    cores: int
    device: str
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class WayTimings:
    """What one way of answering took at one batch size.

    seconds: of every batch, each time it was answered. reference_s: of the reference kernel beside each of them.
    """

    way: str
    batch: int
    seconds: tuple[tuple[float, ...], ...]
    reference_s: tuple[tuple[float, ...], ...]
    verdict: str
    evidence: Mapping[str, float]

    def at_speed(self, level_s: float) -> "WayTimings":
        """The same at the speed at which the machine runs the reference kernel in so many seconds, as in a profile."""
        both = zip(self.seconds, self.reference_s, strict=True)
        scaled = [tuple(s * level_s / r for s, r in zip(some, beside, strict=True)) for some, beside in both]
        return replace(self, seconds=tuple(scaled))

    def mean_s(self) -> float:
        """Mean seconds of a batch, every batch counted once however often it was answered."""
        return float(np.mean([np.mean(some) for some in self.seconds]))

    def quantile_s(self, q: float) -> float:
        """The q-quantile of single answers to a batch."""
        pooled = [second for some in self.seconds for second in some]
        return float(np.quantile(pooled, q, method="higher"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All timings of a workload, and what it reported about its answers."""

    timings: tuple[WayTimings, ...]
    report: Mapping[str, Any]

    def of(self, way: str, batch: int) -> WayTimings:
        """The timings of one way at one batch size."""
        return next(timed for timed in self.timings if (timed.way, timed.batch) == (way, batch))


def run_trial(
    request: TrialRequest,
    *,
    on_batch: Callable[[int], None] = lambda batch: None,
    machine: Machine | None = None,
    start: StartWorker = start_worker,
) -> Trial:
    """The workload's timings and report.

    on_batch: called with each batch size when its turn comes.
    Raises InputError if it cannot be placed, built or run, Interrupted if the user stopped it.
    """
    require_device(request.device)
    task = _task(request, machine or read_machine(environment=os.environ))
    events: list[Mapping[str, Any]] = []
    with Interruption() as interruption:
        worker = start(task)
        interruption.watch(worker)
        try:
            with ExitStack() as on_failure:
                on_failure.callback(worker.kill)
                for event in worker.events():
                    events.append(event)
                    if event["event"] == "group":
                        on_batch(event["batch"])
                on_failure.pop_all()
        finally:
            interruption.watch(None)
            ending = worker.ending()
        if interruption.is_requested:
            raise Interrupted("stopped; nothing was measured", remedy="run the same command again")
    return _trial(request, events, ending)


def _trial(request: TrialRequest, events: Sequence[Mapping[str, Any]], ending: str | None) -> Trial:
    told = {event["event"]: _fields(event) for event in events}
    if "failed" in told:
        raise InputError(told["failed"]["message"], remedy=told["failed"]["remedy"])
    if "report" not in told:
        raise InputError(f"{request.model!r} on {request.cores} cores: {ending}", remedy="give fewer samples")
    timed = [_fields(event) for event in events if event["event"] == "timed"]
    return Trial(
        timings=tuple(
            WayTimings(**one | {name: tuple(map(tuple, one[name])) for name in ("seconds", "reference_s")})
            for one in timed
        ),
        report=told["report"],
    )


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "event"}


def _task(request: TrialRequest, machine: Machine) -> Task:
    placement = PLACEMENTS[request.device](request.cores, machine)
    return Task(
        model=request.model,
        factory=request.source.factory,
        arguments=request.source.arguments,
        identity=request.source.identity,
        device=request.device,
        cores=request.cores,
        cpus=placement.cpus,
        threads=placement.threads,
        budget=asdict(request.budget),
        groups=tuple((batch, ()) for batch in request.batches),
        measure="workload",
    )
