"""Policies that remember more than an automaton holds: agreement, the surest head, several lines, two policies by lot.

Each comes to the stops and answers of its `Policy.decide`; see `deciding.py` for what a walk is.

Axes: B rows.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ttamer.exits.automata import single_edge
from ttamer.exits.exploration.line import TIE
from ttamer.exits.mixture import Mixture, drawn
from ttamer.exits.policies.cascade_index import CascadeIndex
from ttamer.exits.policies.most_confident import MostConfident
from ttamer.exits.policies.patience import Patience
from ttamer.exits.signals import classes, confidences

GOES_ON = -1
SINGLE_STEP = 2.0**-23  # probabilities further apart differ in single precision too


class Walk(Protocol):
    """The rows of one batch on their way through the heads."""

    def awaits(self, row: int) -> int:
        """The head that a row under way is to be asked about next."""
        ...

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        """The exit that answers each of these rows, negative for a row that goes on."""
        ...


class Decider(Protocol):
    """A policy ready to run on a model. heads: those that may be asked, ascending.

    is_line: every head is asked in order until one answers.
    """

    @property
    def heads(self) -> tuple[int, ...]: ...

    @property
    def is_line(self) -> bool: ...

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk of the requests of these numbers, as rows 0, 1, ..."""
        ...


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
        return _PatienceWalk(self, [None] * len(numbers), [0] * len(numbers))


@dataclass(slots=True)
class _PatienceWalk:
    decider: PatienceDecider
    named: list[int | None]
    runs: list[int]

    def awaits(self, row: int) -> int:
        raise AssertionError("a line is asked in order")

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        if exit == self.decider.heads[-1]:
            return [exit] * len(rows)
        answers = []
        for row, name in zip(rows, classes(logits_BV), strict=True):
            self.runs[row] = self.runs[row] + 1 if name == self.named[row] else 0
            self.named[row] = name
            answers.append(exit if self.runs[row] >= self.decider.patience else GOES_ON)
        return answers


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
        return _MostConfidentWalk(self, [-1.0] * len(numbers), [0] * len(numbers))


@dataclass(slots=True)
class _MostConfidentWalk:
    decider: MostConfidentDecider
    best: list[float]
    holder: list[int]

    def awaits(self, row: int) -> int:
        raise AssertionError("a line is asked in order")

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        answers = []
        for row, confidence in zip(rows, confidences(logits_BV), strict=True):
            if _exceeds(confidence, self.best[row]):
                self.best[row], self.holder[row] = confidence, exit
            if confidence >= self.decider.edge:
                answers.append(exit)
            else:
                answers.append(self.holder[row] if exit == self.decider.heads[-1] else GOES_ON)
        return answers


def _exceeds(confidence: float, other: float) -> bool:
    """Whether it is higher in single precision too: equal in the file is equal here, the shallower head answers."""
    return confidence - other > SINGLE_STEP or bool(np.float32(confidence) > np.float32(other))


@dataclass(frozen=True, slots=True)
class CascadeIndexDecider:
    """Several lines, each with its next head's index. edges: of each head, in single precision; spans: of each line."""

    policy: CascadeIndex
    edges: tuple[tuple[float, ...], ...]
    spans: tuple[tuple[int, int], ...]
    heads: tuple[int, ...]
    is_line: bool = False

    @classmethod
    def of(cls, policy: CascadeIndex, heads: tuple[int, ...]) -> "CascadeIndexDecider":
        """The policy ready to run."""
        edges = tuple(tuple(map(single_edge, row)) for row in policy.edges)
        return cls(policy, edges, tuple(policy.spans()), heads)

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk on which no line has been opened."""
        firsts = [first for first, _ in self.spans]
        index = [self.policy.index[first][0] for first in firsts]
        return _CascadeIndexWalk(self, [_Lines(list(firsts), list(index)) for _ in numbers])


@dataclass(slots=True)
class _Lines:
    """Of one row: the place of each line's next head and its index, and the best answer so far."""

    places: list[int]
    index: list[float]
    best: float = math.inf
    holder: int = 0

    def cheapest(self) -> int:
        return self.index.index(min(self.index))


@dataclass(slots=True)
class _CascadeIndexWalk:
    decider: CascadeIndexDecider
    lines: list[_Lines]

    def awaits(self, row: int) -> int:
        own = self.lines[row]
        return self.decider.heads[own.places[own.cheapest()]]

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        return [self._step(row, sure) for row, sure in zip(rows, confidences(logits_BV), strict=True)]

    def _step(self, row: int, confidence: float) -> int:
        policy, own = self.decider.policy, self.lines[row]
        line = own.cheapest()
        place = own.places[line]
        bin = bisect_right(self.decider.edges[place], confidence)
        if policy.loss[place][bin] <= own.best:
            own.best, own.holder = policy.loss[place][bin], policy.heads[place]
        own.places[line] = place + 1
        is_over = place + 1 == self.decider.spans[line][1]
        own.index[line] = math.inf if is_over else policy.index[place + 1][bin]
        return own.holder if own.best <= min(own.index) + TIE else GOES_ON


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


class _MixtureWalk:
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
