"""Which points of a sweep are finished already, in the profile or in the journal, and which need another visit."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ttamer.profiles.profile import WHOLE, LatencyPoint, ModelSpec, PointKey, Profile
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.journal import JournalContents
from ttamer.profiling.request import Cell, ModelRequest, SweepPlan, SweepRequest
from ttamer.profiling.visits import Visit, needs_visit

START_S = 8.0  # a fresh process imports torch and a model library in 5-10 s
PARTS_GUESS = 9  # of a model with four exits, until one was loaded
RETRIES = 2  # further processes for a point that others disturbed: after those it stays as it is, with its verdict


@dataclass(slots=True, kw_only=True)
class Coverage:
    """The points in the profile, the visits in the journal, and the models they belong to."""

    points: Mapping[PointKey, LatencyPoint]
    models: dict[str, ModelSpec]
    visits: dict[PointKey, list[Visit]] = field(default_factory=dict)

    def add(self, visit: Visit) -> None:
        """Count a visit that was just made."""
        self.visits.setdefault(visit.key, []).append(visit)

    def finished(self, request: SweepRequest, model: ModelRequest) -> Iterator[PointKey]:
        """Keys of the model's points that need not be visited again."""
        keys = dict.fromkeys((*self.points, *self.visits))
        for key in keys:
            if key.model == model.name and key.device == request.device and self._is_finished(key, request, model):
                yield key

    def visits_of(self, key: PointKey, request: SweepRequest, model: ModelRequest) -> Sequence[Visit]:
        """The visits that count under the request: of the model as it is built now, under as good a budget."""
        return [visit for visit in self.visits.get(key, ()) if _counts(visit, request, model)]

    def _is_finished(self, key: PointKey, request: SweepRequest, model: ModelRequest) -> bool:
        visits = self.visits_of(key, request, model)
        if visits:
            return not needs_visit(visits, request.budget.processes, RETRIES)
        return key in self.points and self._is_good(self.points[key], request, model)

    def _is_good(self, point: LatencyPoint, request: SweepRequest, model: ModelRequest) -> bool:
        return _counts(point, request, model) and point.verdict not in request.remeasure


def coverage_of(profile: Profile | None, journal: JournalContents) -> Coverage:
    """Everything at hand before a sweep."""
    visits: dict[PointKey, list[Visit]] = defaultdict(list)
    for visit in journal.visits:
        visits[visit.key].append(visit)
    specs = dict(profile.models) if profile else {}
    specs |= {name: model.spec for name, model in journal.models.items()}
    points = {point.key: point for point in profile.latency} if profile else {}
    return Coverage(points=points, models=specs, visits=dict(visits))


def plan_from(request: SweepRequest, coverage: Coverage) -> SweepPlan:
    """What is left to visit, without retries: all points once, then all once more by other processes.

    Models in the order asked, fewest cores first, small batches first.
    """
    cells = [cell for attempt in range(request.budget.processes) for cell in cells_at(request, coverage, attempt)]
    todo = tuple(cell for cell in cells if not _is_done(cell, coverage))
    processes = {(cell.attempt, cell.model, cell.cores) for cell in todo}
    return SweepPlan(
        todo=todo,
        finished=tuple(
            key
            for model in request.models
            for key in coverage.finished(request, model)
            if request.asks_for(key.batch, key.cores)
        ),
        stale=tuple(stale_keys(request, coverage)),
        visits_done=sum(len(cell.done) for cell in cells),
        estimated_s=len(processes) * START_S + len(todo) * request.budget.process_s(),
    )


def cells_left(request: SweepRequest, coverage: Coverage, attempt: int) -> list[Cell]:
    """The groups that the attempt has to visit."""
    return [cell for cell in cells_at(request, coverage, attempt) if not _is_done(cell, coverage)]


def cells_at(request: SweepRequest, coverage: Coverage, attempt: int) -> Iterator[Cell]:
    """Every group asked for, with the parts that need no visit in this attempt: visited as often, or finished."""
    for model in request.models:
        finished = set(coverage.finished(request, model))
        keys = [key for key in (*coverage.points, *coverage.visits) if key.model == model.name]
        for cores in sorted(request.cores):
            for batch in sorted(size for size in request.batches if request.asks_for(size, cores)):
                done = dict.fromkeys(
                    (key.part, key.exit)
                    for key in keys
                    if (key.device, key.cores, key.batch) == (request.device, cores, batch)
                    and (key in finished or len(coverage.visits_of(key, request, model)) > attempt)
                )
                parts = _parts(coverage.models.get(model.name))
                yield Cell(
                    attempt=attempt, model=model.name, cores=cores, batch=batch, done=tuple(done), parts=parts
                )  # fmt: skip


def stale_keys(request: SweepRequest, coverage: Coverage) -> Iterator[PointKey]:
    """Points of a model asked for that is built differently now: they leave the profile when it is measured."""
    identities = {model.name: model.source.identity for model in request.models}
    measured = {key: point.spec_digest for key, point in coverage.points.items()}
    measured |= {key: visits[-1].spec_digest for key, visits in coverage.visits.items()}
    for key, identity in measured.items():
        if key.model in identities and identity != identities[key.model]:
            yield key


def parts_of(spec: ModelSpec) -> list[tuple[str, int]]:
    """Every part of a model: the whole, its stages and its heads."""
    exits = range(len(spec.exits))
    return [("whole", WHOLE), *(("stage", k) for k in exits), *(("head", k) for k in exits)]


def _counts(measured: LatencyPoint | Visit, request: SweepRequest, model: ModelRequest) -> bool:
    """Whether it was measured as asked: the model as it is built now, the same protocol, as good a budget."""
    return (
        measured.spec_digest == model.source.identity
        and measured.evidence.get("protocol") == PROTOCOL
        and measured.evidence.get("budget_s", 0.0) >= request.budget.group_s
    )


def _parts(spec: ModelSpec | None) -> int:
    return PARTS_GUESS if spec is None else len(parts_of(spec))


def _is_done(cell: Cell, coverage: Coverage) -> bool:
    spec = coverage.models.get(cell.model)
    return spec is not None and set(parts_of(spec)) <= set(cell.done)
