"""A batch through a cascade whose rows choose their models one by one.

Rows of a batch that want the same stage run it together. The models are swept in order until no row is left; a row
that wants another model waits there for its turn, and may come back to one that it had left.

Axes: B rows of the batch.
"""

from collections.abc import Sequence

import torch

from ttamer.exits.cascade import CascadeModel
from ttamer.exits.heads import State
from ttamer.exits.staged import StagedModel
from ttamer.exits.way import Way, chosen

Parked = dict[int, tuple[int, State]]  # by row: the last stage that was run, and the state after it


class Sweeps:
    """Sweeps over the models of a cascade. spans: of each, its first exit and the one behind its last in use."""

    def __init__(
        self, staged: StagedModel | CascadeModel, spans: Sequence[tuple[int, int]], inputs: State, way: Way
    ) -> None:
        self._staged, self._spans, self._inputs, self._way = staged, spans, inputs, way
        self._parked: list[Parked] = [{} for _ in spans]

    def run(self) -> None:
        """Sweep until every row is answered."""
        while self._way.left:
            for (first, behind), parked in zip(self._spans, self._parked, strict=True):
                self._sweep(first, behind, parked)

    def _sweep(self, first: int, behind: int, parked: Parked) -> None:
        way, awaits = self._way, self._way.walk.awaits
        present: list[int] = []
        state: State = ()
        k = first
        while k < behind:
            wanting = [row for row in way.left if k <= awaits(row) < behind]
            if not wanting:
                return
            absent = {row: parked[row][0] + 1 if row in parked else first for row in wanting if row not in present}
            present, state = self._joined(present, state, [row for row in absent if absent[row] == k], parked)
            joins = min((stage for stage in absent.values() if stage > k), default=behind)
            if not present:
                k = joins
                continue
            last = min(joins - 1, *map(awaits, present))
            for stage in range(k, last + 1):  # on which nobody joins and, but for the last, nobody is asked
                state = self._staged.run_stage(stage, state)
            present, state = self._asked(last, behind, present, state, parked)
            k = last + 1

    def _asked(self, k: int, behind: int, present: list[int], state: State, parked: Parked) -> tuple[list[int], State]:
        """Those who stay and their state, after those who wait for head k are asked and those who leave are parked."""
        way, awaits = self._way, self._way.walk.awaits
        asked = [row for row in present if awaits(row) == k]
        if not asked:
            return present, state
        way.ask(k, asked, present, state)
        left = set(way.left)
        staying = [row for row in present if row in left and k < awaits(row) < behind]
        for row in present:
            if row in left and row not in staying:
                parked[row] = k, chosen(state, present, [row])
        return staying, chosen(state, present, staying) if staying else ()

    def _joined(self, present: list[int], state: State, coming: list[int], parked: Parked) -> tuple[list[int], State]:
        """Those present and those coming, the latter from the inputs or from where they were left."""
        if not coming:
            return present, state
        fresh = [row for row in coming if row not in parked]
        back = [row for row in coming if row in parked]
        parts = [state] if present else []
        parts += [chosen(self._inputs, range(len(self._inputs[0])), fresh)] if fresh else []
        parts += [parked.pop(row)[1] for row in back]
        joined = parts[0] if len(parts) == 1 else tuple(torch.cat(group) for group in zip(*parts, strict=True))
        return [*present, *fresh, *back], joined
