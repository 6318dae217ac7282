"""A confidence threshold with a fallback: where no exit is sure enough, the most confident one answers.

The simplest rule with recall. Source: SDN, arXiv 1810.07052.
Axes: N samples, K exits, A active heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import head_choices
from ttamer.exits.head_policy import HeadPolicy
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.threshold_policy import first_sure
from ttamer.profiles.records import ExitRecords

LEVELS = np.linspace(0.04, 0.96, 24)  # quantiles of the early heads' confidences


@dataclass(frozen=True, slots=True, kw_only=True)
class MostConfident(HeadPolicy):
    """Stop at the first active head whose confidence is >= the threshold; else the most confident active head answers.

    Of equally confident heads the shallowest answers, as in the source.
    """

    threshold: float

    kind: ClassVar[str] = "most-confident"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops at its first sure head, or runs to the end and takes its most confident answer."""
        self.heads_K(records.exits)
        confidence_NA = records.confidence_NK[:, list(self.heads)]
        stop_N = first_sure(self.heads, confidence_NA[:, :-1] >= self.threshold)
        unsure_N = ~(confidence_NA >= self.threshold).any(axis=1)
        answer_N = np.where(unsure_N, np.asarray(self.heads)[confidence_NA.argmax(axis=1)], stop_N)
        return Decision(stop_N, answer_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Thresholds at quantiles of the early heads' confidences, for several sets of active heads."""
        return [
            cls(heads=heads, threshold=threshold)
            for heads in head_choices(calibration)
            for threshold in np.unique(np.quantile(calibration.confidence_NK[:, list(heads[:-1])], LEVELS)).tolist()
        ]
