"""One confidence threshold for all exits: stop at the first that is sure enough.

Source: the baseline of BranchyNet, MSDNet and SDN with the largest softmax probability as confidence.
Axes: N samples, K exits, A active heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, head_choices, head_mask, require_ascending
from ttamer.exits.parameters import integers, number, require_names
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.profiles.records import ExitRecords, Floats

# Shares of the early heads' confidences below the threshold: even steps, and finer ones where few samples stop early.
LEVELS = np.concatenate([np.linspace(0.04, 0.92, 23), 1 - np.logspace(np.log10(0.06), -3, 9)])


@dataclass(frozen=True, slots=True)
class ConfidenceThreshold:
    """Stop at the first active head whose confidence is >= the threshold, at the last active head otherwise.

    heads: the exits whose heads are evaluated, ascending; None for all. The last of them answers whatever is left.
    """

    threshold: float
    heads: Heads | None = None

    kind: ClassVar[str] = "confidence-threshold"

    def __post_init__(self) -> None:
        if self.heads is not None:
            require_ascending(self.heads, self.kind)

    def params(self) -> dict[str, Any]:
        """The threshold and the active heads."""
        return {"threshold": self.threshold, "heads": None if self.heads is None else list(self.heads)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these parameters; `heads` may be left out. Raises InputError on a wrong one."""
        given = {"heads": None, **params}
        require_names(given, ("threshold", "heads"), cls.kind)
        heads = None if given["heads"] is None else integers(given, "heads", cls.kind)
        return cls(number(given, "threshold", cls.kind), heads)

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The active heads. Raises InputError if K exits are too few for them."""
        return head_mask(range(exits) if self.heads is None else self.heads, exits)

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample stops and answers at its first sure head."""
        heads_A = np.flatnonzero(self.heads_K(records.exits))
        sure_NA = records.confidence_NK[:, heads_A] >= self.threshold
        sure_NA[:, -1] = True
        stop_N = heads_A[sure_NA.argmax(axis=1)]
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Thresholds at quantiles of the early heads' confidences, for several sets of active heads."""
        return [
            cls(float(threshold), heads)
            for heads in head_choices(calibration)
            for threshold in _thresholds(calibration.confidence_NK[:, heads[:-1]])
        ]


def _thresholds(confidence_NA: Floats) -> Floats:
    return np.unique(np.quantile(confidence_NA, LEVELS))
