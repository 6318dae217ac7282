"""The controller of language models: rare adjustments, ramps that did not fail keep their thresholds."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ttamer.exits.apparate.controller import ALLOWED_DISAGREEMENT, UNLIMITED, Controller, Served
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.tuner import Compat

TOLERATED_VIOLATIONS = 1  # between adjustments, as released
RETUNE_AFTER = 40  # batches after an adjustment, as released
DAMPING = 0.1  # of a failing ramp's threshold, as released
NEGATIVE_SHARE = POSITIVE_SHARE = 0.6  # of recent batches, as released
CAUTIOUS_SHARE = 1.0  # as released: after a move that undid the one before
CALM_INTERVALS = 5  # with the same ramps, as released


class LanguageController(Controller):
    """Retunes the ramps that failed in a batch that disagrees too much, and damps them once that has happened twice."""

    interval: ClassVar[int] = 100
    most_ramps: ClassVar[int] = 2
    first_threshold: ClassVar[float] = 0.01
    worthwhile_pct: ClassVar[float] = 5.0

    def __init__(
        self,
        latencies: Mapping[int, RampLatency],
        ramps: Sequence[int],
        *,
        compat: Compat = Compat.FIXED,
        tail_budget: float = UNLIMITED,
    ) -> None:
        super().__init__(latencies, ramps, compat=compat, tail_budget=tail_budget)
        self._adjusted = False
        self._positive_share = POSITIVE_SHARE
        self._history = [list(self.ramps)]

    def _adapt(self, served: Served, agreement_R: Sequence[float | None], latency: RampLatency) -> None:
        settled = self._adjusted and self.batches % self.interval == RETUNE_AFTER
        if self._violates(served.agreement) or settled or self.batches == 1:
            self._retune(latency, None if settled else self._unfailing(agreement_R))
            self._adjusted = False
        if self._violations > TOLERATED_VIOLATIONS:
            for j, agreement in enumerate(agreement_R):
                if agreement is not None and self._violates(agreement):
                    self.thresholds[j] *= DAMPING
        if self.batches % self.interval == 0:
            self._adjust(served, latency)
            self._history.append(list(self.ramps))

    def _unfailing(self, agreement_R: Sequence[float | None]) -> dict[int, float]:
        """The thresholds of the ramps that nobody left at or that agreed well enough."""
        return {
            ramp: threshold
            for ramp, threshold, agreement in zip(self.ramps, self.thresholds, agreement_R, strict=True)
            if agreement is None or agreement > 1 - ALLOWED_DISAGREEMENT  # strictly, as released
        }

    def _adjust(self, served: Served, latency: RampLatency) -> None:
        self._adjusted = True
        self._violations = 0
        utility_R = [np.array(self._utility[ramp]) for ramp in self.ramps]
        negative = [j for j, utility in enumerate(utility_R) if (utility < 0).mean() > NEGATIVE_SHARE]
        positives = sum(bool((utility >= 0).mean() > self._positive_share) for utility in utility_R)
        recent = self._history[-CALM_INTERVALS:]
        if len(recent) == CALM_INTERVALS and all(ramps == recent[-1] for ramps in recent):
            self._positive_share = POSITIVE_SHARE
        latest = at_batch(self.latencies, served.samples).latest_ramp()
        if len(self.ramps) == 1 and (not negative or self.ramps[0] == latest):
            negative, positives = [], max(positives, 1)
        if negative:
            self._leave_negatives(negative, served, latency, latest)
        elif positives:
            self._be_cautious_if(self._before_last() < self.ramps)
            self._move_earlier()

    def _leave_negatives(self, negative: Sequence[int], served: Served, latency: RampLatency, latest: int) -> None:
        self._be_cautious_if(self.ramps < self._before_last())
        tuned = self._retuned(latency)
        if tuned.cut_pct - served.cut_pct > self.worthwhile_pct:
            self.thresholds = list(tuned.thresholds)
        else:
            self._replace_negatives(negative, latest)

    def _before_last(self) -> list[int]:
        """The ramps one adjustment ago; the present ones where there was none."""
        return self._history[-2] if len(self._history) > 1 else self.ramps

    def _be_cautious_if(self, undoes: bool) -> None:
        if undoes:
            self._positive_share = CAUTIOUS_SHARE
