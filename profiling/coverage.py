"""Which points of a sweep are finished already, in the profile or in the journal of an earlier run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ttamer.profiles.profile import WHOLE, LatencyPoint, ModelSpec, PointKey, Profile
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.journal import JournalContents
from ttamer.profiling.request import Cell, ModelRequest, SweepPlan, SweepRequest

START_S = 8.0  # a fresh process imports torch and a model library in 5-10 s
PARTS_GUESS = 9  # of a model with four exits, until one was loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The points at hand and the models they belong to; the journal's are newer than the profile's."""

    points: Mapping[PointKey, LatencyPoint]
    models: Mapping[str, ModelSpec]
    fresh: frozenset[PointKey]

    def finished(self, request: SweepRequest, model: ModelRequest) -> Iterator[PointKey]:
        """Keys of the model's points that need not be measured again."""
        for key, point in self.points.items():
            if (
                key.model == model.name
                and key.device == request.device
                and self._is_finished(key, point, request, model)
            ):
                yield key

    def _is_finished(self, key: PointKey, point: LatencyPoint, request: SweepRequest, model: ModelRequest) -> bool:
        return (
            point.spec_digest == model.source.identity
            and point.evidence.get("protocol") == PROTOCOL
            and point.evidence.get("budget_s", 0.0) >= request.budget.group_s
            and (key in self.fresh or point.verdict not in request.remeasure)
        )


def coverage_of(profile: Profile | None, journal: JournalContents) -> Coverage:
    """Everything at hand before a sweep."""
    old = {point.key: point for point in profile.latency} if profile else {}
    new = {point.key: point for point in journal.points}
    specs = dict(profile.models) if profile else {}
    specs |= {name: model.spec for name, model in journal.models.items()}
    return Coverage(points=old | new, models=specs, fresh=frozenset(new))


def plan_from(request: SweepRequest, coverage: Coverage) -> SweepPlan:
    """What is left to measure: models in the order asked, fewest cores first, small batches first."""
    todo: list[Cell] = []
    finished: list[PointKey] = []
    for model in request.models:
        keys = [key for key in coverage.finished(request, model) if request.asks_for(key.batch, key.cores)]
        finished += keys
        for cores in sorted(request.cores):
            for batch in sorted(size for size in request.batches if request.asks_for(size, cores)):
                done = tuple((key.part, key.exit) for key in keys if (key.cores, key.batch) == (cores, batch))
                cell = Cell(
                    model=model.name, cores=cores, batch=batch, done=done, parts=_parts(coverage.models.get(model.name))
                )
                if not done or not set(parts_of(coverage.models[model.name])) <= set(done):
                    todo.append(cell)
    processes = {(cell.model, cell.cores) for cell in todo}
    return SweepPlan(
        todo=tuple(todo),
        finished=tuple(finished),
        stale=tuple(stale_keys(request, coverage)),
        estimated_s=len(processes) * START_S + len(todo) * request.budget.group_s,
    )


def stale_keys(request: SweepRequest, coverage: Coverage) -> Iterator[PointKey]:
    """Points of a model asked for that is built differently now: they leave the profile when it is measured."""
    identities = {model.name: model.source.identity for model in request.models}
    for key, point in coverage.points.items():
        if key.model in identities and point.spec_digest != identities[key.model]:
            yield key


def parts_of(spec: ModelSpec) -> list[tuple[str, int]]:
    """Every part of a model: the whole, its stages and its heads."""
    exits = range(len(spec.exits))
    return [("whole", WHOLE), *(("stage", k) for k in exits), *(("head", k) for k in exits)]


def _parts(spec: ModelSpec | None) -> int:
    return PARTS_GUESS if spec is None else len(parts_of(spec))
