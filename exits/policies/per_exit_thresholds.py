"""A confidence threshold for each exit: stop at the first that is sure enough for its own.

Axes: N samples, K exits, A active heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import head_choices
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.threshold_policy import (
    NEVER,
    ThresholdPolicy,
    first_sure,
    fitted_thresholds,
    leave_share,
    leave_while_precise,
)
from ttamer.profiles.records import ExitRecords

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
LOST_PRECISION = (-0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)  # against the last exit's accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class PerExitThresholds(ThresholdPolicy):
    """Stop at the first active head whose confidence is >= its threshold, at the last active head otherwise."""

    kind: ClassVar[str] = "per-exit-thresholds"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops and answers at its first sure head."""
        self.heads_K(records.exits)
        stop_N = first_sure(self.heads, records.confidence_NK[:, list(self.heads[:-1])] >= np.asarray(self.thresholds))
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Thresholds that let the same share leave at each head, and ones that keep a target precision there."""
        accuracy = float(calibration.accuracy_K()[-1])
        rules = [leave_share(share) for share in SHARES]
        rules += [leave_while_precise(accuracy - lost) for lost in LOST_PRECISION]
        return list(
            dict.fromkeys(
                cls(heads=heads, thresholds=tuple(min(threshold, NEVER) for threshold in fitted))
                for heads in head_choices(calibration)
                for fitted in (fitted_thresholds(calibration, heads, calibration.confidence_NK, r) for r in rules)
            )
        )
