"""Apparate's rule: leave at the first ramp whose doubt is below its threshold, tuned for agreement with the last exit.

Source: arXiv 2312.05385; the search is in `exits/apparate/`.
Axes: N samples, K exits, A active heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.placement import additions
from ttamer.exits.apparate.tuner import Compat
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.threshold_policy import ThresholdPolicy, first_sure
from ttamer.profiles.records import ExitRecords

BUDGETS = (1e-4, 0.005, 0.01, 0.02, 0.05)  # changed answers, a fraction of the calibration samples
MOST_RAMPS = 3
TAIL_BUDGET = 0.2  # the settings are chosen by mean time, which pays for ramps that do not


@dataclass(frozen=True, slots=True, kw_only=True)
class Apparate(ThresholdPolicy):
    """Stop at the first ramp whose doubt, 1 - confidence, is strictly below its threshold; 0 is off.

    heads: the ramps and the last exit.
    """

    kind: ClassVar[str] = "apparate"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops and answers at its first ramp that is sure enough."""
        self.heads_K(records.exits)
        doubt_NA = 1 - records.confidence_NK[:, list(self.heads[:-1])]
        stop_N = first_sure(self.heads, doubt_NA < np.asarray(self.thresholds))
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The ramps that greedy addition finds for several budgets, by the released rules and by the fixed ones."""
        if calibration.exits == 1:
            return []
        feedback = Feedback.of(calibration)
        latency = RampLatency.of_stages(costs.stage_s_K, costs.head_s_K)
        last = calibration.exits - 1
        found: dict[Self, None] = {}
        for compat in Compat:
            for budget in BUDGETS:
                steps = additions(
                    feedback, latency, max_disagreement=budget, tail_budget=TAIL_BUDGET, compat=compat
                )  # fmt: skip
                for placed in islice(steps, MOST_RAMPS):
                    found[cls(heads=(*placed.ramps, last), thresholds=placed.thresholds)] = None
        return list(found)
