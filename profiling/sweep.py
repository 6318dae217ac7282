"""The sweep: every model at every batch size and core count, each finished visit of a point safe on disk at once.

One fresh process visits the points of one model at one core count. When all models had their turn, other processes
visit all points again, minutes later; points that were disturbed get a few more. A process that dies costs its own
points only.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ttamer.profiles.errors import DocumentError, InputError, Interrupted
from ttamer.profiles.profile import LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.shelf import journal_path, read_profile, write_profile
from ttamer.profiling.child import StartWorker, start_worker
from ttamer.profiling.coverage import RETRIES, Coverage, cells_left, coverage_of, plan_from
from ttamer.profiling.interruption import Interruption
from ttamer.profiling.journal import Failed, Journal, MeasuredModel, read_journal
from ttamer.profiling.machine import read_machine
from ttamer.profiling.merging import merge
from ttamer.profiling.placement import PLACEMENTS, require_device
from ttamer.profiling.progress import Progress
from ttamer.profiling.request import Cell, SweepEvent, SweepPlan, SweepRequest
from ttamer.profiling.task import Task
from ttamer.profiling.visits import Visit, point_from_visits, reference_level_s

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
    begun_s = now()
    machine = machine or read_machine(environment=os.environ)
    request.check_on(machine)
    require_device(request.device)
    profile = _existing_profile(folder, machine)
    with Journal(journal_path(folder), machine.fingerprint) as journal, Interruption() as interruption:
        coverage = coverage_of(profile, journal.contents)
        progress = Progress(plan_from(request, coverage), request.budget.process_s(), now)
        sweep = Sweep(
            request, machine, journal, coverage, progress, on_event=on_event, interruption=interruption, start=start
        )
        for attempt in range(request.budget.processes + RETRIES):
            sweep.visit_all(attempt)
        if sweep.is_journaled:
            journal.append_spent({"total": now() - begun_s})
        written = read_journal(journal.path)
        if written.visits or (profile is None and not sweep.failures):
            profile = write_profile(folder, merge(request, machine, profile, written, folder))
        journal.remove()
    if not written.visits and sweep.failures:
        raise sweep.failures[0]
    assert profile is not None
    return profile


class Sweep:
    """A sweep under way: starts processes, writes down what they find, tells how far it is.

    failures: why models could not be measured, in the order met. is_journaled: whether it has written anything down.
    """

    def __init__(
        self,
        request: SweepRequest,
        machine: Machine,
        journal: Journal,
        coverage: Coverage,
        progress: Progress,
        *,
        on_event: OnEvent,
        interruption: Interruption,
        start: StartWorker,
    ) -> None:
        self.failures: list[InputError] = []
        self.is_journaled = False
        self._request, self._machine, self._journal = request, machine, journal
        self._coverage, self._progress = coverage, progress
        self._on_event, self._interruption, self._start = on_event, interruption, start
        self._given_up: set[tuple[str, int, int]] = set()
        self._unloadable: set[str] = set()

    def visit_all(self, attempt: int) -> None:
        """Visit every group that needs it, a process for each model and core count.

        Raises Interrupted if the user asked to stop and something is left to measure.
        """
        cells = self._worth_a_visit(cells_left(self._request, self._coverage, attempt))
        if attempt >= self._request.budget.processes:
            self._progress.add(cells)
        for (model, cores), some in groupby(cells, key=lambda cell: (cell.model, cell.cores)):
            self._visit(_ProcessRun(attempt=attempt, model=model, cores=cores, left=list(some)))

    def _visit(self, run: "_ProcessRun") -> None:
        """Visit the groups of one model at one core count, in a new process whenever one dies."""
        run.left = self._worth_a_visit(run.left)
        while run.left:
            self._stop_if_asked()
            self._tell(self._kind_of_start(run), run, message=run.death)
            run.is_loaded = False
            run.death = self._listen(run) or "its process ended before its task"
            self._stop_if_asked()
            if run.failure:  # the model itself is wrong, and will be the next time
                self._record_failure(run, run.failure, run.left)
            elif run.left and run.died_at(run.left[0]) >= ATTEMPTS:
                remedy = "measure smaller batches (--batches) or free some memory"
                message = f"{run.model!r} on {run.cores} cores at batch {run.left[0].batch}: {run.death}"
                self._record_failure(run, InputError(message, remedy=remedy), run.left[:1])
                run.death = ""
            run.left = self._worth_a_visit(run.left)

    def _kind_of_start(self, run: "_ProcessRun") -> str:
        if run.death:
            return "retry"
        return "again" if run.attempt >= self._request.budget.processes else "start"

    def _is_given_up(self, model: str, cores: int, batch: int) -> bool:
        return model in self._unloadable or (model, cores, batch) in self._given_up

    def _worth_a_visit(self, cells: Iterable[Cell]) -> list[Cell]:
        return [cell for cell in cells if not self._is_given_up(cell.model, cell.cores, cell.batch)]

    def _record_failure(self, run: "_ProcessRun", failure: InputError, cells: Sequence[Cell]) -> None:
        batch = cells[0].batch if run.is_loaded else None
        if not run.is_loaded:
            self._unloadable.add(run.model)
        self._given_up |= {(cell.model, cell.cores, cell.batch) for cell in cells}
        self._progress.give_up(self._is_given_up)
        self.failures.append(failure)
        self._journal.append_failure(Failed(model=run.model, cores=run.cores, batch=batch, reason=failure.message))
        self._tell("failed", run, batch=batch, message=failure.message, remedy=failure.remedy)

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
        if self.is_journaled:
            self._journal.append_spent({"end": self._progress.since_s()})
        return ending

    def _take(self, event: Mapping[str, Any], run: "_ProcessRun") -> None:
        match event["event"]:
            case "loaded":
                self._loaded(event, run)
            case "group":
                self._interruption.group(running=True)
                self._progress.started()
                self._tell("group", run, batch=event["batch"])
            case "visit":
                self._take_visit(Visit.from_row(event["row"]), run)
            case "group_done":
                self._journal.append_spent(event["spent_s"])
                self._progress.group_done(run.left.pop(0))
                self._interruption.group(running=False)
            case "failed":
                run.failure = InputError(event["message"], remedy=event["remedy"])

    def _loaded(self, event: Mapping[str, Any], run: "_ProcessRun") -> None:
        run.is_loaded = self.is_journaled = True
        spec = ModelSpec(**event["spec"])
        identity = self._sources()[run.model].identity
        self._coverage.models[spec.name] = spec
        self._journal.append_model(MeasuredModel(spec=spec, identity=identity, facts=event["facts"]))
        start_s = self._progress.loaded(spec, (run.attempt, run.model, run.cores))
        self._journal.append_spent({"start": start_s, "processes": 1.0})
        self._tell("loaded", run)

    def _take_visit(self, visit: Visit, run: "_ProcessRun") -> None:
        self._journal.append_visit(visit)
        self._coverage.add(visit)
        key, cell = visit.key, run.left[0]
        run.left[0] = replace(cell, done=(*cell.done, (key.part, key.exit)))
        self._progress.visit(cell)
        self._tell("point", run, batch=key.batch, point=self._point_so_far(key, run.model))

    def _point_so_far(self, key: PointKey, model: str) -> LatencyPoint:
        (asked,) = (one for one in self._request.models if one.name == model)
        visits = self._coverage.visits_of(key, self._request, asked)
        return point_from_visits(visits, reference_level_s(visits), self._request.budget)

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

    def _tell(self, kind: str, run: "_ProcessRun", **fields: Any) -> None:
        done, total, remaining_s = self._progress.done, self._progress.total(), self._progress.remaining_s()
        self._on_event(
            SweepEvent(
                kind=kind, model=run.model, cores=run.cores, done=done, total=total, remaining_s=remaining_s, **fields
            )
        )

    def _stop_if_asked(self) -> None:
        if self._interruption.is_requested and self._progress.total() > self._progress.done:
            raise Interrupted(
                f"stopped after {self._progress.done} of {self._progress.total()} visits of points, which are kept in "
                f"{self._journal.path}",
                remedy="run the same command again to go on",
            )

    def _sources(self) -> dict[str, Any]:
        return {model.name: model.source for model in self._request.models}


@dataclass(slots=True, kw_only=True)
class _ProcessRun:
    """One model at one core count: the groups still to visit, and what became of its processes."""

    attempt: int
    model: str
    cores: int
    left: list[Cell]
    is_loaded: bool = False
    failure: InputError | None = None
    death: str = ""
    deaths: Counter[int] = field(default_factory=Counter)

    def died_at(self, cell: Cell) -> int:
        """How often processes have died at this group, this time included."""
        self.deaths[cell.batch] += 1
        return self.deaths[cell.batch]


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
