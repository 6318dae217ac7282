"""How far a sweep is, and how long the rest will take."""

from collections.abc import Callable, Sequence

from ttamer.profiles.profile import ModelSpec
from ttamer.profiling.coverage import START_S, parts_of
from ttamer.profiling.request import Cell, SweepPlan

Process = tuple[int, str, int]  # attempt, model, cores
Group = tuple[int, str, int, int]  # and batch


class Progress:
    """Counts visits, and learns from this run how long a start and a group take."""

    def __init__(self, plan: SweepPlan, group_s: float, now: Callable[[], float]) -> None:
        self.done = plan.visits_done
        self._left: dict[Group, int] = {}
        self._had: dict[Group, int] = {}
        self._to_start: set[Process] = set()
        self._start_s, self._group_s = _Mean(START_S), _Mean(group_s)
        self._now = now
        self._since_s = now()
        self.add(plan.todo)

    def add(self, cells: Sequence[Cell]) -> None:
        """Groups that are to be visited, too."""
        for cell in cells:
            self._left[_group(cell)] = cell.left()
            self._had[_group(cell)] = len(cell.done)
            self._to_start.add(_process(cell))

    def total(self) -> int:
        """Visits of the whole sweep, an estimate while a model was never loaded."""
        return self.done + sum(self._left.values())

    def remaining_s(self) -> float:
        """Estimated seconds to the end."""
        rest_s = len(self._to_start) * self._start_s.value + len(self._left) * self._group_s.value
        return max(0.0, rest_s - self.since_s())

    def since_s(self) -> float:
        """Seconds since a process started, loaded its model, or finished a group."""
        return self._now() - self._since_s

    def started(self) -> None:
        """A process starts, or a group begins."""
        self._since_s = self._now()

    def loaded(self, spec: ModelSpec, process: Process) -> float:
        """A process has loaded its model, so the parts of that model are known. Returns the seconds it took."""
        start_s = self.since_s()
        if process in self._to_start:
            self._to_start.remove(process)
            self._start_s.add(start_s)
        for group in self._left:
            if group[1] == spec.name:
                self._left[group] = len(parts_of(spec)) - self._had[group]
        self._since_s = self._now()
        return start_s

    def visit(self, cell: Cell) -> None:
        """A visit is on disk."""
        self.done += 1
        self._left[_group(cell)] -= 1
        self._had[_group(cell)] += 1

    def group_done(self, cell: Cell) -> None:
        """All visits of a group are on disk."""
        self._left.pop(_group(cell), None)
        self._group_s.add(self.since_s())
        self._since_s = self._now()

    def give_up(self, is_given_up: Callable[[str, int, int], bool]) -> None:
        """Some groups (model, cores, batch) will not be visited, nor their models started for them alone."""
        self._left = {group: left for group, left in self._left.items() if not is_given_up(*group[1:])}
        self._to_start &= {group[:3] for group in self._left}


class _Mean:
    """A mean that starts from a guess and forgets it with the first value."""

    def __init__(self, guess: float) -> None:
        self.value, self._count = guess, 0

    def add(self, value: float) -> None:
        self._count += 1
        self.value += (value - self.value) / self._count


def _group(cell: Cell) -> Group:
    return cell.attempt, cell.model, cell.cores, cell.batch


def _process(cell: Cell) -> Process:
    return cell.attempt, cell.model, cell.cores
