"""RIM: replicas provisioned once for the heaviest models and kept; every ten seconds model and batch anew.

Source: RIM (Hu et al., 2021) as IPA (JSys 2024) compares itself with it: mode `switch`.
"""

from functools import lru_cache

from ttamer.planning.adaptation.controllers.ipa import HORIZON_S, INTERVAL_S
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.pipeline import problem_at, settings_of, stages_of
from ttamer.planning.baselines.rim import rim
from ttamer.planning.problem import Problem
from ttamer.planning.restriction import variants_of
from ttamer.planning.simulation.adaptive import Configuration, Observation


def rule(setup: Setup) -> Rule:
    """Models and batches for fixed replicas: those of the setup, or what the heaviest models need at its peak."""
    catalog, stages = setup.catalog, stages_of(setup.catalog)
    peak_rps = setup.peak_rps or catalog.service.rate_rps
    fixed = [setup.replicas[stage] for stage in catalog.stages] if setup.replicas else None
    replicas = fixed or _provisioned(problem_at(catalog, stages, peak_rps))

    @lru_cache(maxsize=4096)
    def plan(rate_rps: int) -> Configuration | None:
        program = problem_at(catalog, stages, float(rate_rps))
        return settings_of(catalog, program, rim(program, replicas=replicas))

    def choose(rate_rps: float, _seen: Observation) -> Configuration | None:
        return plan(max(1, round(rate_rps)))

    return choose


def _provisioned(program: Problem) -> list[int]:
    """Replicas of the most accurate model of each stage, one request at a time."""
    counts = []
    for stage in program.stages:
        heaviest = variants_of(program, stage)[-1]
        single = min(
            (j for j in program.in_stage(stage) if program.columns[j].name == heaviest),
            key=lambda j: program.columns[j].batch,
        )
        counts.append(min(program.enough_of(single), program.most_stage_replicas or program.enough_of(single)))
    return counts


RIM = Kind(
    title="RIM", rule=rule, interval_s=INTERVAL_S, predictor="lstm-ipa", untrained="maximum", horizon_s=HORIZON_S
)  # fmt: skip
