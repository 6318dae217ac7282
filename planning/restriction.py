"""Problems with some of their freedom taken away, and their solutions in terms of the whole problem."""

from collections.abc import Sequence
from dataclasses import replace

from ttamer.planning.problem import Problem, Solution, best_shares
from ttamer.planning.solve import solve


def variant_of(problem: Problem, j: int) -> str:
    """The variant of column j: its name, or its accuracy where columns have no names."""
    return problem.columns[j].name or f"accuracy {problem.columns[j].accuracy:g}"


def variants_of(problem: Problem, stage: str) -> list[str]:
    """The variants of a stage, the least accurate first; of equals the one with the cheapest replica."""
    members = problem.in_stage(stage)
    names = dict.fromkeys(variant_of(problem, j) for j in members)
    return sorted(names, key=lambda name: _weight(problem, [j for j in members if variant_of(problem, j) == name]))


def restricted(problem: Problem, kept: Sequence[int], *, solver: str = "labels") -> Solution:
    """The best single column of each stage among those kept, as a heuristic's answer to the whole problem."""
    part = replace(problem, columns=tuple(problem.columns[j] for j in kept), mix=False)
    answer = solve(part, solver)
    if answer.status == "infeasible":
        return answer
    replicas = dict(zip(kept, answer.replicas_J, strict=True))
    return chosen(problem, replicas)


def chosen(problem: Problem, replicas: dict[int, int]) -> Solution:
    """A heuristic's answer with these replicas, by column; infeasible if they cannot carry the load."""
    replicas_J = tuple(replicas.get(j, 0) for j in range(len(problem.columns)))
    share_J = best_shares(problem, replicas_J)
    if share_J is None:
        return Solution(status="infeasible")
    return Solution(
        status="feasible", objective=problem.objective(replicas_J, share_J), bound=float("inf"),
        replicas_J=replicas_J, share_J=share_J,
    )  # fmt: skip


def _weight(problem: Problem, members: Sequence[int]) -> tuple[float, float]:
    return problem.columns[members[0]].accuracy, min(problem.price_of(j) for j in members)
