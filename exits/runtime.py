"""A staged model that really exits: it runs stage by stage, asks only the policy's heads, and lets rows leave.

Axes: B rows of the batch, K exits, V classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ttamer.exits.deciding import decider_of
from ttamer.exits.heads import HEADS, State
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.staged import StagedModel
from ttamer.profiles.errors import InputError

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


class ExitingModel(nn.Module):
    """A staged model with an exit policy, for inference on whatever device the model and its inputs are.

    A row that stops is answered by the exit the policy names and leaves: the rest of the batch goes on without it, and
    with nobody left no further stage runs. With `release` the answer is out as early, but the trunk runs on with every
    row, so that the last exit can be compared with what was released.
    """

    def __init__(self, staged: StagedModel, policy: Policy, *, release: bool = False) -> None:
        super().__init__()
        self.staged, self.policy, self.release = staged, policy, release
        self.decider = decider_of(policy, staged.exits)
        self._served = 0
        self._places = [self.decider.heads.index(k) if k in self.decider.heads else None for k in range(staged.exits)]

    @torch.inference_mode()
    def forward(
        self, *inputs: Tensor, numbers: Sequence[int] | None = None, on_answer: OnAnswer | None = None
    ) -> Answers:
        """The answers to a batch: images, or token ids and the mask of what is no padding (all of it without one).

        numbers: of the requests, by which a mixture of policies draws lots; without them requests are counted.
        on_answer: called with row numbers and their logits as soon as they are answered.
        Raises InputError for a batch without rows and where a head answers with NaN.
        """
        state = self._first_state(inputs)
        way = _Way(self, self._numbered(len(state[0]), numbers), on_answer)
        release, run_stage = self.release, self.staged.run_stage
        for k, place in enumerate(self._places):
            state = run_stage(k, state)
            if place is not None and way.left:
                state = way.ask(k, place, state)
            if not way.left and not release:
                break
        return way.answers(self._whole(way, state) if release else None)

    def _numbered(self, rows: int, numbers: Sequence[int] | None) -> Sequence[int]:
        if numbers is None:
            numbers = range(self._served, self._served + rows)
            self._served += rows
        if len(numbers) != rows:
            raise InputError(f"{len(numbers)} numbers for {rows} rows", remedy="give each request one number")
        return numbers

    def _first_state(self, inputs: tuple[Tensor, ...]) -> State:
        wanted = 2 if HEADS[self.staged.spec.head].modality == "text" else 1
        if len(inputs) == 1 and wanted == 2:
            inputs = (inputs[0], torch.ones_like(inputs[0], dtype=torch.bool))
        if len(inputs) != wanted or len(inputs[0]) == 0:
            rows = len(inputs[0]) if inputs else 0
            raise InputError(
                f"{self.staged.spec.name!r} was given {len(inputs)} tensors of {rows} rows",
                remedy="give images, or token ids and their mask, of at least one row",
            )
        return (inputs[0], inputs[1].bool()) if wanted == 2 else inputs

    def _whole(self, way: "_Way", state: State) -> Tensor:
        """The last exit's logits of the whole batch, asked for only where the policy has not."""
        last = self.staged.exits - 1
        rows, logits_BV = way.seen.get(last, ((), state[0]))
        return logits_BV if len(rows) == len(state[0]) else self.staged.run_head(last, state)


class _Way:
    """One batch on its way. left: rows not answered yet, ascending.

    seen: by exit, the rows it was asked about and their logits, for answers by recall.
    """

    def __init__(self, model: ExitingModel, numbers: Sequence[int], on_answer: OnAnswer | None) -> None:
        rows = len(numbers)
        self.left: Sequence[int] = range(rows)
        self.seen: dict[int, tuple[Sequence[int], Tensor]] = {}
        self._run_head, self._release, self._on_answer = model.staged.run_head, model.release, on_answer
        self._rows, self._walk = range(rows), model.decider.walk(numbers)
        self._stop, self._answer = [0] * rows, [0] * rows
        self._answered: list[tuple[Sequence[int], Tensor]] = []

    def ask(self, k: int, place: int, state: State) -> State:
        """The state of the rows that go on (of all rows if they are only released) after head k has spoken."""
        asked = self._walk.asked(place, self.left)
        if not asked:
            return state
        present = self._rows if self._release else self.left
        logits_BV = self._run_head(k, _chosen(state, present, asked))
        self.seen[k] = (asked, logits_BV)
        answers = self._walk.step(place, asked, logits_BV)
        if max(answers) < 0:
            return state
        answered = {row: answer for row, answer in zip(asked, answers, strict=True) if answer >= 0}
        for row, answer in answered.items():
            self._stop[row], self._answer[row] = k, answer
        self._tell(answered)
        before, self.left = self.left, [row for row in self.left if row not in answered]
        return state if self._release or not self.left else _chosen(state, before, self.left)

    def _tell(self, answered: dict[int, int]) -> None:
        """Keep the logits of rows that are answered, exit by exit, and tell them."""
        for exit in set(answered.values()):
            rows = [row for row, answer in answered.items() if answer == exit]
            asked, logits_BV = self.seen[exit]
            (logits_BV,) = _chosen((logits_BV,), asked, rows)
            self._answered.append((rows, logits_BV))
            if self._on_answer is not None:
                self._on_answer(rows, logits_BV)

    def answers(self, whole_BV: Tensor | None) -> Answers:
        """What every row was answered."""
        first = self._answered[0][1]
        logits_BV = first
        if len(self._answered) > 1:
            logits_BV = first.new_empty((len(self._rows), first.shape[1]))
            for rows, part_BV in self._answered:
                logits_BV.index_copy_(0, torch.tensor(rows, device=first.device), part_BV)
        return Answers(logits_BV, tuple(self._stop), tuple(self._answer), whole_BV)


def _chosen(state: State, present: Sequence[int], rows: Sequence[int]) -> State:
    """The state of some of the rows that are present in it; itself if it is all of them."""
    if len(rows) == len(present):
        return state
    places = {row: place for place, row in enumerate(present)}
    index_B = torch.tensor([places[row] for row in rows], device=state[0].device)
    return tuple(part.index_select(0, index_B) for part in state)
