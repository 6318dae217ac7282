"""Records streamed through a controller, or through one fixed setting, in batches: what drift does to both.

`release` answers early and computes on: latency alone is saved, and every input tells whether its early answer was the
model's. `stop` ends the computation at the exit: time is saved too, but who leaves early tells nothing, so that a
controller learns from the inputs alone that are audited, whose computation runs on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.apparate.controller import ALLOWED_DISAGREEMENT, Controller, Served
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.tuner import Tuned
from ttamer.exits.costs import ExitCosts
from ttamer.exits.decision import Decision
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints


class Semantics(StrEnum):
    """What an early answer means for the rest of the computation."""

    RELEASE = "release"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RampSet:
    """Ramps that were active from this batch on, counted from 1."""

    first_batch: int
    ramps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """Every batch of a stream, in order, and what they come to; means are over samples.

    busy_cut_pct: computing time saved in % of the plain model's; negative under `release`, which adds ramps.
    """

    batches: tuple[Served, ...]
    busy_cut_pct: float

    @property
    def agreement(self) -> float:
        """Share of answers that are the full model's."""
        return self._mean([batch.agreement for batch in self.batches])

    @property
    def cut_pct(self) -> float:
        """Mean latency saved, in % of the plain model's."""
        return self._mean([batch.cut_pct for batch in self.batches])

    @property
    def breaches(self) -> float:
        """Share of batches in which more than 1 % of the answers are not the full model's."""
        broken = sum(batch.agreement < 1 - ALLOWED_DISAGREEMENT for batch in self.batches)
        return broken / len(self.batches)

    @property
    def ramp_sets(self) -> tuple[RampSet, ...]:
        """The ramps over time: an entry for every change."""
        first = RampSet(1, self.batches[0].ramps)
        changes = (
            RampSet(i, now.ramps) for i, (then, now) in enumerate(pairwise(self.batches), 2) if now.ramps != then.ramps
        )
        return first, *changes

    def _mean(self, values: list[float]) -> float:
        return float(np.average(values, weights=[batch.samples for batch in self.batches]))


def replay(
    controller: Controller,
    feedback: Feedback,
    order_M: Ints,
    batch: int,
    semantics: Semantics = Semantics.RELEASE,
    *,
    audited_M: NDArray[np.bool_] | None = None,
) -> Replay:
    """The stream of samples in this order through a controller that adapts.

    audited_M: under `stop`, which of them are computed to the end all the same; by default none, so that nothing is
    learnt. A last batch that is not full is served too. Raises InputError for an empty stream.
    """
    latency = at_batch(controller.latencies, batch)
    if semantics is Semantics.RELEASE:
        return _replayed(_steps(controller.serve, feedback, order_M, batch), latency, semantics)
    known_M = np.zeros(len(order_M), dtype=np.bool_) if audited_M is None else audited_M

    def steps() -> Iterator[Step]:
        for rows_B in _batches(len(order_M), batch):
            rows, known_B = feedback.rows(order_M[rows_B]), known_M[rows_B]
            yield Step(controller.serve(rows, rows.rows(np.flatnonzero(known_B))), float(known_B.mean()))

    return _replayed(steps(), latency, semantics)


def replay_fixed(
    tuned: Tuned,
    latency: RampLatency,
    feedback: Feedback,
    order_M: Ints,
    batch: int,
    semantics: Semantics = Semantics.RELEASE,
) -> Replay:
    """The stream of samples in this order through ramps and thresholds that stay as they are.

    Raises InputError for an empty stream.
    """

    def serve(rows: Feedback) -> Served:
        leaving_N = rows.leaving_N(tuned.ramps, tuned.thresholds)
        columns = np.array([*tuned.ramps, latency.exits - 1])
        agrees_N = rows.agrees_NK[np.arange(rows.samples), columns[leaving_N]]
        share = tuple((np.bincount(leaving_N, minlength=len(columns)) / rows.samples).tolist())
        cut_pct = latency.cut_pct(share, latency.answer_s(tuned.ramps))
        return Served(rows.samples, tuned.ramps, tuned.thresholds, float(agrees_N.mean()), cut_pct, share)

    return _replayed(_steps(serve, feedback, order_M, batch), latency, semantics)


def replay_decided(
    decision: Decision, heads_K: NDArray[np.bool_], costs: ExitCosts, feedback: Feedback, order_M: Ints, batch: int
) -> Replay:
    """The stream through a policy of any kind that stops: what it decides about each sample, and the heads it may ask.

    Its exits are no ramps: they are none, and so are thresholds. Raises InputError for an empty stream.
    """
    rows_N = np.arange(feedback.samples)
    agrees_N = feedback.agrees_NK[rows_N, decision.answer_N]
    spent_s_N = costs.seconds_N(decision, heads_K)
    plain_s = float(costs.stage_s_K.sum() + costs.head_s_K[-1])
    cut_N, exits = 100 * (1 - spent_s_N / plain_s), feedback.agrees_NK.shape[1]

    def steps() -> Iterator[Step]:
        for rows_B in _batches(len(order_M), batch):
            at_B = order_M[rows_B]
            share = tuple((np.bincount(decision.stop_N[at_B], minlength=exits) / len(at_B)).tolist())
            yield Step(Served(len(at_B), (), (), float(agrees_N[at_B].mean()), float(cut_N[at_B].mean()), share))

    return _replayed(steps(), None, Semantics.STOP)


class Step(NamedTuple):
    """A batch that was served, and the share of it that was computed to the end without need."""

    served: Served
    audited: float = 0.0


def _steps(serve: Callable[[Feedback], Served], feedback: Feedback, order_M: Ints, batch: int) -> Iterator[Step]:
    for rows_B in _batches(len(order_M), batch):
        yield Step(serve(feedback.rows(order_M[rows_B])))


def _replayed(steps: Iterator[Step], latency: RampLatency | None, semantics: Semantics) -> Replay:
    """latency: None where ramps cost nothing beyond what the cuts count."""
    found = list(steps)
    overheads = [0.0 if latency is None else -100 * latency.tail_overhead(step.served.ramps) for step in found]
    runs_on = [1.0 if semantics is Semantics.RELEASE else step.audited for step in found]
    busy = [
        share * overhead + (1 - share) * step.served.cut_pct
        for step, overhead, share in zip(found, overheads, runs_on, strict=True)
    ]
    served = tuple(step.served for step in found)
    return Replay(served, float(np.average(busy, weights=[one.samples for one in served])))


def _batches(samples: int, batch: int) -> Iterator[slice]:
    if not samples or batch < 1:
        raise InputError(f"{samples} samples in batches of {batch} are no stream", remedy="give at least one")
    for start in range(0, samples, batch):
        yield slice(start, start + batch)
