"""Exact label setting: stage by stage, the choices that no other choice beats in all that matters later.

A label is a choice for the stages so far: what it uses of every limited resource, its penalty, its accuracy (if
accuracies multiply) and its load time. A label goes when another is no worse in each, or when its bound says that no
completion can beat the best choice known. Sums, means and products of accuracies of any depth are exact.
Source: Martins, On a multicriteria shortest path problem, EJOR 16 (1984), with bounds by Lagrangian relaxation.
"""

import time
from dataclasses import replace

from ttamer.planning.listing import best_of, list_options
from ttamer.planning.problem import Problem, Solution, SolveLimits


def set_labels(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found, or if the columns of a group that may mix
    with others differ in accuracy.
    """
    started_s = time.monotonic()
    listing = list_options(problem, limits)
    if listing is None:
        return Solution(status="infeasible")
    left_s = max(0.0, limits.time_s - (time.monotonic() - started_s))
    return best_of(problem, listing, replace(limits, time_s=left_s))
