"""Which sets of active heads are worth solving for: those with which one threshold does well already.

Solving a table policy takes a thousand times as long as trying a threshold, and a set of heads that is poor under every
threshold was never the best for a table.

Axes: N samples, K exits, T thresholds, P prices, H sets of heads.
"""

import numpy as np

from ttamer.exits.active_heads import Heads, head_choices
from ttamer.exits.costs import ExitCosts
from ttamer.profiles.records import ExitRecords, Floats

MOST = 12  # of the 84 sets of a cascade of 36 exits; all of them saved 0.2 to 1.3 points more in five times the time
SMALL_SETS, FEW_HEADS = 5, 4  # so many sets of at most so many heads
LEVELS = np.linspace(0.1, 0.95, 12)  # quantiles of the early heads' confidences
PRICES = np.logspace(-3, 0.5, 24)  # errors that a run of the backbone is worth


def promising(calibration: ExitRecords, costs: ExitCosts) -> list[Heads]:
    """At most MOST of the sets worth trying, the best at some price first; a share of them are small.

    The dynamic index, which takes the least of the losses seen for the loss, does better with few heads.
    """
    sets = head_choices(calibration)
    if len(sets) <= MOST:
        return sets
    value_HP = np.array([_values(calibration, costs, heads) for heads in sets])
    rank_HP = value_HP.argsort(axis=0, kind="stable").argsort(axis=0)
    order_H = np.lexsort((rank_HP.sum(axis=1), rank_HP.min(axis=1)))
    small = [place for place in order_H.tolist() if len(sets[place]) <= FEW_HEADS][:SMALL_SETS]
    others = [place for place in order_H.tolist() if place not in small]
    return [sets[place] for place in sorted([*small, *others[: MOST - len(small)]])]


def _values(calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Floats:
    """The least loss and price of one threshold over these heads, for every price."""
    wrong_NA = ~calibration.correct_NK()[:, heads]
    confidence_NA = calibration.confidence_NK[:, heads]
    share_A = np.cumsum(costs.step_shares(heads))
    rows_N = np.arange(calibration.samples)
    points = []
    for threshold in np.unique(np.quantile(confidence_NA[:, :-1], LEVELS)):
        sure_NA = confidence_NA >= threshold
        sure_NA[:, -1] = True
        stop_N = sure_NA.argmax(axis=1)
        points.append((wrong_NA[rows_N, stop_N].mean(), share_A[stop_N].mean()))
    loss_T, time_T = np.array(points).T
    return np.asarray((loss_T[:, np.newaxis] + time_T[:, np.newaxis] * PRICES).min(axis=0))
