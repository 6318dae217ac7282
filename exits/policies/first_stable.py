"""The first exit from which on no later one changes the answer.

Axes: N samples, K exits.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ttamer.exits.oracle import Oracle, first_good, only_head
from ttamer.exits.policies.protocol import Decision
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True)
class FirstStable(Oracle):
    """Each sample stops at the first exit whose answer all later ones repeat."""

    kind: ClassVar[str] = "oracle-first-stable"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops at the first exit whose answer all later ones repeat."""
        stable_NK = np.logical_and.accumulate(records.agrees_NK()[:, ::-1], axis=1)[:, ::-1]
        stop_N = first_good(stable_NK)
        return Decision(stop_N, stop_N, only_head(stop_N, records.exits))
