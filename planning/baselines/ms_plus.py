"""MS+: one variant at a time, on the fewest cores that carry the load, whichever variant is then worth most.

Source: Model-Switching (Zhang et al., HotCloud 2020) as InfAdapter (EuroMLSys 2023) extends it: same objective, no mix.
"""

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import restricted, variant_of


def ms_plus(problem: Problem) -> Solution:
    """The best single column of each stage, of each variant only those on the fewest cores that carry the load."""
    fewest: dict[tuple[str, str], int] = {}
    able = []
    for j, column in enumerate(problem.columns):
        if problem.most_replicas_of(j) >= problem.enough_of(j):
            able.append(j)
            key = (column.stage, variant_of(problem, j))
            fewest[key] = min(fewest.get(key, _cores(problem, j)), _cores(problem, j))
    return restricted(
        problem,
        [j for j in able if _cores(problem, j) == fewest[problem.columns[j].stage, variant_of(problem, j)]],
    )


def _cores(problem: Problem, j: int) -> int:
    """Cores of column j with the replicas that carry all the load."""
    return problem.columns[j].cores * (problem.columns[j].replicas or problem.enough_of(j))
