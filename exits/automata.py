"""Policies of tables as automata: from what a head says to an answer in one search and one look into a table.

A node is a head that is awaited with what the heads before left to remember; the bin of the head's signal says whether
the row is answered, and by which exit, or at which node it goes on. Signals are compared as the records' file holds
them, in single precision, so that an automaton comes to the stops and answers of `Policy.decide`.

Axes: B rows, K exits, S bins of a head.
"""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ttamer.exits.exploration.line import TIE
from ttamer.exits.exploration.skippable import STOP
from ttamer.exits.policies.apparate import Apparate
from ttamer.exits.policies.budgeted_batch import BudgetedBatch
from ttamer.exits.policies.cascade_index import CascadeIndex
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.entropy import EntropyThreshold
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.no_recall import NoRecall
from ttamer.exits.policies.per_exit_thresholds import PerExitThresholds
from ttamer.exits.policies.record_recall import ANSWER, GO_ON, RecordRecall
from ttamer.exits.policies.skippable_index import SkippableIndex
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.exits.signals import confidences, decidedness
from ttamer.exits.walk import RowWalk

MOST_NODES = 100_000  # some tens of megabytes

Signal = Callable[[Tensor], list[float]]


class TooManyNodes(Exception):
    """A policy can remember more than an automaton should hold."""


class Step(NamedTuple):
    """What a bin leads to: the exit that answers, or None with what to remember and the place of the next head."""

    answer: int | None
    memory: Hashable = None
    place: int = 0


# From the place of a head among the policy's, what is remembered and the bin.
Act = Callable[[int, Any, int], Step]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A policy of tables. edges_K: of each head's bins, ascending; an edge belongs to the bin above it.

    codes[node][bin]: the exit that answers, or ~node of the node where the row goes on. exit_of[node]: the head that
    it awaits. is_line: every head is asked in order until one answers. Rows start at node 0.
    """

    heads: tuple[int, ...]
    edges_K: tuple[tuple[float, ...], ...]
    codes: tuple[tuple[int, ...], ...]
    exit_of: tuple[int, ...]
    is_line: bool
    signal: Signal

    def walk(self, numbers: Sequence[int]) -> "AutomatonWalk":
        """A walk with all rows at node 0."""
        return AutomatonWalk(self, self.edges_K, self.codes, [0] * len(numbers))


@dataclass(slots=True)
class AutomatonWalk(RowWalk):
    """Rows on their way through an automaton, each at its node. edges_K, codes: the automaton's, nearer at hand."""

    automaton: Automaton
    edges_K: tuple[tuple[float, ...], ...]
    codes: tuple[tuple[int, ...], ...]
    nodes: list[int]

    def awaits(self, row: int) -> int:
        """The head that a row is to be asked about next."""
        return self.automaton.exit_of[self.nodes[row]]

    def read(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[float]:
        """The signal of each row, unless the head has one bin alone."""
        return self.automaton.signal(logits_BV) if self.edges_K[exit] else [0.0] * len(rows)

    def decide(self, exit: int, row: int, said: float) -> int:
        """The code of the bin that the row falls into."""
        nodes = self.nodes
        answer = self.codes[nodes[row]][bisect_right(self.edges_K[exit], said)]
        nodes[row] = ~answer
        return answer

    def alone(self, exit: int, logits_BV: Tensor) -> int:
        """Both for the one row of a walk, in one call: behind a stage every function called is fetched from memory."""
        edges = self.edges_K[exit]
        said = self.automaton.signal(logits_BV)[0] if edges else 0.0
        answer = self.codes[self.nodes[0]][bisect_right(edges, said)]
        self.nodes[0] = ~answer
        return answer


def single_edge(edge: float) -> float:
    """The least confidence that reaches the edge once it is rounded to single precision, as the records' file has it.

    >>> 0.5 - 2e-8 < single_edge(0.5) < 0.5
    True
    """
    return least_single(edge, lambda value: value >= edge)


def least_single(near: float, accepts: Callable[[float], bool]) -> float:
    """The least number that is accepted once it is rounded to single precision.

    accepts: False below some number close to `near`, True above it.
    """
    single = np.float32(near)
    while accepts(float(single)):
        single = np.nextafter(single, np.float32(-np.inf))
    while not accepts(float(single)):
        single = np.nextafter(single, np.float32(np.inf))
    return (float(np.nextafter(single, np.float32(-np.inf))) + float(single)) / 2


def automaton(
    heads: tuple[int, ...],
    edges: Sequence[Sequence[float]],
    act: Act,
    *,
    memory: Hashable = None,
    first: int = 0,
    signal: Signal = confidences,
) -> Automaton:
    """The automaton of all that can be remembered at each head, from `memory` at the place `first` on.

    edges: of each head's bins, as `single_edge` gives them. Raises TooManyNodes beyond MOST_NODES.
    """
    nodes: dict[tuple[int, Hashable], int] = {(first, memory): 0}
    codes: list[tuple[int, ...]] = []
    is_line = first == 0
    unexplored = deque(nodes)
    while unexplored:
        place, remembered = unexplored.popleft()
        found = []
        for answer, after, then in (act(place, remembered, bin) for bin in range(len(edges[place]) + 1)):
            if answer is None and (then, after) not in nodes:
                nodes[then, after] = len(nodes)
                unexplored.append((then, after))
            is_line = is_line and (answer is not None or then == place + 1)
            found.append(~nodes[then, after] if answer is None else answer)
        codes.append(tuple(found))
        if len(nodes) > MOST_NODES:
            raise TooManyNodes
    own = dict(zip(heads, map(tuple, edges), strict=True))
    return Automaton(
        heads=heads,
        edges_K=tuple(own.get(k, ()) for k in range(heads[-1] + 1)),
        codes=tuple(codes),
        exit_of=tuple(heads[place] for place, _ in nodes),
        is_line=is_line,
        signal=signal,
    )


def _singles(edges: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[single_edge(edge) for edge in row] for row in edges]


def _one_exit(policy: FixedExit | LastExit, heads: tuple[int, ...]) -> Automaton:
    return automaton(heads, [()], lambda *_: Step(heads[0]))


def _first_sure(heads: tuple[int, ...], edges: Sequence[float], signal: Signal = confidences) -> Automaton:
    """The first head whose signal reaches its edge answers, the last head otherwise."""

    def act(place: int, memory: None, bin: int) -> Step:
        return Step(heads[place]) if bin == 1 or place == len(heads) - 1 else Step(None, place=place + 1)

    return automaton(heads, [*((edge,) for edge in edges), ()], act, signal=signal)


def _threshold(policy: ConfidenceThreshold, heads: tuple[int, ...]) -> Automaton:
    return _first_sure(heads, [single_edge(policy.threshold)] * (len(heads) - 1))


def _thresholds(policy: PerExitThresholds, heads: tuple[int, ...]) -> Automaton:
    return _first_sure(heads, [single_edge(threshold) for threshold in policy.thresholds])


def _entropies(policy: EntropyThreshold, heads: tuple[int, ...]) -> Automaton:
    edges = [least_single(-most, lambda value, most=most: -value < most) for most in policy.thresholds]  # type: ignore[misc]
    return _first_sure(heads, edges, decidedness)


def _ramps(policy: Apparate, heads: tuple[int, ...]) -> Automaton:
    edges = [least_single(1 - most, lambda value, most=most: 1 - value < most) for most in policy.thresholds]  # type: ignore[misc]
    return _first_sure(heads, edges)


def _no_recall(policy: NoRecall, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: None, bin: int) -> Step:
        is_last = place == len(heads) - 1
        return Step(heads[place]) if is_last or policy.gain[place][bin] <= TIE else Step(None, place=place + 1)

    return automaton(heads, [*_singles(policy.edges[:-1]), []], act)


def _dynamic_index(policy: DynamicIndex, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: tuple[float, int], bin: int) -> Step:
        best, holder = _better(memory, policy.loss[place][bin], heads[place])
        stops = place == len(heads) - 1 or best <= policy.index[place][bin] + TIE
        return Step(holder) if stops else Step(None, (best, holder), place + 1)

    return automaton(heads, _singles(policy.edges), act, memory=(math.inf, 0))


def _record_recall(policy: RecordRecall, heads: tuple[int, ...]) -> Automaton:
    earlier = ((), *policy.earlier_edges)

    def act(place: int, memory: tuple[float, int], bin: int) -> Step:
        cell = bin * (len(earlier[place]) + 1) + bisect_right(earlier[place], memory[0])
        action = policy.action[place][cell]
        if action != GO_ON:
            return Step(heads[place] if action == ANSWER else memory[1])
        return Step(None, _better(memory, policy.loss[place][bin], heads[place]), place + 1)

    return automaton(heads, _singles(policy.edges), act, memory=(math.inf, 0))


def _skippable_index(policy: SkippableIndex, heads: tuple[int, ...]) -> Automaton:
    def act(place: int, memory: tuple[float, int], bin: int) -> Step:
        best, holder = _better(memory, policy.loss[place][bin], heads[place])
        then = policy.next_head[place][bin * len(policy.grid) + bisect_left(policy.grid, best)]
        return Step(holder) if then == STOP else Step(None, (best, holder), then)

    return automaton(heads, _singles(policy.edges), act, memory=(math.inf, 0), first=policy.first)


def _better(memory: tuple[float, int], loss: float, head: int) -> tuple[float, int]:
    """The least loss and the head that showed it; of equal losses the deeper head's."""
    return (loss, head) if loss <= memory[0] else memory


def _cascade_index(policy: CascadeIndex, heads: tuple[int, ...]) -> Automaton:
    firsts, ends = zip(*policy.spans(), strict=True)
    owner = [line for line, (first, end) in enumerate(policy.spans()) for _ in range(first, end)]

    def act(place: int, memory: tuple[tuple[int, ...], tuple[float, ...], tuple[float, int]], bin: int) -> Step:
        places, index, best = memory
        line = owner[place]
        best = _better(best, policy.loss[place][bin], heads[place])
        places = (*places[:line], place + 1, *places[line + 1 :])
        ahead = math.inf if place + 1 == ends[line] else policy.index[place + 1][bin]
        index = (*index[:line], ahead, *index[line + 1 :])
        least = min(index)
        stops = best[0] <= least + TIE
        return Step(best[1]) if stops else Step(None, (places, index, best), places[index.index(least)])

    index = tuple(policy.index[first][0] for first in firsts)
    memory, first = (firsts, index, (math.inf, 0)), firsts[index.index(min(index))]
    return automaton(heads, _singles(policy.edges), act, memory=memory, first=first)


AUTOMATA: Mapping[str, Callable[[Any, tuple[int, ...]], Automaton]] = {
    LastExit.kind: _one_exit,
    FixedExit.kind: _one_exit,
    ConfidenceThreshold.kind: _threshold,
    PerExitThresholds.kind: _thresholds,
    BudgetedBatch.kind: _thresholds,
    EntropyThreshold.kind: _entropies,
    Apparate.kind: _ramps,
    NoRecall.kind: _no_recall,
    DynamicIndex.kind: _dynamic_index,
    RecordRecall.kind: _record_recall,
    SkippableIndex.kind: _skippable_index,
    CascadeIndex.kind: _cascade_index,
}
