"""InfAdapter: every thirty seconds the best mix of a model's variants on a budget of cores, each stage for itself.

Capacities are four fifths of what was sustained, loads a tenth above the forecast, and fewer cores are given only
after four lower forecasts in a row. Without a feasible mix the smallest variant gets the whole budget.
Source: Salmani et al., InfAdapter, EuroMLSys 2023, and its published code.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.sizes import Sizes, sizes_of
from ttamer.planning.problem import Problem
from ttamer.planning.programs import infadapter
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.planning.solve import solve
from ttamer.planning.valuation import weighing_of

INTERVAL_S = 30.0
HORIZON_S = 60
PATIENCE = 4  # decisions
CAPACITY_PART = 0.8
MARGIN = 1.1  # times the forecast
FEWEST_CORES = 2  # of an active variant


def rule(setup: Setup) -> Rule:
    """Cores and loads of every variant."""
    tables = tables_of(setup)

    @lru_cache(maxsize=4096)
    def plan(stage: str, rate_rps: int, running: tuple[tuple[str, int], ...]) -> tuple[Setting, ...]:
        program = problem_at(setup, tables[stage], float(rate_rps), dict(running))
        answer = solve(program, "labels")
        if answer.status == "infeasible":
            return smallest_on_all(tables[stage])
        chosen = infadapter.allocation(program, answer)
        return tuple(
            size.setting(chosen.weights[one.model] / 100)
            for one in tables[stage]
            if one.model in chosen.cores and (size := one.size_C[chosen.cores[one.model]]) is not None
        )

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        load_rps = max(1, round(MARGIN * rate_rps))
        stages = [plan(stage, load_rps, running_of(seen, stage)) for stage in setup.catalog.stages]
        return tuple(setting for stage in stages for setting in stage)

    return choose


def tables_of(setup: Setup) -> dict[str, list[Sizes]]:
    """The sizes of every variant by stage, the least accurate variant first."""
    catalog = setup.catalog
    return {
        stage: [sizes_of(catalog, stage, model) for model in catalog.models(stage)] for stage in catalog.stages
    }  # fmt: skip


def problem_at(setup: Setup, table: Sequence[Sizes], rate_rps: float, running: Mapping[str, int]) -> Problem:
    """InfAdapter's program of one stage, its weights those of the service. running: cores by variant."""
    weighing, budget = weighing_of(setup.catalog.service), max(len(sizes.size_C) for sizes in table) - 1
    variants = [
        infadapter.Variant(
            name=sizes.model,
            accuracy=next(size.offer.accuracy for size in sizes.size_C if size),
            load_time_s=next(size.offer.load_s for size in sizes.size_C if size),
            capacity_rps=sizes.capacity_rps(CAPACITY_PART),
        )
        for sizes in table
    ]
    longest_s = max(variant.load_time_s for variant in variants)
    return infadapter.problem(
        variants,
        rate_rps=rate_rps,
        budget_cores=budget,
        fewest_cores=min(FEWEST_CORES, budget),
        weights=infadapter.Weights(
            resource=weighing.cost * budget / weighing.accuracy, loading=weighing.loading * longest_s
        ),
        running=running,
    )


def running_of(seen: Observation, stage: str) -> tuple[tuple[str, int], ...]:
    """Cores of each variant of the stage as last asked for."""
    cores: dict[str, int] = {}
    for setting in seen.wished:
        if setting.stage == stage:
            cores[setting.model] = cores.get(setting.model, 0) + setting.cores * setting.replicas
    return tuple(sorted(cores.items()))


def smallest_on_all(table: Sequence[Sizes]) -> tuple[Setting, ...]:
    """The least accurate variant on the whole budget: what is done where nothing carries the load."""
    return (table[0].at_least(len(table[0].size_C)).setting(),)


INFADAPTER = Kind(
    title="InfAdapter", rule=rule, interval_s=INTERVAL_S, predictor="lstm-infadapter", untrained="ewma",
    horizon_s=HORIZON_S, patience=PATIENCE,
)  # fmt: skip
