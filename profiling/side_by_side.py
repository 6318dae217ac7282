"""Measuring replicas side by side on one host, so that what they cost each other is known.

Each replica is a measuring process on cores of its own. All run before the window begins and none ends within it.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ttamer.profiles.errors import InputError, Interrupted
from ttamer.profiles.profile import Machine
from ttamer.profiles.side_by_side import SideBySide
from ttamer.profiling.child import RunningWorker, StartWorker, start_worker
from ttamer.profiling.interruption import Interruption
from ttamer.profiling.machine import read_machine
from ttamer.profiling.placement import core_limit, place_on_cpu, require_device
from ttamer.profiling.target import TargetSource
from ttamer.profiling.task import Task
from ttamer.profiling.verdicts import judge

LEAST_CALLS = 20  # in a window: below it the window is made longer
LONGEST_WINDOWS = 10  # times the wanted seconds, for very slow models
LOADING_S = 600.0  # a replica that is not ready by then will not be


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRequest:
    """One model at one batch size and core count, with so many replicas at once; window_s: seconds counted."""

    model: str
    source: TargetSource
    batch: int
    cores: int
    replicas: tuple[int, ...]
    window_s: float = 5.0
    device: str = "cpu"


@dataclass(slots=True)
class _Replica:
    """One process and what it has told so far."""

    worker: RunningWorker
    is_ready: bool = False
    failure: InputError | None = None
    ends: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    clean: list[tuple[int, int]] = field(default_factory=list)  # clean calls, calls of a packet


def measure_side_by_side(
    request: ReplicaRequest,
    *,
    machine: Machine | None = None,
    start: StartWorker = start_worker,
    now: Callable[[], float] = time.monotonic,
) -> list[SideBySide]:
    """One replica alone, then each count asked for, all in one run.

    Raises InputError if the replicas need more cores than there are or the model cannot be run, Interrupted if the
    user stopped it.
    """
    machine = machine or read_machine(environment=os.environ)
    if request.device != "cpu":
        raise InputError(
            f"replicas side by side were asked for on {request.device}", remedy="measure them with --device cpu"
        )
    require_device(request.device)
    limit = core_limit(machine) // request.cores
    for replicas in request.replicas:
        if not 1 <= replicas <= limit:
            raise InputError(
                f"{replicas} x {request.cores} cores were asked for; this process may use {core_limit(machine)}",
                remedy=f"give --replicas up to {limit}" if limit else "give fewer --cores",
            )
    found: list[SideBySide] = []
    for replicas in sorted({1, *request.replicas}):
        found.append(_measure(request, replicas, found[0].median_s if found else None, machine, start, now))
    return found


def _measure(
    request: ReplicaRequest,
    replicas: int,
    alone_s: float | None,
    machine: Machine,
    start: StartWorker,
    now: Callable[[], float],
) -> SideBySide:
    cpus = place_on_cpu(request.cores * replicas, machine).cpus
    tasks = [_task(request, cpus[place * request.cores : (place + 1) * request.cores]) for place in range(replicas)]
    with Interruption() as interruption, ExitStack() as endings:
        running: list[_Replica] = []
        events: queue.SimpleQueue[tuple[_Replica, Mapping[str, Any] | None]] = queue.SimpleQueue()
        for task in tasks:
            running.append(_Replica(start(task)))
            endings.callback(running[-1].worker.ending)
            endings.callback(running[-1].worker.kill)
            threading.Thread(target=_listen, args=(running[-1], events), daemon=True).start()
        window = _follow(running, events, request, interruption, now)
    return _summed_up(request, replicas, running, window, alone_s)


def _listen(replica: _Replica, events: "queue.SimpleQueue[tuple[_Replica, Mapping[str, Any] | None]]") -> None:
    for event in replica.worker.events():
        events.put((replica, event))
    events.put((replica, None))


def _follow(
    running: Sequence[_Replica],
    events: "queue.SimpleQueue[tuple[_Replica, Mapping[str, Any] | None]]",
    request: ReplicaRequest,
    interruption: Interruption,
    now: Callable[[], float],
) -> tuple[float, float]:
    """Take what the processes tell until the window holds enough; returns its begin and end."""
    asked_s, begin_s = now(), float("inf")
    while True:
        if interruption.is_requested:
            raise Interrupted("stopped; what was measured before is kept", remedy="run the same command again")
        if begin_s == float("inf") and now() - asked_s > LOADING_S:
            raise InputError(f"{request.model!r} is not ready after {LOADING_S:g} s", remedy="measure a smaller model")
        try:
            replica, event = events.get(timeout=0.2)
        except queue.Empty:
            continue
        _take(replica, event, request)
        if begin_s == float("inf") and all(one.is_ready for one in running):
            begin_s = now()
        end_s = min((one.ends[-1] for one in running if one.ends), default=0.0)
        if all(one.ends for one in running) and end_s - begin_s >= request.window_s:
            fewest = min(sum(begin_s <= end <= end_s for end in one.ends) for one in running)
            if fewest >= LEAST_CALLS or end_s - begin_s >= LONGEST_WINDOWS * request.window_s:
                return begin_s, end_s


def _take(replica: _Replica, event: Mapping[str, Any] | None, request: ReplicaRequest) -> None:
    if event is None:
        raise replica.failure or InputError(
            f"a replica of {request.model!r} ended before its measurement", remedy="free memory, or give fewer replicas"
        )
    match event["event"]:
        case "ready":
            replica.is_ready = True
        case "packet":
            replica.ends += event["ends"]
            replica.seconds += event["seconds"]
            replica.clean.append((event["clean"], len(event["ends"])))
        case "failed":
            replica.failure = InputError(event["message"], remedy=event["remedy"])


def _summed_up(
    request: ReplicaRequest,
    replicas: int,
    running: Sequence[_Replica],
    window: tuple[float, float],
    alone_s: float | None,
) -> SideBySide:
    begin_s, end_s = window
    seconds = np.concatenate(
        [np.array(one.seconds)[(np.array(one.ends) >= begin_s) & (np.array(one.ends) <= end_s)] for one in running]
    )
    clean, calls = (sum(counts) for counts in zip(*(pair for one in running for pair in one.clean), strict=True))
    median_s = float(np.median(seconds))
    return SideBySide(
        model=request.model,
        device=request.device,
        cores=request.cores,
        batch=request.batch,
        replicas=replicas,
        throughput_rps=request.batch * len(seconds) / (end_s - begin_s),
        median_s=median_s,
        slowdown=median_s / (alone_s or median_s),
        calls=len(seconds),
        seconds=end_s - begin_s,
        verdict=judge({"clean_share": clean / calls, "error": 0.0}),
    )


def _task(request: ReplicaRequest, cpus: tuple[int, ...]) -> Task:
    return Task(
        model=request.model,
        factory=request.source.factory,
        arguments=request.source.arguments,
        identity=request.source.identity,
        device=request.device,
        cores=request.cores,
        cpus=cpus,
        threads=request.cores,
        budget={},
        groups=((request.batch, ()),),
        measure="steady",
    )
