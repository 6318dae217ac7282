"""A batch on its way through the heads: who is left, what was seen, what was answered.

Axes: B rows of the batch, V classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ttamer.exits.heads import State
from ttamer.exits.walk import Walk

OnAnswer = Callable[[Sequence[int], Tensor], None]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a batch was answered, row by row.

    logits_BV: of the exit that answers, on the model's device. stop_B, answer_B: the exit that ended the row's way and
    the exit that answers. whole_BV: the last exit's logits where the trunk ran on (release), else None.
    """

    logits_BV: Tensor
    stop_B: tuple[int, ...]
    answer_B: tuple[int, ...]
    whole_BV: Tensor | None = None

    @property
    def prediction_B(self) -> Tensor:
        """The class of the highest logit."""
        return self.logits_BV.argmax(dim=1)


class Way:
    """One batch on its way. left: rows not answered yet, ascending.

    seen: by exit, groups of rows that were asked there and their logits, for answers by recall.
    """

    def __init__(
        self, rows: int, walk: Walk, run_head: Callable[[int, State], Tensor], on_answer: OnAnswer | None
    ) -> None:
        self.left: Sequence[int] = range(rows)
        self.seen: dict[int, list[tuple[Sequence[int], Tensor]]] = {}
        self.walk, self._run_head, self._on_answer = walk, run_head, on_answer
        self._rows, self._deepest = rows, [0] * rows
        self._stop, self._answer = [0] * rows, [0] * rows
        self._answered: list[tuple[Sequence[int], Tensor]] = []

    def ask(self, k: int, asked: Sequence[int], present: Sequence[int], state: State) -> None:
        """Ask head k about some of the rows that are present in the state; those it answers are no longer left."""
        if not asked:
            return
        logits_BV = self._run_head(k, chosen(state, present, asked))
        self.seen.setdefault(k, []).append((asked, logits_BV))
        answers = self.walk.step(k, asked, logits_BV)
        for row in asked:
            self._deepest[row] = max(self._deepest[row], k)
        if max(answers) < 0:
            return
        answered = {row: answer for row, answer in zip(asked, answers, strict=True) if answer >= 0}
        for row, answer in answered.items():
            self._stop[row], self._answer[row] = self._deepest[row], answer
        self._tell(answered)
        self.left = [row for row in self.left if row not in answered]

    def _tell(self, answered: dict[int, int]) -> None:
        """Keep the logits of rows that are answered, exit by exit, and tell them."""
        for exit in set(answered.values()):
            for group, logits_BV in self.seen[exit]:
                rows = [row for row in group if answered.get(row) == exit]
                if rows:
                    (part_BV,) = chosen((logits_BV,), group, rows)
                    self._answered.append((rows, part_BV))
                    if self._on_answer is not None:
                        self._on_answer(rows, part_BV)

    def answers(self, whole_BV: Tensor | None) -> Answers:
        """What every row was answered."""
        first = self._answered[0][1]
        logits_BV = first
        if len(self._answered) > 1:
            logits_BV = first.new_empty((self._rows, first.shape[1]))
            for rows, part_BV in self._answered:
                logits_BV.index_copy_(0, torch.tensor(rows, device=first.device), part_BV)
        return Answers(logits_BV, tuple(self._stop), tuple(self._answer), whole_BV)


def chosen(state: State, present: Sequence[int], rows: Sequence[int]) -> State:
    """The state of some of the rows that are present in it, in the order asked for; itself if it is all of them."""
    if len(rows) == len(present):
        return state
    places = {row: place for place, row in enumerate(present)}
    index_B = torch.tensor([places[row] for row in rows], device=state[0].device)
    return tuple(part.index_select(0, index_B) for part in state)
