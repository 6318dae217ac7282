"""FA2-high: the heaviest variant of every stage, with batch and replicas as the whole program would choose them.

Source: as FA2-low; the published runs pin heavy variants by hand, which `variants` allows.
"""

from collections.abc import Sequence

from ttamer.planning.baselines.fa2_low import fa2_low
from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import variants_of


def fa2_high(problem: Problem, *, variants: Sequence[str] | None = None) -> Solution:
    """The best batches and replicas of the most accurate variants, or of those given, one for each stage."""
    heaviest = [variants_of(problem, stage)[-1] for stage in problem.stages if problem.in_stage(stage)]
    return fa2_low(problem, variants=variants or heaviest)
