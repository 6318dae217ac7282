"""Plans by load, SLO and what is kept of what runs, on a grid so that each is made once."""

from dataclasses import dataclass, field
from math import ceil, exp, floor, log

from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.candidates import Candidate, Server
from ttamer.planning.problem import SolveLimits
from ttamer.planning.program import make_program
from ttamer.planning.simulation.adaptive import Configuration, Setting
from ttamer.planning.solve import solve

GRID = 0.03  # relative, of loads and of what is left of the SLO
SOLVING_S = 2.0  # at most, for one plan
LEAST_PART = 0.05  # of the load: below, there is no plan to be had by asking for less
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
        settings = [_setting(one, count, share) for one, count, share in chosen if count and share > 0]
        return Priced(configuration=tuple(settings), objective=answer.objective)

    def served(self, load_rps: float, slo_s: float) -> Priced | None:
        """The best plan for the load, or for as much of it as can be served."""
        least_rps = LEAST_PART * load_rps
        while load_rps > least_rps:
            found = self.best(load_rps, slo_s)
            if found is not None:
                return found
            load_rps = on_grid(LESS * load_rps, upwards=False)
        return None


def _setting(candidate: Candidate, replicas: int, share: float) -> Setting:
    """The replicas of a candidate, which start on what waits as soon as they are free.

    The bound on their queue holds without a batch timeout too, and a network that suddenly takes more than was
    planned for leaves no time to wait for a full batch.
    """
    return Setting(
        stage=candidate.stage,
        model=candidate.model,
        policy=candidate.policy,
        device=candidate.device,
        cores=candidate.cores,
        batch=candidate.batch,
        replicas=replicas,
        share=share,
    )


def on_grid(value: float, *, upwards: bool) -> float:
    """The next value of a grid that is even in logarithms; a value is above zero.

    >>> round(on_grid(10.0, upwards=True), 3), round(on_grid(10.0, upwards=False), 3)
    (10.03, 9.738)
    """
    steps = log(value) / log(1 + GRID)
    return exp((ceil if upwards else floor)(round(steps, 9)) * log(1 + GRID))


def _policy_key(server: Server) -> tuple[object, ...]:
    return server.stage, server.point.name


def _size_key(server: Server) -> tuple[object, ...]:
    return server.stage, server.point.name, server.cores, server.batch
