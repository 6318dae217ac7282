"""Ours: the planner itself, asked again and again, for a load that is exceeded at a chosen rate alone.

Three things beyond planning for the forecast. What waits already has to be served too, within an SLO from now. Other
models are worth loading only if they gain more until the next change of mind than loading them costs: both are in the
unit of the objective. And what is left of the SLO, where the network takes a part, is what is planned for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, exp, floor, log

from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.candidates import Candidate, Server
from ttamer.planning.problem import SolveLimits
from ttamer.planning.program import make_program
from ttamer.planning.promises import deploy
from ttamer.planning.published import Law
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.planning.solve import solve
from ttamer.planning.valuation import weighing_of

INTERVAL_S = 2.0
LEVEL = 0.9  # of forecasts: one in ten may fall short, for a queue forgives what a plan does not
PATIENCE = 30  # decisions: a minute
GRID = 0.03  # relative, of loads and of what is left of the SLO: plans on a grid are made once
DWELL_S = 120.0  # for which a choice of models is thought to last
LEAST_PART = 0.05  # of the load or the SLO: below, there is no plan to be had by asking for less
DRAIN_PART = 0.25  # of the SLO, in which what waits is to be answered
FEWEST_LATE = 5  # requests: fewer may be chance
MORE_CAUTION, MOST_CAUTION = 1.3, 16.0  # times the load
LESS_CAUTION, CALM_S = 1.03, 60.0  # divided by so much after each so many seconds without a miss
SOLVING_S = 2.0  # at most, for one plan
LESS = 0.9  # of the load that is planned for where all of it cannot be served

Kept = frozenset[tuple[object, ...]]  # what servers are restricted to; everything if empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A configuration and what it is worth in the objective."""

    configuration: Configuration
    objective: float


@dataclass(slots=True)
class Planner:
    """Plans by load, SLO and what is kept, each made once."""

    catalog: Catalog
    made: dict[tuple[float, float, Kept], Priced | None] = field(default_factory=dict)

    def best(self, rate_rps: float, slo_s: float, kept: Kept = frozenset()) -> Priced | None:
        """The best plan with what is kept, of everything by default; None if none serves the load within the SLO."""
        key = (rate_rps, slo_s, kept)
        if key not in self.made:
            self.made[key] = self._plan(rate_rps, slo_s, kept)
        return self.made[key]

    def _plan(self, rate_rps: float, slo_s: float, kept: Kept) -> Priced | None:
        catalog = self.catalog
        service = catalog.service.model_copy(update={"rate_rps": rate_rps, "slo_s": slo_s})
        servers = [one for one in catalog.servers if not kept or kept & {_policy_key(one), _size_key(one)}]
        if {server.stage for server in servers} != set(catalog.stages):
            return None
        program = make_program(service, servers, catalog.levels)
        answer = solve(program.problem, "labels", SolveLimits(time_s=SOLVING_S))
        if answer.status == "infeasible":
            return None
        chosen = zip(program.columns, answer.replicas_J, answer.share_J, strict=True)
        settings = [_setting(one, count, share, rate_rps) for one, count, share in chosen if count and share > 0]
        return Priced(configuration=tuple(settings), objective=answer.objective)


def _setting(candidate: Candidate, replicas: int, share: float, rate_rps: float) -> Setting:
    return Setting(
        stage=candidate.stage,
        model=candidate.model,
        policy=candidate.policy,
        device=candidate.device,
        cores=candidate.cores,
        batch=candidate.batch,
        batch_timeout_s=deploy(candidate, replicas, share, rate_rps).batch_timeout_s,
        replicas=replicas,
        share=share,
    )


def rule(setup: Setup) -> Rule:
    """The planner's answer, or the best that what runs already allows where others are not worth loading."""
    catalog = setup.catalog
    planner, backlog = Planner(catalog), Backlog(catalog, setup.load_s)
    caution = Caution(tolerated=1 - catalog.service.quantile, settling_s=catalog.service.slo_s)
    load_s = _load_times(catalog, setup.load_s)
    price = weighing_of(catalog.service).cost / DWELL_S
    slo_s = catalog.service.slo_s

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        left_s = left_of_slo(slo_s, seen)
        factor = caution.factor_after(seen)
        load_rps = on_grid(factor * rate_rps + backlog.more_rps(rate_rps, seen), upwards=True)
        best = served(planner, load_rps, left_s)
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


@dataclass(slots=True)
class Caution:
    """How many times the load is planned for, learned from misses that no change explains.

    A plan knows arrivals that are independent; where they come in bunches it promises too much. While nothing loads
    and more than the tolerated share is late, caution grows; where all is well it slowly fades.
    """

    tolerated: float
    settling_s: float
    factor: float = 1.0
    answered: int = 0
    late: int = 0
    calm_s: float = 0.0
    changed_s: float = 0.0

    def factor_after(self, seen: Observation) -> float:
        """The factor, given what was seen since the last decision."""
        if _sizes(seen.running) != _sizes(seen.wished):
            self.changed_s = seen.now_s
        if seen.now_s - self.changed_s <= 2 * self.settling_s:  # what is late now is late because of the change
            self.answered = self.late = 0
            return self.factor
        self.answered += len(seen.sojourn_s_N)
        self.late += seen.missed
        self.calm_s = 0.0 if seen.missed else self.calm_s + seen.interval_s
        if self.late >= FEWEST_LATE and self.late > self.tolerated * self.answered:
            self.factor = min(MOST_CAUTION, self.factor * MORE_CAUTION)
            self.answered = self.late = 0
        elif self.calm_s >= CALM_S:
            self.factor = max(1.0, self.factor / LESS_CAUTION)
            self.answered = self.late = 0
            self.calm_s = 0.0
        return self.factor


def _sizes(configuration: Configuration) -> list[tuple[object, ...]]:
    return sorted((one.stage, one.policy, one.cores, one.replicas) for one in configuration)


@dataclass(slots=True)
class Backlog:
    """What has to be served beyond the load, so that what waits is answered in a part of the SLO.

    While more replicas load the queue grows on, which is foreseen once: until it is gone, or nothing loads any more,
    the same is asked for.
    """

    catalog: Catalog
    load_s: float | None
    asked_rps: float = 0.0

    def more_rps(self, rate_rps: float, seen: Observation) -> float:
        """The load to add to an expected one."""
        waiting = self._beyond(seen)
        if not waiting:
            self.asked_rps = 0.0
            return 0.0
        ready_rps, wished_rps = self._capacity_rps(seen.running), self._capacity_rps(seen.wished)
        if wished_rps <= max(ready_rps, rate_rps):
            grows_s = max(self._load_times(seen.wished), default=0.0) + seen.interval_s
            growth = max(0.0, seen.rate_rps - ready_rps) * grows_s
            drain_s = max(seen.interval_s, DRAIN_PART * self.catalog.service.slo_s)
            self.asked_rps = max(self.asked_rps, (waiting + growth) / drain_s)
        return self.asked_rps

    def _beyond(self, seen: Observation) -> float:
        """Requests that wait at the fullest stage beyond what is always there: two batches for each replica."""
        usual: dict[str, int] = {}
        for setting in seen.running:
            usual[setting.stage] = usual.get(setting.stage, 0) + 2 * setting.batch * setting.replicas
        return max(0, *(waiting - usual.get(stage, 0) for stage, waiting in seen.waiting.items()), 0)

    def _capacity_rps(self, configuration: Configuration) -> float:
        """What the stage with the least capacity answers, replicas busy all the time."""
        total = dict.fromkeys(self.catalog.stages, 0.0)
        for setting in configuration:
            law = self._law_of(setting)
            total[setting.stage] += setting.replicas * setting.batch / law.mean_s if law else 0.0
        return min(total.values())

    def _law_of(self, setting: Setting) -> Law | None:
        same = (
            server.law
            for server in self.catalog.servers
            if (server.stage, server.point.name, server.cores, server.batch)
            == (setting.stage, setting.policy, setting.cores, setting.batch)
        )
        return next(same, None)

    def _load_times(self, configuration: Configuration) -> list[float]:
        known = _load_times(self.catalog, self.load_s)
        return [known[setting.stage, setting.model] for setting in configuration]


def served(planner: Planner, load_rps: float, slo_s: float) -> Priced | None:
    """The best plan for the load, or for as much of it as can be served."""
    least_rps = LEAST_PART * load_rps
    while load_rps > least_rps:
        found = planner.best(load_rps, slo_s)
        if found is not None:
            return found
        load_rps = on_grid(LESS * load_rps, upwards=False)
    return None


def left_of_slo(slo_s: float, seen: Observation) -> float:
    """What the network left of the SLO to the request that it left least, on the grid and never next to nothing."""
    least_s = float(seen.remaining_slo_s_N.min(initial=slo_s))
    return slo_s if least_s >= slo_s else max(LEAST_PART * slo_s, on_grid(least_s, upwards=False))


def on_grid(value: float, *, upwards: bool) -> float:
    """The next value of a grid that is even in logarithms.

    >>> on_grid(0.0, upwards=True), round(on_grid(10.0, upwards=True), 3), round(on_grid(10.0, upwards=False), 3)
    (0.1, 10.074, 9.875)
    """
    steps = log(max(value, 0.1)) / log(1 + GRID)
    return max(0.1, exp((ceil if upwards else floor)(round(steps, 9)) * log(1 + GRID)))


def _load_times(catalog: Catalog, load_s: float | None) -> Mapping[tuple[str, str], float]:
    return {
        (server.stage, server.point.spec.model): server.load_time_s if load_s is None else load_s
        for server in catalog.servers
    }


def _policy_key(server: Server) -> tuple[object, ...]:
    return server.stage, server.point.name


def _size_key(server: Server) -> tuple[object, ...]:
    return server.stage, server.point.name, server.cores, server.batch


TTAMER = Kind(
    title="ttamer", rule=rule, interval_s=INTERVAL_S, predictor="quantile", untrained="peak", level=LEVEL,
    patience=PATIENCE, in_place=True, smooths=True,
)  # fmt: skip
