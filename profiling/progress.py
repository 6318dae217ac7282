"""How far a sweep is, and how long the rest will take."""

from collections.abc import Callable

from ttamer.profiles.profile import ModelSpec
from ttamer.profiling.coverage import START_S, parts_of
from ttamer.profiling.request import SweepPlan

Process = tuple[str, int]  # model, cores


class Progress:
    """Counts points, and learns from this run how long a start and a group take."""

    def __init__(self, plan: SweepPlan, group_s: float, now: Callable[[], float]) -> None:
        self.done = len(plan.finished)
        self._left = {(cell.model, cell.cores, cell.batch): cell.parts - len(cell.done) for cell in plan.todo}
        self._had = {(cell.model, cell.cores, cell.batch): len(cell.done) for cell in plan.todo}
        self._to_start: set[Process] = {(cell.model, cell.cores) for cell in plan.todo}
        self._start_s, self._group_s = _Mean(START_S), _Mean(group_s)
        self._now = now
        self._since_s = now()

    def total(self) -> int:
        """Points of the whole sweep, an estimate while a model was never loaded."""
        return self.done + sum(self._left.values())

    def remaining_s(self) -> float:
        """Estimated seconds to the end."""
        rest_s = len(self._to_start) * self._start_s.value + len(self._left) * self._group_s.value
        return max(0.0, rest_s - (self._now() - self._since_s))

    def started(self) -> None:
        """A process starts, or a group begins."""
        self._since_s = self._now()

    def loaded(self, spec: ModelSpec, cores: int) -> None:
        """A process has loaded its model, so the parts of that model are known."""
        if (spec.name, cores) in self._to_start:
            self._to_start.remove((spec.name, cores))
            self._start_s.add(self._now() - self._since_s)
        for cell in self._left:
            if cell[0] == spec.name:
                self._left[cell] = len(parts_of(spec)) - self._had[cell]
        self._since_s = self._now()

    def point(self, model: str, cores: int, batch: int) -> None:
        """A point is on disk."""
        self.done += 1
        self._left[model, cores, batch] -= 1
        self._had[model, cores, batch] += 1

    def group_done(self, model: str, cores: int, batch: int) -> None:
        """All points of a group are on disk."""
        self._left.pop((model, cores, batch), None)
        self._group_s.add(self._now() - self._since_s)
        self._since_s = self._now()

    def give_up(self, model: str, cores: int) -> None:
        """The rest of a process's groups will not be measured."""
        self._to_start.discard((model, cores))
        self._left = {cell: left for cell, left in self._left.items() if cell[:2] != (model, cores)}


class _Mean:
    """A mean that starts from a guess and forgets it with the first value."""

    def __init__(self, guess: float) -> None:
        self.value, self._count = guess, 0

    def add(self, value: float) -> None:
        self._count += 1
        self.value += (value - self.value) / self._count
