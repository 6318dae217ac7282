"""Model-Switching+: every thirty seconds the one variant that is worth most on the fewest cores that carry the load.

Source: Model-Switching (Zhang et al., HotCloud 2020) as InfAdapter (EuroMLSys 2023) extends it: same objective, no mix.
"""

from functools import lru_cache

from ttamer.planning.adaptation.controllers.infadapter import (
    HORIZON_S,
    INTERVAL_S,
    MARGIN,
    PATIENCE,
    problem_at,
    running_of,
    smallest_on_all,
    tables_of,
)
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.baselines.ms_plus import ms_plus
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting


def rule(setup: Setup) -> Rule:
    """One variant of every stage, and its cores."""
    tables = tables_of(setup)

    @lru_cache(maxsize=4096)
    def plan(stage: str, rate_rps: int, running: tuple[tuple[str, int], ...]) -> tuple[Setting, ...]:
        program = problem_at(setup, tables[stage], float(rate_rps), dict(running))
        answer = ms_plus(program)
        if answer.status == "infeasible":
            return smallest_on_all(tables[stage])
        column = next(one for one, count in zip(program.columns, answer.replicas_J, strict=True) if count)
        size = next(one for one in tables[stage] if one.model == column.name).size_C[column.cores]
        assert size is not None
        return (size.setting(),)

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        load_rps = max(1, round(MARGIN * rate_rps))
        stages = [plan(stage, load_rps, running_of(seen, stage)) for stage in setup.catalog.stages]
        return tuple(setting for stage in stages for setting in stage)

    return choose


MS_PLUS = Kind(
    title="MS+", rule=rule, interval_s=INTERVAL_S, predictor="lstm-infadapter", untrained="ewma",
    horizon_s=HORIZON_S, patience=PATIENCE,
)  # fmt: skip
