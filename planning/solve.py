"""Solving a problem by name of the solver: useless columns go first, and the answer is checked before it is given."""

from dataclasses import replace

from ttamer.planning.choice import broken_limits
from ttamer.planning.dominance import useful_columns, without
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.solvers import SOLVERS
from ttamer.profiles.registry import lookup


def solve(problem: Problem, solver: str = "highs", limits: SolveLimits | None = None) -> Solution:
    """The solver's answer for all columns of the problem; `pruned` says how many it did not see.

    Raises InputError on an unknown solver, or if it cannot solve this kind of problem or found nothing in time.
    """
    search = lookup(SOLVERS, solver, "solver")
    kept = useful_columns(problem)
    pruned = len(problem.columns) - len(kept)
    answer = search(without(problem, kept), limits or SolveLimits())
    if answer.status == "infeasible":
        return replace(answer, pruned=pruned)
    replicas, shares = [0] * len(problem.columns), [0.0] * len(problem.columns)
    for j, count, share in zip(kept, answer.replicas_J, answer.share_J, strict=True):
        replicas[j], shares[j] = count, share
    solution = replace(answer, replicas_J=tuple(replicas), share_J=tuple(shares), pruned=pruned)
    broken = broken_limits(problem, solution.replicas_J, solution.share_J)
    assert not broken, f"{solver} broke limits: {broken}"
    return solution
