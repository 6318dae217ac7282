"""The sweep: every model at every batch size and core count, each finished point safe on disk at once.

One fresh process measures one model at one core count; a process that dies costs its own points only.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ttamer.profiles.errors import DocumentError, InputError, Interrupted
from ttamer.profiles.profile import LatencyPoint, Machine, ModelSpec, Profile
from ttamer.profiles.shelf import journal_path, point_from_row, read_profile, write_profile
from ttamer.profiling.child import StartWorker, start_worker
from ttamer.profiling.coverage import coverage_of, plan_from
from ttamer.profiling.interruption import Interruption
from ttamer.profiling.journal import Journal, MeasuredModel, read_journal
from ttamer.profiling.machine import read_machine
from ttamer.profiling.merging import merge
from ttamer.profiling.placement import PLACEMENTS, require_device
from ttamer.profiling.progress import Progress
from ttamer.profiling.request import Cell, SweepEvent, SweepPlan, SweepRequest
from ttamer.profiling.task import Task

ATTEMPTS = 2  # a process may die of a moment's want of memory; twice in a row is no accident

OnEvent = Callable[[SweepEvent], None]


def plan_sweep(request: SweepRequest, folder: Path, *, machine: Machine | None = None) -> SweepPlan:
    """What `run_sweep` would measure, skip and replace, and about how long it would take; touches nothing.

    Raises InputError and DocumentError as `run_sweep` does.
    """
    machine = machine or read_machine(environment=os.environ)
    request.check_on(machine)
    profile = _existing_profile(folder, machine)
    journal = read_journal(journal_path(folder))
    journal.require_machine(journal_path(folder), machine.fingerprint)
    return plan_from(request, coverage_of(profile, journal))


def run_sweep(
    request: SweepRequest,
    folder: Path,
    *,
    on_event: OnEvent,
    machine: Machine | None = None,
    start: StartWorker = start_worker,
    now: Callable[[], float] = time.monotonic,
) -> Profile:
    """The profile in the folder after measuring what it lacks.

    Points finished before, in the profile or by a run that was stopped, are not measured again. A model that
    fails is told by an event and left out.
    Raises InputError if the request cannot be met or nothing could be measured, DocumentError if the folder
    holds a profile of another machine or cannot be written, Interrupted if the user stopped it.
    """
    machine = machine or read_machine(environment=os.environ)
    request.check_on(machine)
    require_device(request.device)
    profile = _existing_profile(folder, machine)
    with Journal(journal_path(folder), machine.fingerprint) as journal, Interruption() as interruption:
        plan = plan_from(request, coverage_of(profile, journal.contents))
        progress = Progress(plan, request.budget.group_s, now)
        sweep = Sweep(request, machine, journal, progress, on_event=on_event, interruption=interruption, start=start)
        for (model, cores), cells in groupby(plan.todo, key=lambda cell: (cell.model, cell.cores)):
            sweep.measure(model, cores, list(cells))
        written = read_journal(journal.path)
        if written.points or (profile is None and not sweep.failures):
            profile = write_profile(folder, merge(request, machine, profile, written))
        journal.remove()
    if not written.points and sweep.failures:
        raise sweep.failures[0]
    assert profile is not None
    return profile


class Sweep:
    """A sweep under way: starts processes, writes down what they find, tells how far it is.

    failures: why models could not be measured, in the order met.
    """

    def __init__(
        self,
        request: SweepRequest,
        machine: Machine,
        journal: Journal,
        progress: Progress,
        *,
        on_event: OnEvent,
        interruption: Interruption,
        start: StartWorker,
    ) -> None:
        self.failures: list[InputError] = []
        self._request, self._machine, self._journal, self._progress = request, machine, journal, progress
        self._on_event, self._interruption, self._start = on_event, interruption, start
        self._unloadable: set[str] = set()

    def measure(self, model: str, cores: int, cells: Sequence[Cell]) -> None:
        """Measure the cells of one model at one core count, in a second process if the first dies.

        Raises Interrupted if the user asked to stop and something is left to measure.
        """
        run = _ProcessRun(model=model, cores=cores, left=list(cells))
        reason = ""
        for attempt in range(ATTEMPTS if model not in self._unloadable else 0):
            self._stop_if_asked()
            self._tell("retry" if attempt else "start", model, cores, message=reason)
            reason = self._listen(run) or "its process ended before its task"
            self._stop_if_asked()
            if not run.left:
                return
            if run.failure:
                break  # the model itself is wrong, and will be the next time
        self._progress.give_up(model, cores)
        if model not in self._unloadable:
            self._record_failure(run, reason)

    def _record_failure(self, run: "_ProcessRun", reason: str) -> None:
        failure = run.failure or InputError(
            f"{run.model!r} on {run.cores} cores at batch {run.left[0].batch}: {reason}",
            remedy="measure smaller batches (--batches) or free some memory",
        )
        if not run.is_loaded:
            self._unloadable.add(run.model)
        self.failures.append(failure)
        batch = run.left[0].batch if run.is_loaded else None
        self._tell("failed", run.model, run.cores, batch=batch, message=failure.message, remedy=failure.remedy)

    def _listen(self, run: "_ProcessRun") -> str | None:
        """Follow one process to its end; returns why it ended early, None if it did not."""
        self._progress.started()
        worker = self._start(self._task(run))
        self._interruption.watch(worker)
        try:
            with ExitStack() as on_failure:
                on_failure.callback(worker.kill)
                for event in worker.events():
                    self._take(event, run)
                on_failure.pop_all()
        finally:
            self._interruption.watch(None)
            ending = worker.ending()
        return ending

    def _take(self, event: Mapping[str, Any], run: "_ProcessRun") -> None:
        match event["event"]:
            case "loaded":
                self._loaded(event, run)
            case "group":
                self._interruption.group(running=True)
                self._progress.started()
                self._tell("group", run.model, run.cores, batch=event["batch"])
            case "point":
                self._point(point_from_row(event["row"]), run)
            case "group_done":
                self._progress.group_done(run.model, run.cores, event["batch"])
                run.left.pop(0)
                self._interruption.group(running=False)
            case "failed":
                run.failure = InputError(event["message"], remedy=event["remedy"])

    def _loaded(self, event: Mapping[str, Any], run: "_ProcessRun") -> None:
        run.is_loaded = True
        spec = ModelSpec(**event["spec"])
        identity = self._sources()[run.model].identity
        self._journal.append_model(MeasuredModel(spec=spec, identity=identity, facts=event["facts"]))
        self._progress.loaded(spec, run.cores)
        self._tell("loaded", run.model, run.cores)

    def _point(self, point: LatencyPoint, run: "_ProcessRun") -> None:
        self._journal.append_point(point)
        key = point.key
        run.left[0] = replace(run.left[0], done=(*run.left[0].done, (key.part, key.exit)))
        self._progress.point(run.model, run.cores, key.batch)
        self._tell("point", run.model, run.cores, batch=key.batch, point=point)

    def _task(self, run: "_ProcessRun") -> Task:
        source = self._sources()[run.model]
        placement = PLACEMENTS[self._request.device](run.cores, self._machine)
        return Task(
            model=run.model,
            factory=source.factory,
            arguments=source.arguments,
            identity=source.identity,
            device=self._request.device,
            cores=run.cores,
            cpus=placement.cpus,
            threads=placement.threads,
            budget=asdict(self._request.budget),
            groups=tuple((cell.batch, cell.done) for cell in run.left),
        )

    def _tell(self, kind: str, model: str, cores: int, **fields: Any) -> None:
        done, total, remaining_s = self._progress.done, self._progress.total(), self._progress.remaining_s()
        self._on_event(
            SweepEvent(kind=kind, model=model, cores=cores, done=done, total=total, remaining_s=remaining_s, **fields)
        )

    def _stop_if_asked(self) -> None:
        if self._interruption.is_requested and self._progress.total() > self._progress.done:
            raise Interrupted(
                f"stopped after {self._progress.done} of {self._progress.total()} points, which are kept in "
                f"{self._journal.path}",
                remedy="run the same command again to go on",
            )

    def _sources(self) -> dict[str, Any]:
        return {model.name: model.source for model in self._request.models}


@dataclass(slots=True, kw_only=True)
class _ProcessRun:
    """One model at one core count: the cells still to measure, and what became of it."""

    model: str
    cores: int
    left: list[Cell] = field(default_factory=list)
    is_loaded: bool = False
    failure: InputError | None = None


def _existing_profile(folder: Path, machine: Machine) -> Profile | None:
    """The profile in the folder, None if there is none. Raises DocumentError if another machine measured it."""
    if not (folder / "profile.yaml").is_file():
        return None
    profile = read_profile(folder)
    if profile.machine.fingerprint != machine.fingerprint:
        raise DocumentError(
            f"{folder} was measured on machine {profile.machine.fingerprint} "
            f"({profile.machine.facts.get('cpu')}); this is {machine.fingerprint} ({machine.facts.get('cpu')})",
            remedy="measure under another name: --profile NAME",
        )
    return profile
