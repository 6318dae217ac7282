"""What an exit policy is: a rule that stops a sample at an exit and answers with that exit or an earlier one.

Axes: N samples, K exits (shallow to deep, the last is the backbone's own classifier).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.costs import ExitCosts
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Ints

__all__ = ["Decision", "ExitCosts", "Policy"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Where each sample stops and which exit answers; answer < stop is recall.

    evaluated_NK: the heads evaluated for each sample, where that depends on the sample; None where every head the
    policy evaluates is evaluated when passed. Raises InputError if an answer lies beyond its stop.
    """

    stop_N: Ints
    answer_N: Ints
    evaluated_NK: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.stop_N.shape != self.answer_N.shape or (self.answer_N > self.stop_N).any():
            raise InputError("a decision answers with an exit that was never reached")
        if self.evaluated_NK is not None and len(self.evaluated_NK) != len(self.stop_N):
            raise InputError(f"{len(self.evaluated_NK)} rows of evaluated heads for {len(self.stop_N)} samples")

    def heads_NK(self, heads_K: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The heads evaluated for each sample; heads_K: those the policy evaluates when passed."""
        if self.evaluated_NK is not None:
            return self.evaluated_NK
        return np.asarray(heads_K & (np.arange(len(heads_K)) <= self.stop_N[:, np.newaxis]))


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
