"""The controller of image models: frequent adjustments, ramps that fail are switched off."""

from collections.abc import Sequence
from typing import ClassVar

from ttamer.exits.apparate.controller import Controller, Served
from ttamer.exits.apparate.latency import RampLatency

TOLERATED_VIOLATIONS = 1  # between adjustments, as released


class VisionController(Controller):
    """Retunes when a batch disagrees too much, and switches failing ramps off once that has happened twice."""

    interval: ClassVar[int] = 30
    most_ramps: ClassVar[int] = 3
    first_threshold: ClassVar[float] = 0.0
    worthwhile_pct: ClassVar[float] = 2.0

    _agreeing = 0.0
    _samples = 0.0
    _moved = False

    def _adapt(self, served: Served, agreement_R: Sequence[float | None], latency: RampLatency) -> None:
        self._samples += served.samples
        self._agreeing += served.agreement * served.samples
        if self._violations > TOLERATED_VIOLATIONS or self._violates(self._agreeing / self._samples):
            for j, agreement in enumerate(agreement_R):
                if agreement is not None and self._violates(agreement):
                    self.thresholds[j] = 0.0
        elif self._violates(served.agreement) or self._moved or self.batches == 1:
            self._retune(latency)
            self._moved = False
        if self.batches % self.interval == 0:
            self._adjust(served, latency)

    def _adjust(self, served: Served, latency: RampLatency) -> None:
        self._violations = 0
        negative = [j for j, r in enumerate(self.ramps) if all(utility <= 0 for utility in self._utility[r])]
        if not negative:
            self._moved = self._move_earlier()
            return
        tuned = self._retuned(latency)
        if tuned.cut_pct - served.cut_pct > self.worthwhile_pct:
            self.thresholds = list(tuned.thresholds)
        else:
            self._moved = self._replace_negatives(negative, latency.latest_ramp())
