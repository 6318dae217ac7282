"""Records streamed through a controller, or through one fixed setting, in batches: what drift does to both.

`release` answers early and computes on: latency alone is saved, and every input tells whether its early answer was the
model's. `stop` ends the computation at the exit: time is saved too, but who leaves early tells nothing, so that only a
fixed setting can be served that way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from ttamer.exits.apparate.controller import Controller, Served
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.tuner import Tuned
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
        return sum(batch.agreement < 0.99 for batch in self.batches) / len(self.batches)

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


def replay(controller: Controller, feedback: Feedback, order_M: Ints, batch: int) -> Replay:
    """The stream of samples in this order through a controller that adapts; answers are released early.

    A last batch that is not full is served too. Raises InputError for an empty stream.
    """
    return _replayed(controller.serve, at_batch(controller.latencies, batch), feedback, order_M, batch)


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

    return _replayed(serve, latency, feedback, order_M, batch, semantics)


def _replayed(
    serve: Callable[[Feedback], Served],
    latency: RampLatency,
    feedback: Feedback,
    order_M: Ints,
    batch: int,
    semantics: Semantics = Semantics.RELEASE,
) -> Replay:
    if not len(order_M) or batch < 1:
        raise InputError(f"{len(order_M)} samples in batches of {batch} are no stream", remedy="give at least one")
    served = tuple(serve(rows) for rows in _batches(feedback, order_M, batch))
    busy = [one.cut_pct if semantics is Semantics.STOP else -100 * latency.tail_overhead(one.ramps) for one in served]
    return Replay(served, float(np.average(busy, weights=[one.samples for one in served])))


def _batches(feedback: Feedback, order_M: Ints, batch: int) -> Iterator[Feedback]:
    for start in range(0, len(order_M), batch):
        yield feedback.rows(order_M[start : start + batch])
