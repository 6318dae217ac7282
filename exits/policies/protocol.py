"""What an exit policy is: a rule that stops a sample at an exit and answers with that exit or an earlier one.

Axes: N samples, K exits (shallow to deep, the last is the backbone's own classifier).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints


@dataclass(frozen=True, slots=True)
class Decision:
    """Where each sample stops and which exit answers; answer < stop is recall.

    Raises InputError if an answer lies beyond its stop.
    """

    stop_N: Ints
    answer_N: Ints

    def __post_init__(self) -> None:
        if self.stop_N.shape != self.answer_N.shape or (self.answer_N > self.stop_N).any():
            raise InputError("a decision answers with an exit that was never reached")


@dataclass(frozen=True, slots=True)
class ExitCosts:
    """Mean seconds of every stage and every head at one batch size and core count.

    head_s_K[-1] is the backbone's own classifier.
    """

    stage_s_K: Floats
    head_s_K: Floats

    def path_s_K(self, heads_K: NDArray[np.bool_]) -> Floats:
        """Seconds until exit k has answered, when only the heads in heads_K are evaluated on the way."""
        return np.asarray(np.cumsum(self.stage_s_K) + np.cumsum(np.where(heads_K, self.head_s_K, 0.0)))

    def step_shares(self, heads: Sequence[int]) -> Floats:
        """Time from each of these heads to the next, that one's own included, as shares of the plain backbone's time.

        Raises InputError if the backbone takes no time.
        """
        order_K = np.arange(len(self.stage_s_K))
        backbone_s = float(self.path_s_K(order_K == order_K[-1])[-1])
        if not backbone_s > 0:
            raise InputError(f"the backbone takes {backbone_s} s", remedy="measure its stages")
        reached_s = self.path_s_K(np.isin(order_K, heads))[list(heads)]
        return np.asarray(np.diff(reached_s, prepend=0.0) / backbone_s)


class Policy(Protocol):
    """An exit policy. Stopping at exit k may depend on exits 0..k alone.

    heads_K(K) says which heads are evaluated when a sample passes them: a head that cannot change the
    decision costs nothing. family() yields the settings worth choosing among, fitted on calibration
    records; choosing happens elsewhere, on validation records.
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
        """Which of K heads are evaluated."""
        ...

    def decide(self, records: ExitRecords) -> Decision:
        """Where each sample of the records stops and which exit answers."""
        ...

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The settings worth choosing among, fitted on calibration records and costs."""
        ...
