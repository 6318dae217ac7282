"""Whether services close to one can be had, asked many times: only what a feasible plan could need is solved for.

Of two servers of a stage the one that needs no more cores and memory, takes no less load under every part of the SLO
and, where accuracy has a floor, answers no worse, can always stand in for the other. What remains is little.

Axes: N servers, P parts of the SLO, T tilts.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.candidates import PARTS_OF_SLO, Server
from ttamer.planning.exit_choice import ROUNDING
from ttamer.planning.law_table import LawTable, make_law_table
from ttamer.planning.problem import Solution
from ttamer.planning.queueing import ServiceLaw
from ttamer.profiles.records import Floats
from ttamer.profiles.service import Limits, Prices, Service, Weights

FULL = 1 + 1e-9  # of a limit, with the rounding of sums
ANY = 1e9  # gap: the first plan that is found will do
FREE = {"cores": None, "memory_bytes": None, "price": 0.0}  # a pool without limits
CHEAPEST = Weights(accuracy=0.0, cost=1.0, batch=0.0, loading=0.0)
MOST_ACCURATE = Weights(accuracy=1.0, cost=0.0, batch=0.0, loading=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class StageServers:
    """Everything that could serve one stage, and the laws of it; None if some are published numbers."""

    servers: Sequence[Server]
    laws: LawTable | None


@dataclass(slots=True)
class Feasibility:
    """Answers for services that differ from one in demands alone; known: everything that could serve that one.

    list_servers: everything that could serve another. solve: as the planner does it, to a relative gap.
    """

    service: Service
    known: Sequence[Server]
    list_servers: Callable[[Service], Sequence[Server]] = field(kw_only=True)
    solve: Callable[[Service, Sequence[Server], float], Solution] = field(kw_only=True)
    _listed: dict[str, list[StageServers]] = field(init=False, default_factory=dict)
    _needed: dict[tuple[str, float, Hashable], list[Server]] = field(init=False, default_factory=dict)

    def is_feasible(self, service: Service) -> bool:
        """Whether the service can be had."""
        if self._solved(service, CHEAPEST, ANY, mixes=False).status != "infeasible":
            return True
        return _may_need_mixing(service) and self._solved(service, CHEAPEST, ANY).status != "infeasible"

    def cheapest(self, service: Service) -> Solution:
        """The plan of least cost in the service's prices; the cost is the negated objective."""
        return self._solved(service, CHEAPEST, mixes=_may_need_mixing(service))

    def most_accurate(self, service: Service) -> Solution:
        """The plan of most accuracy, by which a floor is measured; that is the objective."""
        return self._solved(service.model_copy(update={"accuracy_floor": 0.0}), MOST_ACCURATE)

    def servers(self, service: Service) -> list[Server]:
        """Everything that could serve the stages."""
        return [server for stage in self._list(service) for server in stage.servers]

    def _solved(self, service: Service, weights: Weights, gap: float = 0.0, *, mixes: bool = True) -> Solution:
        """mixes: whether loads are shared if they may be; either way only the batches that the service can have."""
        if self._is_hopeless(service):
            return Solution(status="infeasible")
        aim: dict[str, object] = {"weights": weights, "objective": "weighted", "accuracy_scale": "raw"}
        aim["mix"] = service.mix and mixes
        if service.accuracy_floor is None:
            aim["aggregation"] = "sum"
        return self.solve(service.model_copy(update=aim), self._needed_servers(service), gap)

    def _is_hopeless(self, service: Service) -> bool:
        """Whether even fractions of the best replicas, each with the most of the SLO, exceed a limit on all of them."""
        if not service.serving_s:
            return True
        price = {pool.name: pool.price for pool in service.fleet()}
        most = np.array([service.limits.replicas, *_most(service)]) * FULL
        used = np.zeros(len(most))
        share = 1.0 if len(service.stages) == 1 else (PARTS_OF_SLO - 1) / PARTS_OF_SLO
        for stage in self._list(service):
            if stage.laws is None:
                return False
            usable_N = stage.laws.capacity_N(service.serving_s * share) * (1 - service.headroom)
            if not usable_N.any():
                return True
            taken_NL = np.array([(1.0, one.cores, one.cores * price[one.pool]) for one in stage.servers])
            used += service.rate_rps * (taken_NL[usable_N > 0] / usable_N[usable_N > 0, None]).min(axis=0)
        return bool((used > most).any())

    def _list(self, service: Service) -> list[StageServers]:
        key = what_servers_depend_on(service)
        if key not in self._listed:
            listed = self._servers_of(service, key)
            stages = [[one for one in listed if one.stage == stage.name] for stage in service.stages]
            self._listed[key] = [StageServers(some, _law_table(some)) for some in stages]
        return self._listed[key]

    def _servers_of(self, service: Service, key: str) -> Sequence[Server]:
        if key == what_servers_depend_on(self.service):
            return self.known
        if service.max_drop == 1.0:
            return self.list_servers(service)
        # A smaller drop leaves the policies that lose less: they need not be fitted and chosen again.
        free = self.servers(service.model_copy(update={"max_drop": 1.0}))
        return [server for server in free if server.point.drop <= service.max_drop + ROUNDING]

    def _needed_servers(self, service: Service) -> list[Server]:
        key = (what_servers_depend_on(service), service.serving_s, (service.mix, *_measures(service)))
        if key not in self._needed:
            self._needed[key] = [server for stage in self._list(service) for server in _needed(stage, service)]
        return self._needed[key]


def _may_need_mixing(service: Service) -> bool:
    """Whether sharing a load could make room.

    Without a floor and with only replicas limited, the largest capacity alone needs the fewest.
    """
    if not service.mix:
        return False
    if service.accuracy_floor is not None:
        return True
    is_fixed = any(stage.replicas for stage in service.stages)
    of_pools = any(pool.cores is not None or pool.memory_bytes is not None for pool in service.fleet())
    limits = service.limits
    return is_fixed or of_pools or any(one is not None for one in (limits.memory_bytes, *_limits(service)))


def _limits(service: Service) -> tuple[int | None, float | None]:
    """The limits on cores and on cost."""
    return service.limits.cores, service.limits.cost_per_hour


def _most(service: Service) -> list[float]:
    """The most cores and cost, without end where there is no limit."""
    return [math.inf if limit is None else float(limit) for limit in _limits(service)]


def what_servers_depend_on(service: Service) -> str:
    """The service with everything reset that has no say in which servers there are."""
    reset = service.model_copy(
        update={
            "slo_s": 1.0, "rate_rps": 1.0, "network_s": 0.0, "mix": True, "accuracy_floor": None, "weights": Weights(),
            "limits": Limits(batch=service.limits.batch), "prices": Prices(), "objective": "weighted",
            "aggregation": "product", "accuracy_scale": "raw", "headroom": 0.0, "current": (),
            "stages": tuple(stage.model_copy(update={"replicas": None}) for stage in service.stages),
            "pools": tuple(pool.model_copy(update=FREE) for pool in service.pools), "gap": 0.0, "time_limit_s": 1.0,
        }
    )  # fmt: skip
    return reset.model_dump_json()


def _law_table(servers: Sequence[Server]) -> LawTable | None:
    laws = [server.law for server in servers if isinstance(server.law, ServiceLaw)]
    return make_law_table(laws) if len(laws) == len(servers) else None


def _needed(stage: StageServers, service: Service) -> list[Server]:
    """The servers of a stage without those that another can always stand in for; of equals the first stays.

    Published ones all stay: they are few, and how long they take depends on the load too.
    """
    fixed = {one.name for one in service.stages if one.replicas}
    if stage.laws is None or (service.mix and stage.servers[0].stage in fixed):  # then models cannot stand in
        return [one for one in stage.servers if one.is_offered(mix=service.mix)]
    parts = range(1, PARTS_OF_SLO) if len(service.stages) > 1 else [PARTS_OF_SLO]
    laws = stage.laws
    capacity_NP = np.column_stack([laws.capacity_N(service.serving_s * part / PARTS_OF_SLO) for part in parts])
    useful = np.flatnonzero(capacity_NP.max(axis=1) > 0)
    merit_NP = np.column_stack([capacity_NP, _merits(stage.servers, service)])[useful]
    return [stage.servers[place] for place in useful[_undominated(merit_NP)]]


def _measures(service: Service) -> tuple[bool, bool, bool]:
    """Whether memory is limited, accuracy has a floor, and models of fixed replicas may share a load."""
    is_limited = service.limits.memory_bytes is not None or any(pool.memory_bytes for pool in service.fleet())
    is_fixed = any(stage.replicas for stage in service.stages)
    return is_limited, service.accuracy_floor is not None, is_fixed and service.mix


def _merits(servers: Sequence[Server], service: Service) -> Floats:
    """What else counts for each server, more being better: cores, memory that is limited, accuracy with a floor.

    Cores are counted by pool, so that none stands in for those of another.
    """
    fleet = service.fleet()
    is_limited, is_floored, _ = _measures(service)
    return np.array([
        [
            *(-server.cores if server.pool == pool.name else 0 for pool in fleet),
            -server.memory_bytes if is_limited else 0,
            (server.point.accuracy or 0.0) if is_floored else 0.0,
        ]
        for server in servers
    ])  # fmt: skip


def _undominated(merit_NP: Floats) -> np.ndarray:
    """Numbers of the rows that no other row reaches in every column; of equals the first."""
    alive_N = np.ones(len(merit_NP), dtype=bool)
    for n in range(len(merit_NP)):
        if alive_N[n]:
            beaten_N = (merit_NP <= merit_NP[n]).all(axis=1)
            beaten_N[n] = False
            alive_N &= ~beaten_N
    return np.flatnonzero(alive_N)
