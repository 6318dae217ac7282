"""IPA: every ten seconds the pipeline's program anew, for the load that its LSTM expects in the next twenty.

The program is the paper's (`planning/programs/ipa.py`), not the released one whose latency constraint is wrong.
Source: Ghafouri et al., IPA: Inference Pipeline Adaptation, JSys 2024, and its published code.
"""

from functools import lru_cache

from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.pipeline import problem_at, settings_of, stages_of
from ttamer.planning.simulation.adaptive import Configuration, Observation
from ttamer.planning.solve import solve

INTERVAL_S = 10.0
HORIZON_S = 20


def rule(setup: Setup) -> Rule:
    """Variant, batch and replicas of every stage, at the expected load rounded to whole requests as published."""
    catalog, stages = setup.catalog, stages_of(setup.catalog)

    @lru_cache(maxsize=4096)
    def plan(rate_rps: int) -> Configuration | None:
        program = problem_at(catalog, stages, float(rate_rps))
        return settings_of(catalog, program, solve(program, "labels"))

    def choose(rate_rps: float, _seen: Observation) -> Configuration | None:
        return plan(max(1, round(rate_rps)))

    return choose


IPA = Kind(
    title="IPA", rule=rule, interval_s=INTERVAL_S, predictor="lstm-ipa", untrained="maximum", horizon_s=HORIZON_S
)  # fmt: skip
