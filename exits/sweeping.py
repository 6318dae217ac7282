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
        way = self._way
        present: list[int] = []
        state: State = ()
        for k in range(first, behind):
            wanting = [row for row in way.left if k <= way.walk.awaits(row) < behind]
            if not wanting:
                return
            coming = [row for row in wanting if row not in present and parked.get(row, (first - 1, ()))[0] == k - 1]
            present, state = self._joined(present, state, coming, parked)
            if not present:
                continue
            state = self._staged.run_stage(k, state)
            way.ask(k, [row for row in present if way.walk.awaits(row) == k], present, state)
            staying = [row for row in present if row in way.left and k < way.walk.awaits(row) < behind]
            for row in present:
                if row in way.left and row not in staying:
                    parked[row] = k, chosen(state, present, [row])
            present, state = staying, chosen(state, present, staying) if staying else ()

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
