"""FA2-high: the heaviest model of every stage, its batch and replicas chosen anew every ten seconds.

Source: FA2 (Razavi et al., RTAS 2022) as IPA (JSys 2024) compares itself with it.
"""

from functools import lru_cache

from ttamer.planning.adaptation.controllers.ipa import HORIZON_S, INTERVAL_S
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.pipeline import problem_at, settings_of, stages_of
from ttamer.planning.baselines.fa2_high import fa2_high
from ttamer.planning.simulation.adaptive import Configuration, Observation


def rule(setup: Setup) -> Rule:
    """Batch and replicas of the heaviest models, or of those that the setup names."""
    catalog, stages = setup.catalog, stages_of(setup.catalog)
    pinned = [setup.models[stage] for stage in catalog.stages] if setup.models else None

    @lru_cache(maxsize=4096)
    def plan(rate_rps: int) -> Configuration | None:
        program = problem_at(catalog, stages, float(rate_rps))
        return settings_of(catalog, program, fa2_high(program, variants=pinned))

    def choose(rate_rps: float, _seen: Observation) -> Configuration | None:
        return plan(max(1, round(rate_rps)))

    return choose


FA2_HIGH = Kind(
    title="FA2-high", rule=rule, interval_s=INTERVAL_S, predictor="lstm-ipa", untrained="maximum", horizon_s=HORIZON_S
)  # fmt: skip
