"""Ours: the planner itself, asked again and again, for a load that is exceeded at a chosen rate alone.

Three things beyond planning for the forecast. What waits already has to be served too, within an SLO from now. Other
models are worth loading only if they gain more until the next change of mind than loading them costs: both are in the
unit of the objective. And what is left of the SLO, where the network takes a part, is what is planned for.
"""

from collections.abc import Mapping

from ttamer.planning.adaptation.backlog import Backlog, load_times
from ttamer.planning.adaptation.caution import Caution
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.plans import LEAST_PART, Planner, on_grid
from ttamer.planning.simulation.adaptive import Configuration, Observation
from ttamer.planning.valuation import weighing_of

INTERVAL_S = 2.0
LEVEL = 0.9  # of forecasts: one in ten may fall short, for a queue forgives what a plan does not
PATIENCE = 30  # decisions: a minute
DWELL_S = 120.0  # for which a choice of models is thought to last
ENOUGH = 0.8  # of what is being loaded, busy all the time, carries the load until it is there
LEAST_RPS = 0.1  # planned for where nothing comes


def rule(setup: Setup) -> Rule:
    """The planner's answer, or the best that what runs already allows where others are not worth loading."""
    catalog = setup.catalog
    planner, backlog = Planner(catalog), Backlog(catalog, setup.load_s)
    caution = Caution(tolerated=1 - catalog.service.quantile, settling_s=catalog.service.slo_s)
    load_s = load_times(catalog, setup.load_s)
    price = weighing_of(catalog.service).cost / DWELL_S
    slo_s = catalog.service.slo_s

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        left_s = left_of_slo(slo_s, seen)
        factor = caution.factor_after(seen)
        more_rps = backlog.more_rps(rate_rps, seen)
        if is_loading(seen) and factor * rate_rps <= ENOUGH * backlog.capacity_rps(seen.wished):
            return None  # another wish would load anew what is nearly there
        wanted_rps = factor * rate_rps + more_rps
        load_rps = on_grid(max(LEAST_RPS, wanted_rps), upwards=True)
        best = planner.served(load_rps, left_s)
        if best is None or not seen.wished:
            return best.configuration if best else None
        sizes = frozenset((one.stage, one.policy, one.cores, one.batch) for one in seen.wished)
        policies = frozenset((one.stage, one.policy) for one in seen.wished)
        rivals = [best, planner.best(load_rps, left_s, sizes), planner.best(load_rps, left_s, policies)]
        found = max(
            (one for one in rivals if one is not None),
            key=lambda one: one.objective - price * loading_core_s(one.configuration, seen.wished, load_s),
        )
        return found.configuration

    return choose


def is_loading(seen: Observation) -> bool:
    """Whether replicas that were asked for are not there yet."""
    ready = _replicas(seen.running)
    return any(count > ready.get(key, 0) for key, count in _replicas(seen.wished).items())


def _replicas(configuration: Configuration) -> dict[tuple[str, str, int], int]:
    """Replicas by stage, policy and cores."""
    found: dict[tuple[str, str, int], int] = {}
    for one in configuration:
        key = (one.stage, one.policy, one.cores)
        found[key] = found.get(key, 0) + one.replicas
    return found


def loading_core_s(new: Configuration, old: Configuration, load_s: Mapping[tuple[str, str], float]) -> float:
    """Core-seconds that are spent on loading what runs in the new configuration and not in the old one."""
    running: dict[tuple[str, str, int, int], int] = {}
    for one in old:
        key = (one.stage, one.policy, one.cores, one.batch)
        running[key] = running.get(key, 0) + one.replicas
    return sum(
        max(0, one.replicas - running.get((one.stage, one.policy, one.cores, one.batch), 0))
        * one.cores
        * load_s[one.stage, one.model]
        for one in new
    )


def left_of_slo(slo_s: float, seen: Observation) -> float:
    """What the network left of the SLO to the request that it left least, on the grid and never next to nothing."""
    least_s = float(seen.remaining_slo_s_N.min(initial=slo_s))
    return slo_s if least_s >= slo_s else on_grid(max(LEAST_PART * slo_s, least_s), upwards=False)


TTAMER = Kind(
    title="ttamer", rule=rule, interval_s=INTERVAL_S, predictor="quantile", untrained="peak", level=LEVEL,
    patience=PATIENCE, in_place=True, smooths=True,
)  # fmt: skip
