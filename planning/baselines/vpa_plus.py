"""VPA+: one fixed variant a stage, scaled to the load: the fewest cores that carry it, else all there are.

Source: the Kubernetes Vertical Pod Autoscaler with the load-aware apply step of InfAdapter (EuroMLSys 2023), one
variant for each run. It knows of the load alone, not of latency budgets or accuracy.
"""

from collections.abc import Sequence

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import chosen, variant_of, variants_of


def vpa_plus(problem: Problem, *, variants: Sequence[str] | None = None) -> Solution:
    """The fewest cores for the most accurate variants, or those given, one for each stage.

    Of equally many cores the smallest batch. Infeasible if no size of the variant carries the load.
    """
    replicas: dict[int, int] = {}
    for place, stage in enumerate(problem.stages):
        members = problem.in_stage(stage)
        if not members:
            return Solution(status="infeasible")
        variant = variants[place] if variants else variants_of(problem, stage)[-1]
        sizes = [
            (problem.columns[j].cores * count, problem.columns[j].batch, j, count)
            for j in members
            if variant_of(problem, j) == variant and (count := _count(problem, j))
        ]
        if not sizes:
            return Solution(status="infeasible")
        _, _, j, count = min(sizes)
        replicas[j] = count
    return chosen(problem, replicas)


def _count(problem: Problem, j: int) -> int:
    """The replicas that carry the load, 0 if they are fixed and too few."""
    fixed = problem.columns[j].replicas
    if fixed is None:
        return problem.enough_of(j)
    return fixed if fixed >= problem.enough_of(j) else 0
