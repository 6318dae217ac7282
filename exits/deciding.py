"""An exit policy as it runs: one head's answers at a time, to stop or to go on.

`Policy.decide` sees the records of every exit at once. A walk sees a head's logits when they are there, and comes to
the same stops and answers. Policies of tables run as automata (`automata.py`), those that remember more as walks of
their own (`walks.py`). A policy of an unknown kind, or one of tables too large for an automaton, is asked to `decide`
anew at every head.

Axes: B rows of a batch, N rows asked about, K exits, V classes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ttamer.exits.automata import AUTOMATA, TooManyNodes
from ttamer.exits.calibration import records_of
from ttamer.exits.mixture import Mixture
from ttamer.exits.policies.most_confident import MostConfident
from ttamer.exits.policies.patience import Patience
from ttamer.exits.policies.protocol import Decision, Policy
from ttamer.exits.walk import Decider, Walk
from ttamer.exits.walks import MixtureDecider, MostConfidentDecider, PatienceDecider
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords, Floats, Ints

DECIDERS: Mapping[str, Callable[[Any, tuple[int, ...]], Decider]] = {
    **AUTOMATA,
    MostConfident.kind: MostConfidentDecider.of,
    Patience.kind: PatienceDecider.of,
}


def decider_of(policy: Policy, exits: int) -> Decider:
    """The policy ready to run on a model of K exits. Raises InputError if it does not fit that many."""
    heads = tuple(np.flatnonzero(policy.heads_K(exits)).tolist())
    if isinstance(policy, Mixture):
        return MixtureDecider.joining(policy, decider_of(policy.first, exits), decider_of(policy.second, exits))
    if policy.kind in DECIDERS:
        with suppress(TooManyNodes):
            return DECIDERS[policy.kind](policy, heads)
    return Replay(policy, heads, exits)


class Replay:
    """Any policy: what is known of a row becomes a record, whose unknown exits no policy looks at."""

    def __init__(self, policy: Policy, heads: tuple[int, ...], exits: int) -> None:
        self.policy, self.heads, self.exits = policy, heads, exits
        nobody_N = np.zeros(1, dtype=np.int64)
        self.is_line = self.decide({}, nobody_N, nobody_N).evaluated_NK is None

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk on which nothing is known yet."""
        return ReplayWalk(self, np.asarray(numbers, dtype=np.int64))

    def decide(self, seen: Mapping[int, Floats], row_N: Ints, number_B: Ints) -> Decision:
        """What the policy decides for some rows from the logits (B, V) of the exits seen so far."""
        unknown_BV = np.zeros((len(number_B), max((seen[k].shape[1] for k in seen), default=2)))
        records = records_of(
            [seen.get(k, unknown_BV)[row_N] for k in range(self.exits)], number_B[row_N], np.zeros_like(row_N),
            model="", dataset="", split="test", provenance=Provenance(),
        )  # fmt: skip
        return self.policy.decide(_as_filed(records))


class ReplayWalk(Walk):
    """Rows on their way under a policy that is asked anew at every head."""

    def __init__(self, replay: Replay, number_B: Ints) -> None:
        self._replay, self._number_B = replay, number_B
        self._seen: dict[int, Floats] = {}
        self._wanted_BK = np.zeros((len(number_B), replay.exits), dtype=np.bool_)
        self._wanted_BK[:, list(replay.heads)] = True
        if not replay.is_line:
            self._want(np.arange(len(number_B)))

    def awaits(self, row: int) -> int:
        """The first wanted head that the row was not asked about."""
        return int(self._wanted_BK[row].argmax())

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        """The exit that answers each of these rows, negative for a row that goes on."""
        row_N = np.array(rows, dtype=np.int64)
        self._seen.setdefault(exit, np.zeros((len(self._number_B), logits_BV.shape[1])))
        self._seen[exit][row_N] = logits_BV.double().cpu().numpy()
        decision = self._want(row_N)
        self._wanted_BK[row_N, : exit + 1] = False
        answers: list[int] = np.where(decision.stop_N <= exit, decision.answer_N, -1).tolist()
        return answers

    def _want(self, row_N: Ints) -> Decision:
        """The decision on some rows; what heads it asks next holds until one of them has answered."""
        decision = self._replay.decide(self._seen, row_N, self._number_B)
        if decision.evaluated_NK is not None:
            self._wanted_BK[row_N] = decision.evaluated_NK
        return decision


def _as_filed(records: ExitRecords) -> ExitRecords:
    """The records as they come back from their file, in single precision."""
    names = ("confidence_NK", "margin_NK", "entropy_NK")
    return replace(records, **{name: getattr(records, name).astype(np.float32).astype(np.float64) for name in names})
