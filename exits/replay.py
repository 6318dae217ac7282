"""What every single sample meets under a policy: the replay behind means, quantiles and their intervals.

Axes: N samples, K exits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.costs import ExitCosts
from ttamer.exits.policies.protocol import Policy
from ttamer.profiles.records import ExitRecords, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """One policy on one set of records, a value a sample.

    stop_N: where it stops. right_N: whether the answer is the label; agrees_N: whether it is the last exit's;
    recalled_N: whether an exit before the stop answers. seconds_N: what is spent; recall refunds nothing.
    """

    stop_N: Ints
    right_N: NDArray[np.bool_]
    agrees_N: NDArray[np.bool_]
    recalled_N: NDArray[np.bool_]
    seconds_N: Floats


def replay(policy: Policy, records: ExitRecords, costs: ExitCosts) -> Replay:
    """What each sample of the records meets under the policy, a stage and a head costing their mean seconds."""
    decision = policy.decide(records)
    heads_K = policy.heads_K(records.exits)
    answer_N = records.prediction_NK[np.arange(records.samples), decision.answer_N]
    return Replay(
        stop_N=decision.stop_N,
        right_N=np.asarray(answer_N == records.label_N),
        agrees_N=np.asarray(answer_N == records.prediction_NK[:, -1]),
        recalled_N=np.asarray(decision.answer_N < decision.stop_N),
        seconds_N=costs.seconds_N(decision, heads_K),
    )
