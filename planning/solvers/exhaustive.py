"""Every choice of replicas, one after the other: slow, and the measure of the other solvers.

For given replicas the best shares are known, so only the replicas are enumerated.
"""

from collections.abc import Iterator
from math import prod

from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.profiles.errors import InputError

MOST_CHOICES = 2_000_000  # minutes of enumeration


def exhaustive(problem: Problem, limits: SolveLimits) -> Solution:
    """The best choice of all. Raises InputError if there are more than MOST_CHOICES; takes no notice of the time."""
    choices = prod(problem.most_replicas_of(j) + 1 for j in range(len(problem.columns)))
    if choices > MOST_CHOICES:
        raise InputError(f"{choices} choices are too many to enumerate", remedy="use the solver highs")
    best = Solution(status="infeasible")
    for replicas_J in _replicas(problem, 0, problem.most_cores, problem.most_replicas):
        if not _is_allowed(problem, replicas_J):
            continue
        share_J = best_shares(problem, replicas_J)
        if share_J is None:
            continue
        objective = problem.objective(replicas_J, share_J)
        if objective > best.objective:
            best = Solution(
                status="optimal", objective=objective, bound=objective, replicas_J=replicas_J, share_J=share_J
            )  # fmt: skip
    return best


def _replicas(problem: Problem, j: int, cores: int | None, replicas: int) -> Iterator[tuple[int, ...]]:
    """Every choice for columns j and beyond within what is left of the cores and replicas."""
    if j == len(problem.columns):
        yield ()
        return
    each = problem.columns[j].cores
    for count in range(problem.most_replicas_of(j) + 1):
        left = None if cores is None else cores - count * each
        if count > replicas or (left is not None and left < 0):
            return
        for rest in _replicas(problem, j + 1, left, replicas - count):
            yield (count, *rest)


def _is_allowed(problem: Problem, replicas_J: tuple[int, ...]) -> bool:
    needed_s = 0.0
    for stage in problem.stages:
        active = [j for j in problem.in_stage(stage) if replicas_J[j]]
        if not active or (len(active) > 1 and not problem.mix):
            return False
        needed_s += max(problem.columns[j].latency_s for j in active)
    several = len(problem.stages) > 1
    return not several or problem.most_latency_s is None or needed_s <= problem.most_latency_s * (1 + 1e-9)
