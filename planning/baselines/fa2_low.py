"""FA2-low: the lightest variant of every stage, with batch and replicas as the whole program would choose them.

Source: FA2 (Razavi et al., RTAS 2022) as IPA (JSys 2024) compares itself with it: mode `scale`, variants pinned.
"""

from collections.abc import Sequence

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import restricted, variant_of, variants_of


def fa2_low(problem: Problem, *, variants: Sequence[str] | None = None) -> Solution:
    """The best batches and replicas of the least accurate variants, or of those given, one for each stage."""
    pinned = variants or [variants_of(problem, stage)[0] for stage in problem.stages if problem.in_stage(stage)]
    return restricted(problem, [j for j in range(len(problem.columns)) if _is_pinned(problem, j, pinned)])


def _is_pinned(problem: Problem, j: int, pinned: Sequence[str]) -> bool:
    return variant_of(problem, j) == pinned[problem.stages.index(problem.columns[j].stage)]
