"""What labels say of a problem for which another solver found nothing, or nothing that stands without tolerances."""

import time
from dataclasses import replace

from ttamer.planning.label_setting import set_labels
from ttamer.planning.problem import Problem, Solution, SolveLimits

QUICK = 1 / 30  # of the time, for whether there is any choice


def second_opinion(problem: Problem, limits: SolveLimits, *, is_doubted: bool) -> Solution:
    """The answer of labels. is_doubted: whether there is any choice at all, which is settled first, and soon or never.

    Raises InputError if they find nothing in time or cannot solve this kind of problem.
    """
    deadline = time.monotonic() + limits.time_s
    if is_doubted:
        anything = set_labels(_indifferent(problem), replace(limits, time_s=QUICK * limits.time_s))
        if anything.status == "infeasible":
            return anything
    return set_labels(problem, replace(limits, time_s=max(0.0, deadline - time.monotonic())))


def _indifferent(problem: Problem) -> Problem:
    """The problem with no choice better than another."""
    return replace(
        problem, accuracy_weight=0.0, cost_weight=0.0, batch_weight=0.0, latency_weight=0.0, loading_weight=0.0
    )  # fmt: skip
