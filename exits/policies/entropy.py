"""An entropy threshold: stop at the first exit whose answer is undecided by less.

Source: BranchyNet (arXiv 1709.01686) with a threshold an exit, DeeBERT (arXiv 2004.12993) with the same for all.
Axes: N samples, K exits, A active heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import head_choices
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.threshold_policy import ThresholdPolicy, first_sure, fitted_thresholds, leave_share
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords

LEVELS = np.linspace(0.04, 0.92, 23)  # quantiles of the early heads' entropies
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyThreshold(ThresholdPolicy):
    """Stop at the first active head whose entropy, in nats, is below its threshold, else at the last active head."""

    kind: ClassVar[str] = "entropy"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops at its first decided head. Raises InputError for records without entropy."""
        self.heads_K(records.exits)
        if records.entropy_NK is None:
            raise InputError(
                f"the records of {records.model!r} ({records.split}) hold no entropy",
                remedy="choose a policy of confidence",
            )
        stop_N = first_sure(self.heads, records.entropy_NK[:, list(self.heads[:-1])] < np.asarray(self.thresholds))
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """One threshold for all heads at quantiles, and one for each that lets a share leave; none without entropy."""
        if calibration.entropy_NK is None:
            return []
        found: dict[Self, None] = {}
        for heads in head_choices(calibration):
            early_NA = calibration.entropy_NK[:, list(heads[:-1])]
            for threshold in np.quantile(early_NA, LEVELS).tolist():
                found[cls(heads=heads, thresholds=(threshold,) * (len(heads) - 1))] = None
            for share in SHARES:
                sureness = fitted_thresholds(calibration, heads, -calibration.entropy_NK, leave_share(share))
                found[cls(heads=heads, thresholds=tuple(map(_just_above, sureness)))] = None
        return list(found)


def _just_above(sureness: float) -> float:
    """The entropy threshold that the least decided sample to leave stays below; 0 for none."""
    return 0.0 if np.isinf(sureness) else float(np.nextafter(-sureness, np.inf))
