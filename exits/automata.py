"""Policies of tables as automata: from a head's confidence to an answer in one search and one look into a table.

A state is what the heads so far left to remember; a head's confidence bin says whether the row is answered, and by
which exit, or with which state it goes on. Confidences are compared as the records' file holds them, in single
precision, so that an automaton comes to the stops and answers of `Policy.decide`.

Axes: B rows, A active heads, S bins of a head, V classes.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ttamer.exits.exploration.line import TIE
from ttamer.exits.policies.budgeted_batch import BudgetedBatch
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.no_recall import NoRecall
from ttamer.exits.policies.per_exit_thresholds import PerExitThresholds
from ttamer.exits.policies.record_recall import ANSWER, GO_ON, RecordRecall
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InputError

FEW_LOGITS = 128  # up to here plain Python finds the confidences sooner than three calls of torch
LARGEST_EXPONENT = 700.0  # e^700 and e^-700 are ordinary double-precision numbers

# From the place of a head, what is remembered and the bin: the exit that answers (None: go on), what to remember.
Act = Callable[[int, Any, int], tuple[int | None, Hashable]]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A policy of tables. edges: ascending, an edge belongs to the bin above it.

    codes[a][state][bin]: the exit that answers, or ~state for the state with which the row comes to the next head.
    """

    heads: tuple[int, ...]
    edges: tuple[tuple[float, ...], ...]
    codes: tuple[tuple[tuple[int, ...], ...], ...]

    def walk(self, numbers: Sequence[int]) -> "AutomatonWalk":
        """A walk with all rows in state 0."""
        return AutomatonWalk(self, [0] * len(numbers))


@dataclass(frozen=True, slots=True)
class AutomatonWalk:
    """Rows on their way through an automaton, each in its state."""

    automaton: Automaton
    states: list[int]

    def asked(self, place: int, rows: Sequence[int]) -> Sequence[int]:
        """All of the rows."""
        return rows

    def step(self, place: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        """The exit that answers each of these rows, negative for a row that goes on."""
        edges = self.automaton.edges[place]
        return self.decide(place, rows, confidences(logits_BV) if edges else [1.0] * len(rows))

    def decide(self, place: int, rows: Sequence[int], confidences: Sequence[float]) -> list[int]:
        """The same from the confidences: a search among the edges and a look into the table for each row."""
        edges, codes, states = self.automaton.edges[place], self.automaton.codes[place], self.states
        if len(rows) == 1:  # half the time of the loop
            answer = codes[states[rows[0]]][bisect_right(edges, confidences[0])]
            states[rows[0]] = ~answer
            return [answer]
        answers = []
        for row, confidence in zip(rows, confidences, strict=True):
            answer = codes[states[row]][bisect_right(edges, confidence)]
            states[row] = ~answer
            answers.append(answer)
        return answers


def confidences(logits_BV: Tensor) -> list[float]:
    """The largest softmax probability of each row, in double precision. Raises InputError on NaN or infinity."""
    if logits_BV.numel() <= FEW_LOGITS and not logits_BV.is_cuda:
        found = [_confidence(row) for row in logits_BV.tolist()]
    else:
        found = torch.softmax(logits_BV, dim=1, dtype=torch.float64).amax(dim=1).tolist()
    if math.isnan(sum(found)):
        raise InputError("a head answers with NaN or infinity", remedy="check the weights, the heads and the input")
    return found


def _confidence(logits: list[float]) -> float:
    highest = max(logits)
    if -LARGEST_EXPONENT < highest < LARGEST_EXPONENT:
        return math.exp(highest) / sum(map(math.exp, logits))
    return 1 / sum(math.exp(logit - highest) for logit in logits)


def single_edge(edge: float) -> float:
    """The least confidence that reaches the edge once it is rounded to single precision, as the records' file has it.

    >>> 0.5 - 2e-8 < single_edge(0.5) < 0.5
    True
    """
    single = np.float32(edge)
    if float(single) < edge:
        single = np.nextafter(single, np.float32(np.inf))
    return (float(np.nextafter(single, np.float32(-np.inf))) + float(single)) / 2


def automaton(heads: tuple[int, ...], edges: Sequence[Sequence[float]], start: Hashable, act: Act) -> Automaton:
    """The automaton of all that can be remembered at each head, from `start` on."""
    remembered: list[Hashable] = [start]
    codes: list[tuple[tuple[int, ...], ...]] = []
    for place, row in enumerate(edges):
        following: dict[Hashable, int] = {}
        table = []
        for memory in remembered:
            steps = [act(place, memory, bin) for bin in range(len(row) + 1)]
            table.append(
                tuple(
                    ~following.setdefault(after, len(following)) if answer is None else answer
                    for answer, after in steps
                )
            )
        codes.append(tuple(table))
        remembered = list(following)
    return Automaton(heads, tuple(tuple(map(single_edge, row)) for row in edges), tuple(codes))


def _one_exit(policy: FixedExit | LastExit, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: None, bin: int) -> tuple[int | None, Hashable]:
        return heads[0], None

    return automaton(heads, [()], None, act)


def _threshold(policy: ConfidenceThreshold, heads: tuple[int, ...]) -> Automaton:
    return _first_sure(heads, [policy.threshold] * (len(heads) - 1))


def _thresholds(policy: PerExitThresholds, heads: tuple[int, ...]) -> Automaton:
    return _first_sure(heads, policy.thresholds)


def _first_sure(heads: tuple[int, ...], thresholds: Sequence[float]) -> Automaton:
    def act(place: int, memory: None, bin: int) -> tuple[int | None, Hashable]:
        return heads[place] if bin == 1 or place == len(heads) - 1 else None, None

    return automaton(heads, [*((threshold,) for threshold in thresholds), ()], None, act)


def _no_recall(policy: NoRecall, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: None, bin: int) -> tuple[int | None, Hashable]:
        is_last = place == len(heads) - 1
        return heads[place] if is_last or policy.gain[place][bin] <= TIE else None, None

    return automaton(heads, [*policy.edges[:-1], ()], None, act)


def _dynamic_index(policy: DynamicIndex, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: tuple[float, int], bin: int) -> tuple[int | None, Hashable]:
        best, holder = _better(memory, policy.loss[place][bin], heads[place])
        stops = place == len(heads) - 1 or best <= policy.index[place][bin] + TIE
        return holder if stops else None, (best, holder)

    return automaton(heads, policy.edges, (math.inf, 0), act)


def _record_recall(policy: RecordRecall, heads: tuple[int, ...]) -> Automaton:
    earlier = ((), *policy.earlier_edges)

    def act(place: int, memory: tuple[float, int], bin: int) -> tuple[int | None, Hashable]:
        cell = bin * (len(earlier[place]) + 1) + bisect_right(earlier[place], memory[0])
        action = policy.action[place][cell]
        if action != GO_ON:
            return heads[place] if action == ANSWER else memory[1], None
        return None, _better(memory, policy.loss[place][bin], heads[place])

    return automaton(heads, policy.edges, (math.inf, 0), act)


def _better(memory: tuple[float, int], loss: float, head: int) -> tuple[float, int]:
    """The least loss and the head that showed it; of equal losses the deeper head's."""
    return (loss, head) if loss <= memory[0] else memory


AUTOMATA: Mapping[str, Callable[[Any, tuple[int, ...]], Automaton]] = {
    LastExit.kind: _one_exit,
    FixedExit.kind: _one_exit,
    ConfidenceThreshold.kind: _threshold,
    PerExitThresholds.kind: _thresholds,
    BudgetedBatch.kind: _thresholds,
    NoRecall.kind: _no_recall,
    DynamicIndex.kind: _dynamic_index,
    RecordRecall.kind: _record_recall,
}
