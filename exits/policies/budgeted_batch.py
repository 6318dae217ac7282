"""Thresholds for a budget: a geometric share of the samples leaves at each exit.

Source: budgeted batch classification of MSDNet, arXiv 1703.09844.
Axes: K exits, A active heads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import Heads
from ttamer.exits.policies.per_exit_thresholds import PerExitThresholds
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.exits.threshold_policy import NEVER, fitted_thresholds
from ttamer.profiles.records import ExitRecords

RATIOS = tuple(p / 20 for p in range(1, 40))  # of one exit's share to the one before, as in the source


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetedBatch(PerExitThresholds):
    """Stop at the first head whose confidence is >= its threshold; thresholds share the samples out geometrically."""

    kind: ClassVar[str] = "budgeted-batch"

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """One member for every ratio of the source, with all heads."""
        if calibration.exits == 1:
            return []
        heads = tuple(range(calibration.exits))
        return list(dict.fromkeys(cls._sharing(calibration, heads, ratio) for ratio in RATIOS))

    @classmethod
    def _sharing(cls, calibration: ExitRecords, heads: Heads, ratio: float) -> Self:
        share_K = np.power(ratio, np.arange(1, len(heads) + 1))
        counts = iter([math.floor(calibration.samples * share) for share in (share_K / share_K.sum()).tolist()])
        fitted = fitted_thresholds(calibration, heads, calibration.confidence_NK, lambda _: next(counts))
        return cls(heads=heads, thresholds=tuple(min(threshold, NEVER) for threshold in fitted))
