"""What stages and heads cost, and what a path through them comes to.

Axes: K exits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats


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

    def spent_s(self, stop_share_K: Floats, evaluated_share_K: Floats) -> float:
        """Mean seconds of a sample, from the shares stopping at each exit and the shares each head is evaluated for."""
        return float(stop_share_K @ np.cumsum(self.stage_s_K) + evaluated_share_K @ self.head_s_K)

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
