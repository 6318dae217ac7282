"""What an exit policy is: a rule that stops a sample at an exit and answers with that exit or an earlier one.

Axes: N samples, K exits (shallow to deep, the last is the backbone's own classifier).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.costs import ExitCosts
from ttamer.exits.decision import Decision
from ttamer.profiles.records import ExitRecords

__all__ = ["Decision", "ExitCosts", "Policy"]


class Policy(Protocol):
    """An exit policy. Stopping at exit k may depend on exits 0..k alone.

    heads_K(K) says which heads are evaluated when a sample passes them: a head that cannot change the
    decision costs nothing. Where that depends on the sample, heads_K is every head that may be
    evaluated, which prices the policy from above, and the decision says which were. family()
    yields the settings worth choosing among, fitted on calibration records; choosing happens
    elsewhere, on validation records.
    """

    kind: ClassVar[str]

    def params(self) -> dict[str, Any]:
        """The parameters as plain data: numbers, strings, lists."""
        ...

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these parameters. Raises InputError on a missing or impossible one."""
        ...

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """Which of K heads are evaluated, or may be."""
        ...

    def decide(self, records: ExitRecords) -> Decision:
        """Where each sample of the records stops and which exit answers."""
        ...

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The settings worth choosing among, fitted on calibration records and costs."""
        ...
