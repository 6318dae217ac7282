"""What a sweep is asked to measure, and what it tells while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import GIVEN, VERDICTS, LatencyPoint, Machine, PointKey
from ttamer.profiles.registry import lookup
from ttamer.profiling.budgets import BUDGETS, Budget
from ttamer.profiling.placement import PLACEMENTS
from ttamer.profiling.target import TargetSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A model to measure, and where a fresh process finds it."""

    name: str
    source: TargetSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """Every model at every batch size and core count on one device.

    name: of the profile. remeasure: verdicts of points in the profile that are measured again.
    settings: the (batch, cores) of the grid that are measured; None for all.
    Raises InputError on an empty or repeated list, a batch or core count below 1, an unknown verdict or device.
    """

    name: str
    models: tuple[ModelRequest, ...]
    batches: tuple[int, ...] = (1, 2, 4, 8)
    cores: tuple[int, ...] = (1,)
    device: str = "cpu"
    budget: Budget = BUDGETS["default"]
    remeasure: tuple[str, ...] = ()
    settings: frozenset[tuple[int, int]] | None = None

    def __post_init__(self) -> None:
        for field in ("models", "batches", "cores", "remeasure"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        _check_distinct("models", [model.name for model in self.models])
        _check_distinct("batches", self.batches)
        _check_distinct("cores", self.cores)
        _check_positive("batch", self.batches)
        _check_positive("core count", self.cores)
        lookup(PLACEMENTS, self.device, "device")
        for verdict in self.remeasure:
            lookup(dict.fromkeys(one for one in VERDICTS if one != GIVEN), verdict, "verdict")

    def asks_for(self, batch: int, cores: int) -> bool:
        """Whether the sweep measures this setting."""
        in_grid = batch in self.batches and cores in self.cores
        return in_grid and (self.settings is None or (batch, cores) in self.settings)

    def check_on(self, machine: Machine) -> None:
        """Raise InputError if the machine cannot place one of the core counts."""
        for cores in self.cores:
            PLACEMENTS[self.device](cores, machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEvent:
    """Something that happened in a sweep.

    kind: `start` (of a measuring process), `loaded`, `group` (begins), `point` (a process's visit of it is on disk),
    `retry` (a process that died is started again), `again` (disturbed points are measured once more), `failed`.
    total: visits of the whole sweep, an estimate until every model has been loaded once. done counts those
    finished in earlier runs too. remaining_s: estimated from this run, from the budget at first. point: as its visits
    so far make it, at the speed the machine had in them.
    """

    kind: str
    model: str
    cores: int
    batch: int | None = None
    done: int
    total: int
    remaining_s: float
    point: LatencyPoint | None = None
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A group that one process is to visit. attempt: how many visited it before; done: parts that need no more."""

    attempt: int = 0
    model: str
    cores: int
    batch: int
    done: tuple[tuple[str, int], ...] = ()
    parts: int

    def left(self) -> int:
        """Parts to visit."""
        return self.parts - len(self.done)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep would do: cells to visit, points it has, points of models that are built differently now.

    visits_done: of the points asked for, by processes of earlier runs.
    """

    todo: tuple[Cell, ...]
    finished: tuple[PointKey, ...]
    stale: tuple[PointKey, ...]
    visits_done: int
    estimated_s: float

    def points_todo(self) -> int:
        """Points still to measure; parts of models never loaded are estimated."""
        return sum(self.groups_todo().values())

    def visits_todo(self) -> dict[tuple[str, int, int], int]:
        """Visits of points still to make, by model, cores and batch."""
        left: dict[tuple[str, int, int], int] = {}
        for cell in self.todo:
            group = cell.model, cell.cores, cell.batch
            left[group] = cell.left() + left.get(group, 0)
        return left

    def groups_todo(self) -> dict[tuple[str, int, int], int]:
        """Points still to measure by model, cores and batch."""
        left: dict[tuple[str, int, int], int] = {}
        for cell in self.todo:
            group = cell.model, cell.cores, cell.batch
            left[group] = max(cell.left(), left.get(group, 0))
        return left


def _check_distinct(what: str, values: Sequence[object]) -> None:
    if not values:
        raise InputError(f"no {what} were given", remedy="give at least one")
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise InputError(f"{what} {', '.join(repeated)} were given twice", remedy="give each once")


def _check_positive(what: str, values: Sequence[int]) -> None:
    for value in values:
        if value < 1:
            raise InputError(f"{what} {value} was asked for; at least 1 is allowed", remedy="give whole numbers from 1")
