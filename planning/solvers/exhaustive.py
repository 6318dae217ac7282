"""Every choice of replicas, one after the other: slow, and the measure of the other solvers.

For given replicas the best shares are known, so only the replicas are enumerated; each choice is checked against
the constraints as they are defined, without rows, bounds or pruning.
"""

from collections.abc import Iterator
from itertools import product
from math import prod

from ttamer.planning.choice import broken_limits
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.profiles.errors import InputError

MOST_CHOICES = 2_000_000  # minutes of enumeration


def exhaustive(problem: Problem, limits: SolveLimits) -> Solution:
    """The best choice of all. Raises InputError if there are more than MOST_CHOICES; takes no notice of the limits."""
    by_stage = [problem.in_stage(stage) for stage in problem.stages]
    choices = prod(_choices(problem, members) for members in by_stage)
    if choices > MOST_CHOICES:
        raise InputError(f"{choices} choices are too many to enumerate", remedy="use the solver highs")
    best = Solution(status="infeasible")
    for parts in product(*(list(_replicas(problem, members)) for members in by_stage)):
        counts = {j: count for part in parts for j, count in part.items()}
        replicas_J = tuple(counts.get(j, 0) for j in range(len(problem.columns)))
        share_J = best_shares(problem, replicas_J)
        if share_J is None or broken_limits(problem, replicas_J, share_J):
            continue
        objective = problem.objective(replicas_J, share_J)
        if objective > best.objective:
            best = Solution(
                status="optimal", objective=objective, bound=objective, replicas_J=replicas_J, share_J=share_J
            )  # fmt: skip
    return best


def _counts(problem: Problem, j: int) -> list[int]:
    """The numbers of replicas above zero that column j may have."""
    most = problem.most_replicas_of(j)
    if problem.columns[j].replicas is not None:
        return [most] if most else []
    return list(range(1, most + 1))


def _choices(problem: Problem, members: list[int]) -> int:
    each = [len(_counts(problem, j)) for j in members]
    return prod(count + 1 for count in each) if problem.mix else sum(each)


def _replicas(problem: Problem, members: list[int]) -> Iterator[dict[int, int]]:
    """Every choice of replicas for the columns of one stage, mixed only where that is allowed."""
    if not problem.mix:
        for j in members:
            for count in _counts(problem, j):
                yield {j: count}
        return
    for counts in product(*([0, *_counts(problem, j)] for j in members)):
        yield {j: count for j, count in zip(members, counts, strict=True) if count}
