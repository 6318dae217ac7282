"""RIM: replicas provisioned once for the heaviest variants and kept, with variant and batch free.

Source: RIM (Hu et al., 2021) as IPA (JSys 2024) compares itself with it: mode `switch`, replicas pinned statically.
The published runs pin them by hand, which `replicas` allows.
"""

from collections.abc import Sequence
from dataclasses import replace

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import chosen, variant_of, variants_of
from ttamer.planning.solve import solve


def rim(problem: Problem, *, replicas: Sequence[int] | None = None) -> Solution:
    """The best variants and batches with these replicas of each stage.

    replicas: by default what the most accurate variant of the stage needs at its smallest batch.
    """
    if any(not problem.in_stage(stage) for stage in problem.stages):
        return Solution(status="infeasible")
    fixed = replicas or [_provisioned(problem, stage) for stage in problem.stages]
    by_stage = dict(zip(problem.stages, fixed, strict=True))
    columns = tuple(replace(column, replicas=by_stage[column.stage]) for column in problem.columns)
    answer = solve(replace(problem, columns=columns, mix=False), "labels")
    if answer.status == "infeasible":
        return answer
    return chosen(problem, {j: count for j, count in enumerate(answer.replicas_J) if count})


def _provisioned(problem: Problem, stage: str) -> int:
    heaviest = variants_of(problem, stage)[-1]
    members = [j for j in problem.in_stage(stage) if variant_of(problem, j) == heaviest]
    return problem.enough_of(min(members, key=lambda j: (problem.columns[j].batch, problem.price_of(j), j)))
