"""Policies that remember more than an automaton holds: agreement, the surest head, two policies by lot.

Each comes to the stops and answers of its `Policy.decide`; see `walk.py` for what a walk is.

Axes: B rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ttamer.exits.automata import single_edge
from ttamer.exits.mixture import Mixture, drawn
from ttamer.exits.policies.most_confident import MostConfident
from ttamer.exits.policies.patience import Patience
from ttamer.exits.signals import classes, confidences
from ttamer.exits.walk import GOES_ON, Decider, RowWalk, Walk

SINGLE_STEP = 2.0**-23  # probabilities further apart differ in single precision too


@dataclass(frozen=True, slots=True)
class PatienceDecider:
    """Patience, which remembers a class and how often in a row it was named."""

    heads: tuple[int, ...]
    patience: int
    is_line: bool = True

    @classmethod
    def of(cls, policy: Patience, heads: tuple[int, ...]) -> "PatienceDecider":
        """The policy ready to run."""
        return cls(heads, policy.patience)

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk on which no class has been named."""
        return _PatienceWalk(self.heads[-1], self.patience, [None] * len(numbers), [0] * len(numbers))


@dataclass(slots=True)
class _PatienceWalk(RowWalk):
    last: int
    patience: int
    named: list[int | None]
    runs: list[int]

    def awaits(self, row: int) -> int:
        raise AssertionError("a line is asked in order")

    def read(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        return classes(logits_BV) if exit != self.last else [0] * len(rows)

    def decide(self, exit: int, row: int, said: int) -> int:
        if said == self.named[row]:
            self.runs[row] += 1
        else:
            self.named[row], self.runs[row] = said, 0
        return exit if self.runs[row] >= self.patience or exit == self.last else GOES_ON


@dataclass(frozen=True, slots=True)
class MostConfidentDecider:
    """A threshold with a fallback, which remembers the most confident head. edge: the threshold in single precision."""

    heads: tuple[int, ...]
    edge: float
    is_line: bool = True

    @classmethod
    def of(cls, policy: MostConfident, heads: tuple[int, ...]) -> "MostConfidentDecider":
        """The policy ready to run."""
        return cls(heads, single_edge(policy.threshold))

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk on which nothing is known yet."""
        return _MostConfidentWalk(self.heads[-1], self.edge, [-1.0] * len(numbers), [0] * len(numbers))


@dataclass(slots=True)
class _MostConfidentWalk(RowWalk):
    last: int
    edge: float
    best: list[float]
    holder: list[int]

    def awaits(self, row: int) -> int:
        raise AssertionError("a line is asked in order")

    def read(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[float]:
        return confidences(logits_BV)

    def decide(self, exit: int, row: int, said: float) -> int:
        if said >= self.edge:
            return exit
        more = said - self.best[row]
        if more > SINGLE_STEP or (more > 0 and np.float32(said) > np.float32(self.best[row])):
            self.best[row], self.holder[row] = said, exit  # of heads equal in the file the shallower answers
        return self.holder[row] if exit == self.last else GOES_ON


@dataclass(frozen=True, slots=True)
class MixtureDecider:
    """Two policies, one or the other by the request's number. heads: of both."""

    first: Decider
    second: Decider
    share: float
    heads: tuple[int, ...]
    is_line: bool = False

    @classmethod
    def joining(cls, policy: Mixture, first: Decider, second: Decider) -> "MixtureDecider":
        """The policy ready to run, from its two policies ready to run."""
        return cls(first, second, policy.share, tuple(sorted({*first.heads, *second.heads})))

    def of(self, number: int) -> Decider:
        """The policy that a request draws."""
        return self.first if drawn(int(number)) < self.share else self.second

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk on which every row has drawn its policy."""
        takes_first = [self.of(number) is self.first for number in numbers]
        one = self.of(numbers[0])
        if one.heads == self.heads and all(takes == takes_first[0] for takes in takes_first):
            return one.walk(numbers)
        return _MixtureWalk((self.second, self.first), takes_first, numbers)


class _MixtureWalk(Walk):
    def __init__(self, deciders: tuple[Decider, Decider], takes: Sequence[bool], numbers: Sequence[int]) -> None:
        self._deciders, self._takes = deciders, takes
        self._walks = [decider.walk(numbers) for decider in deciders]
        self._asked = [0] * len(numbers)  # of a line: how many heads a row has been asked about

    def awaits(self, row: int) -> int:
        which = self._takes[row]
        decider = self._deciders[which]
        return decider.heads[self._asked[row]] if decider.is_line else self._walks[which].awaits(row)

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        answers = dict.fromkeys(rows, GOES_ON)
        for which, walk in enumerate(self._walks):
            own = [(place, row) for place, row in enumerate(rows) if self._takes[row] == which]
            if own:
                part_BV = logits_BV if len(own) == len(rows) else _rows_of(logits_BV, [place for place, _ in own])
                mine = [row for _, row in own]
                answers |= zip(mine, walk.step(exit, mine, part_BV), strict=True)
        for row in rows:
            self._asked[row] += 1
        return list(answers.values())


def _rows_of(logits_BV: Tensor, places: Sequence[int]) -> Tensor:
    return logits_BV.index_select(0, torch.tensor(places, device=logits_BV.device))
