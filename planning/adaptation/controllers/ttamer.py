"""Ours: the planner itself, asked again and again, for a load that is exceeded at a chosen rate alone.

Three things beyond planning for the forecast. What waits already has to be served too, within an SLO from now. Other
models are worth loading only if they gain more until the next change of mind than loading them costs: both are in the
unit of the objective. And what is left of the SLO, where the network takes a part, is what is planned for.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ttamer.planning.adaptation.backlog import Backlog, load_times
from ttamer.planning.adaptation.caution import Caution
from ttamer.planning.adaptation.controllers.protocol import Care, Kind, Rule, Setup
from ttamer.planning.adaptation.plans import LEAST_PART, Planner, on_grid
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.planning.valuation import weighing_of

INTERVAL_S = 2.0
CARELESS, CAREFUL = 0.5, 0.9  # levels of forecasts where a queue forgives all that changes take, and where nothing
LONGEST_S, SHORTEST_S = 60.0, 2.0  # of patience
REMEMBERED_S = 20.0  # of what the network took
DWELL_S = 120.0  # for which a choice of models is thought to last
ENOUGH = 0.8  # of what is being loaded, busy all the time, carries the load until it is there
LEAST_RPS = 0.1  # planned for where nothing comes


def rule(setup: Setup) -> Rule:
    """The planner's answer, or the best that what runs already allows where others are not worth loading."""
    catalog = setup.catalog
    planner, backlog = Planner(catalog), Backlog(catalog, setup.load_s)
    tolerated = 1 - catalog.service.quantile if setup.tolerated is None else setup.tolerated
    caution = Caution(tolerated=tolerated, settling_s=catalog.service.slo_s)
    load_s = load_times(catalog, setup.load_s)
    price = weighing_of(catalog.service).cost / DWELL_S
    network = Network(catalog.service.slo_s)

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        left_s = network.left_s(seen)
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
            key=lambda one: (
                one.objective - price * loading_core_s(one.configuration, seen.wished, load_s, in_place=setup.in_place)
            ),
        )
        return found.configuration

    return choose


def care(setup: Setup) -> Care:
    """How careful to be: the more of a load time the SLO forgives, the less there is to lose by a wrong forecast."""
    slo_s = setup.catalog.service.slo_s
    load_s = max(load_times(setup.catalog, setup.load_s).values())
    forgiven = min(1.0, slo_s / load_s) if load_s > 0 else 1.0
    patience_s = min(LONGEST_S, max(SHORTEST_S, load_s * load_s / (2 * slo_s)))
    return Care(level=CAREFUL + forgiven * (CARELESS - CAREFUL), patience_s=patience_s)


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


def loading_core_s(
    new: Configuration, old: Configuration, load_s: Mapping[tuple[str, str], float], *, in_place: bool
) -> float:
    """Core-seconds that are spent on loading what runs in the new configuration and not in the old one.

    in_place: running replicas of a model can be given other cores, so that only more replicas have to be loaded.
    """
    running: dict[tuple[object, ...], int] = {}
    for one in old:
        key = _loaded(one, in_place)
        running[key] = running.get(key, 0) + one.replicas
    total = 0.0
    for one in sorted(new, key=lambda one: -one.cores):
        key = _loaded(one, in_place)
        there = min(one.replicas, running.get(key, 0))
        running[key] = running.get(key, 0) - there
        total += (one.replicas - there) * one.cores * load_s[one.stage, one.model]
    return total


def _loaded(one: Setting, in_place: bool) -> tuple[object, ...]:
    """What has to be alike for a replica to be there already."""
    return (one.stage, one.policy, one.batch) if in_place else (one.stage, one.policy, one.cores, one.batch)


@dataclass(slots=True)
class Network:
    """What the network leaves of the SLO: the least of the last seconds, for it comes back faster than plans change."""

    slo_s: float
    least: deque[tuple[float, float]] = field(default_factory=deque)  # moments and what was left, both ascending

    def left_s(self, seen: Observation) -> float:
        """What to plan for, on the grid and never next to nothing."""
        left_s = float(seen.remaining_slo_s_N.min(initial=self.slo_s))
        while self.least and self.least[-1][1] >= left_s:
            self.least.pop()
        self.least.append((seen.now_s, left_s))
        while self.least[0][0] < seen.now_s - REMEMBERED_S:
            self.least.popleft()
        least_s = self.least[0][1]
        return self.slo_s if least_s >= self.slo_s else on_grid(max(LEAST_PART * self.slo_s, least_s), upwards=False)


TTAMER = Kind(
    title="ttamer", rule=rule, interval_s=INTERVAL_S, predictor="quantile", untrained="peak", care=care,
    in_place=True, smooths=True,
)  # fmt: skip
