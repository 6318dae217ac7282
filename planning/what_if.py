"""Planning the same stages again under other demands, without listing what could serve them each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ttamer.planning.candidates import Server
from ttamer.planning.feasibility import Feasibility, what_servers_depend_on
from ttamer.planning.model_choice import ModelChoice, choose_models
from ttamer.planning.planner import best_plan, feasibility_of, list_servers
from ttamer.planning.problem import SolveLimits
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import TIME_LIMIT_S, Service

Keep = Callable[[Server], bool]


@dataclass(slots=True)
class WhatIf:
    """Answers from one profile and one solver; servers are listed once for all services that share them."""

    profile: Profile
    solver: str | None = None
    _listed: dict[str, tuple[Sequence[ModelChoice], Sequence[Server]]] = field(init=False, default_factory=dict)

    def choices(self, service: Service) -> Sequence[ModelChoice]:
        """The competing models of every stage."""
        return self._list(service)[0]

    def servers(self, service: Service) -> Sequence[Server]:
        """Everything that could serve the stages of a service."""
        return self._list(service)[1]

    def feasibility(self, service: Service) -> Feasibility:
        """Whether services that differ from this one in demands alone can be had."""
        choices, servers = self._list(service)
        return feasibility_of(service, self.profile, choices, servers)

    def plan(self, service: Service, keep: Keep | None = None) -> Plan | None:
        """The best verified plan, of the kept servers alone if asked so; None if there is none."""
        choices, servers = self._list(service)
        kept = servers if keep is None else [server for server in servers if keep(server)]
        served = {server.stage for server in kept}
        if any(stage.name not in served for stage in service.stages):
            return None
        # A plan that was asked for in a hurry is not to be explained in one.
        limits = SolveLimits(time_s=max(service.time_limit_s, TIME_LIMIT_S), gap=service.gap)
        return best_plan(service, self.profile, choices, kept, solver=self.solver, limits=limits)

    def _list(self, service: Service) -> tuple[Sequence[ModelChoice], Sequence[Server]]:
        key = what_servers_depend_on(service)
        if key not in self._listed:
            choices = choose_models(self.profile, service)
            self._listed[key] = choices, list_servers(service, self.profile, choices)
        return self._listed[key]
