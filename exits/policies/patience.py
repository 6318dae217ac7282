"""Patience: stop once several exits in a row have given the same answer.

Source: PABEE, arXiv 2006.04152.
Axes: N samples, K exits, A active heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import head_choices, require_ascending
from ttamer.exits.head_policy import HeadPolicy
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.threshold_policy import first_sure
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience(HeadPolicy):
    """Stop at the first active head that ends a run of `patience` agreements with the head before it.

    Raises InputError for a patience below 1.
    """

    patience: int

    kind: ClassVar[str] = "patience"

    def __post_init__(self) -> None:
        require_ascending(self.heads, self.kind)
        if self.patience < 1:
            raise InputError(f"{self.kind} of {self.patience}", remedy="allowed: 1 and more agreements in a row")

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops when its answer has stayed the same for long enough."""
        self.heads_K(records.exits)
        same_NA = np.diff(records.prediction_NK[:, list(self.heads)], axis=1) == 0
        run_N = np.zeros(records.samples, dtype=np.int64)
        sure_NA = np.zeros((records.samples, len(self.heads) - 1), dtype=np.bool_)
        for a, same_N in enumerate(same_NA.T[:-1], 1):
            run_N = (run_N + 1) * same_N
            sure_NA[:, a] = run_N >= self.patience
        stop_N = first_sure(self.heads, sure_NA)
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Every patience that can end early, for several sets of active heads."""
        return [
            cls(heads=heads, patience=patience)
            for heads in head_choices(calibration)
            for patience in range(1, len(heads) - 1)
        ]
