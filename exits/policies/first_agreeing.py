"""The first exit that gives the last exit's answer: Apparate's optimum.

Axes: N samples, K exits.
"""

from dataclasses import dataclass
from typing import ClassVar

from ttamer.exits.oracle import Oracle, first_good, only_head
from ttamer.exits.policies.protocol import Decision
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True)
class FirstAgreeing(Oracle):
    """Each sample stops at the first exit that gives the last exit's answer."""

    kind: ClassVar[str] = "oracle-first-agreeing"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops at the first exit that gives the last exit's answer."""
        stop_N = first_good(records.agrees_NK())
        return Decision(stop_N, stop_N, only_head(stop_N, records.exits))
