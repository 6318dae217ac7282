"""A staged model, or a cascade of them, that really exits: only the stages and heads run that the policy asks for.

Axes: B rows of the batch, K exits, V classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ttamer.exits.cascade import CascadeModel
from ttamer.exits.deciding import decider_of
from ttamer.exits.heads import HEADS, State
from ttamer.exits.inference import inferring
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.staged import StagedModel
from ttamer.exits.sweeping import Sweeps
from ttamer.exits.walks import MixtureDecider
from ttamer.exits.way import Answers, OnAnswer, Way, chosen
from ttamer.profiles.errors import InputError

__all__ = ["Answers", "ExitingModel", "OnAnswer"]


@dataclass(frozen=True, slots=True)
class Span:
    """The exits of one model: from `first`, those in use up to before `behind`, all up to before `end`."""

    first: int
    behind: int
    end: int


class ExitingModel(nn.Module):
    """A staged model with an exit policy, for inference on whatever device the model and its inputs are.

    A row that stops is answered by the exit the policy names and leaves: the rest of the batch goes on without it, and
    with nobody left no further stage runs. In a cascade the rows that are left go on to the next model. With `release`
    the answer is out as early, but every row runs to the end, so that the last exit can be compared with what was
    released.
    """

    def __init__(self, staged: StagedModel | CascadeModel, policy: Policy, *, release: bool = False) -> None:
        super().__init__()
        self.staged, self.policy, self.release = staged, policy, release
        self.decider = decider_of(policy, staged.exits)
        self._served = 0
        used = [k in self.decider.heads for k in range(staged.exits)]
        self._is_asked_K = used
        ends = pairwise((*staged.starts, staged.exits))
        self._spans = [
            Span(low, max([k + 1 for k in range(low, high) if used[k]], default=low), high) for low, high in ends
        ]
        self._span_of_K = [place for place, span in enumerate(self._spans) for _ in range(span.first, span.end)]
        self._roams = not self.decider.is_line and len(self._spans) > 1

    @inferring
    def forward(
        self, *inputs: Tensor, numbers: Sequence[int] | None = None, on_answer: OnAnswer | None = None
    ) -> Answers:
        """The answers to a batch: images, or token ids and the mask of what is no padding (all of it without one).

        numbers: of the requests, by which a mixture of policies draws lots; without them requests are counted.
        on_answer: called with row numbers and their logits as soon as they are answered.
        Raises InputError for a batch without rows and where a head answers with NaN.
        """
        state = self._first_state(inputs)
        rows = len(state[0])
        numbers = self._numbered(rows, numbers)
        if rows == 1 and not self.release and on_answer is None:
            return self._alone(state, numbers)
        way = Way(rows, self.decider.walk(numbers), self.staged.run_head, on_answer)
        if self._roams:
            Sweeps(self.staged, [(span.first, span.behind) for span in self._spans], state, way).run()
            return way.answers(self._to_the_end(state) if self.release else None)
        return way.answers(self._swept(state, way))

    def _alone(self, inputs: State, numbers: Sequence[int]) -> Answers:
        """The answer to one row, which needs no company: under a mixture it goes by the policy it drew."""
        decider = self.decider.of(numbers[0]) if isinstance(self.decider, MixtureDecider) else self.decider
        walk, run_stage, run_head = decider.walk(numbers), self.staged.run_stage, self.staged.run_head
        reached = [(span.first, inputs) for span in self._spans]
        seen: dict[int, Tensor] = {}
        while True:
            k = decider.heads[len(seen)] if decider.is_line else walk.awaits(0)
            place = self._span_of_K[k]
            first, state = reached[place]
            for stage in range(first, k + 1):
                state = run_stage(stage, state)
            reached[place] = k + 1, state
            seen[k] = run_head(k, state)
            answer = walk.alone(k, seen[k])
            if answer >= 0:
                return Answers(seen[answer], (max(seen),), (answer,))

    def _swept(self, inputs: State, way: Way) -> Tensor | None:
        """Run all rows through the models in turn; with release, the last exit's logits of all of them."""
        everybody = range(len(inputs[0]))
        for span in self._spans:
            present = everybody if self.release else way.left
            state = chosen(inputs, everybody, present)
            is_last = span is self._spans[-1]
            for k in range(span.first, span.end if self.release and is_last else span.behind):
                state = self.staged.run_stage(k, state)
                if self._is_asked_K[k] and way.left:
                    way.ask(k, self._asked(k, way), present, state)
                    if not self.release and len(way.left) < len(present):
                        if not way.left:
                            return None
                        state, present = chosen(state, present, way.left), way.left
        return self._last_logits(way, state) if self.release else None

    def _to_the_end(self, inputs: State) -> Tensor:
        """The last exit's logits of the whole batch, through the last model alone."""
        state, last = inputs, self._spans[-1]
        for k in range(last.first, last.end):
            state = self.staged.run_stage(k, state)
        return self.staged.run_head(last.end - 1, state)

    def _asked(self, k: int, way: Way) -> Sequence[int]:
        return way.left if self.decider.is_line else [row for row in way.left if way.walk.awaits(row) == k]

    def _last_logits(self, way: Way, state: State) -> Tensor:
        """The last exit's logits of the whole batch, asked for only where the policy has not."""
        last = self.staged.exits - 1
        for rows, logits_BV in way.seen.get(last, ()):
            if len(rows) == len(state[0]):
                return logits_BV
        return self.staged.run_head(last, state)

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
