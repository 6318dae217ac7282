"""The first exit that gives the label: no policy that stops is more accurate, none as accurate is faster.

Axes: N samples, K exits.
"""

from dataclasses import dataclass
from typing import ClassVar

from ttamer.exits.oracle import Oracle, first_good, only_head
from ttamer.exits.policies.protocol import Decision
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True)
class FirstCorrect(Oracle):
    """Each sample stops at the first exit that is right, at the last where none is."""

    kind: ClassVar[str] = "oracle-first-correct"

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops at the first exit that is right, at the last where none is."""
        stop_N = first_good(records.correct_NK())
        return Decision(stop_N, stop_N, only_head(stop_N, records.exits))
