"""What stages and heads cost, and what a path through them comes to.

Axes: K exits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.decision import Decision, stages_run
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats


@dataclass(frozen=True, slots=True)
class ExitCosts:
    """Mean seconds of every stage and every head at one batch size and core count.

    head_s_K[-1] is the backbone's own classifier. starts: the first exit of each model of a cascade, where it is one:
    whoever goes on to the next model leaves out what is left of the one before.
    """

    stage_s_K: Floats
    head_s_K: Floats
    starts: tuple[int, ...] = (0,)

    def path_s_K(self, heads_K: NDArray[np.bool_]) -> Floats:
        """Seconds until exit k has answered, when only the heads in heads_K are evaluated on the way."""
        run_s_K = np.where(stages_run(heads_K, self.starts), self.stage_s_K, 0.0)
        return np.asarray(np.cumsum(run_s_K) + np.cumsum(np.where(heads_K, self.head_s_K, 0.0)))

    def seconds_N(self, decision: Decision, heads_K: NDArray[np.bool_]) -> Floats:
        """What is spent on each sample; heads_K: those the policy evaluates when passed. Recall refunds nothing."""
        if decision.evaluated_NK is None:
            return self.path_s_K(heads_K)[decision.stop_N]
        if len(self.starts) == 1:
            stage_s_N = np.cumsum(self.stage_s_K)[decision.stop_N]
        else:
            stage_s_N = stages_run(decision.evaluated_NK, self.starts) @ self.stage_s_K
        return np.asarray(stage_s_N + decision.evaluated_NK @ self.head_s_K)

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
