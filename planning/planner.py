"""From a service and a profile to a plan: choose models and exits, make candidates, solve, promise, verify."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ttamer.planning.candidates import (
    Candidate,
    Server,
    candidates_under,
    doubts,
    enumerate_servers,
    stage_quantile,
    trusted,
    undominated,
)
from ttamer.planning.exit_choice import OperatingPoint, operating_points
from ttamer.planning.feasibility import Feasibility
from ttamer.planning.model_choice import ModelChoice, choose_models
from ttamer.planning.nearest import infeasible
from ttamer.planning.problem import Column, Problem, Solution, SolveLimits
from ttamer.planning.promises import deploy, promise_of_group, promise_of_plan
from ttamer.planning.solvers import SOLVERS
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import Group, Plan, ProfileReference, Solve
from ttamer.profiles.profile import Profile
from ttamer.profiles.registry import lookup
from ttamer.profiles.service import Service
from ttamer.profiles.shelf import SHELF

SLACKLESS = 1e-9  # relative slack below which a constraint binds


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The columns a solver sees and how many candidates were left out of it, being beaten by others."""

    columns: tuple[Candidate, ...]
    pruned: int
    problem: Problem


def plan_service(
    service: Service, profile: Profile, *, solver: str = "highs", limits: SolveLimits | None = None
) -> Plan:
    """The best plan for a service on a profiled machine.

    Raises InfeasibleError with the nearest service that could be had, InputError on unknown names, on a device
    that was not measured or on models that cannot be compared.
    """
    solve = lookup(SOLVERS, solver, "solver")
    choices = choose_models(profile, service)
    servers = list_servers(service, profile, choices)
    plan = best_plan(service, profile, choices, servers, solver=solver, limits=limits)
    if plan is None:
        feasibility = Feasibility(
            service, servers,
            list_servers=lambda one: list_servers(one, profile, choices),
            solve=lambda one, some: solve(make_program(one, some).problem, SolveLimits()),
        )  # fmt: skip
        raise infeasible(service, feasibility)
    return plan


def best_plan(
    service: Service,
    profile: Profile,
    choices: Sequence[ModelChoice],
    servers: Sequence[Server],
    *,
    solver: str = "highs",
    limits: SolveLimits | None = None,
) -> Plan | None:
    """The best plan with these servers, verified; None if there is none.

    What-if questions ask it again with other demands or with fewer servers.
    """
    program = make_program(service, servers)
    solution = lookup(SOLVERS, solver, "solver")(program.problem, limits or SolveLimits())
    if solution.status == "infeasible":
        return None
    plan = _assemble(service, profile, choices, program, solution, solver)
    broken = verify(plan, profile)
    assert not broken, f"the planner broke its own promises: {broken}"
    return plan


def list_servers(service: Service, profile: Profile, choices: Sequence[ModelChoice]) -> list[Server]:
    """Everything that could serve each stage, whatever the SLO, without disturbed timings where others exist."""
    quantile = stage_quantile(service.quantile, len(service.stages))
    servers: list[Server] = []
    for stage, choice in zip(service.stages, choices, strict=True):
        points = [
            _named(point, stage.name, len(service.stages))
            for model in choice.models
            for point in operating_points(profile, model, stage, choice, service.device, service.max_drop)
        ]
        found = enumerate_servers(
            profile, stage.name, points,
            device=service.device, quantile=quantile, most_batch=service.limits.batch,
        )  # fmt: skip
        if not found:
            raise InputError(
                f"no model of stage {stage.name!r} was measured at batches up to {service.limits.batch}",
                remedy="allow larger batches or profile smaller ones",
            )
        servers += found
    return trusted(servers)


def make_program(service: Service, servers: Sequence[Server]) -> Program:
    """The program for a service: its candidates without those that others beat."""
    candidates = candidates_under(servers, service.slo_s, len(service.stages))
    columns = undominated(candidates)
    problem = Problem(
        columns=tuple(_column(candidate) for candidate in columns),
        stages=tuple(stage.name for stage in service.stages),
        rate_rps=service.rate_rps,
        most_cores=service.limits.cores,
        most_replicas=service.limits.replicas,
        most_latency_s=service.slo_s,
        mix=service.mix,
        accuracy_weight=service.weights.accuracy,
        cost_weight=service.weights.cost,
        batch_weight=service.weights.batch,
    )
    return Program(columns=tuple(columns), pruned=len(candidates) - len(columns), problem=problem)


def _named(point: OperatingPoint, stage: str, stages: int) -> OperatingPoint:
    """The point under a name that is its own among all stages."""
    return point if stages == 1 else replace(point, name=f"{stage}/{point.name}")


def _column(candidate: Candidate) -> Column:
    return Column(
        stage=candidate.stage,
        cores=candidate.cores,
        batch=candidate.batch,
        capacity_rps=candidate.capacity_rps,
        accuracy=candidate.accuracy or 0.0,
        latency_s=candidate.slo_s,
    )


def _assemble(
    service: Service,
    profile: Profile,
    choices: Sequence[ModelChoice],
    program: Program,
    solution: Solution,
    solver: str,
) -> Plan:
    chosen = [j for j, count in enumerate(solution.replicas_J) if count]
    active = [program.columns[j] for j in chosen]
    groups = [
        promise_of_group(
            program.columns[j],
            deploy(program.columns[j], solution.replicas_J[j], solution.share_J[j], service.rate_rps),
            program.columns[j].capacity_rps,
        )
        for j in chosen
    ]
    points = {candidate.policy: candidate.point for candidate in active}
    models = sorted({group.model for group in groups})
    return Plan(
        service=service,
        profile=ProfileReference(
            name=profile.name,
            path=str(profile.folder or ""),
            digest=profile.digest(models),
            machine=profile.machine.fingerprint,
        ),
        promise=promise_of_plan(service, groups, points, [choice.dataset for choice in choices]),
        groups=tuple(groups),
        policies={name: point.spec for name, point in points.items()},
        solve=_solve(program, solution, solver),
        binding=tuple(_binding(service, groups, points)),
        notes=tuple(_notes(service, profile, choices, active)),
    )


def _solve(program: Program, solution: Solution, solver: str) -> Solve:
    assert solution.status != "infeasible"
    return Solve(
        solver=solver,
        status=solution.status,
        objective=solution.objective,
        bound=solution.bound,
        columns=len(program.columns),
        columns_pruned=program.pruned,
    )


def _binding(service: Service, groups: Sequence[Group], points: dict[str, OperatingPoint]) -> list[str]:
    """In words, the constraints without slack: what would have to give for a better plan."""
    binding = []
    cores = sum(group.replicas * group.cores for group in groups)
    replicas = sum(group.replicas for group in groups)
    if cores == service.limits.cores:
        binding.append(f"core budget: all {cores} are used")
    if replicas == service.limits.replicas:
        binding.append(f"replica limit: all {replicas} are used")
    for group in groups:
        if group.rate_rps / group.replicas >= group.capacity_rps * (1 - SLACKLESS):
            binding.append(f"SLO: each replica of {group.policy} takes all it can take in time")
        if points[group.policy].paths is not None and points[group.policy].drop >= service.max_drop - SLACKLESS:
            binding.append(f"accuracy drop: {group.policy} loses all that is allowed")
    if all(_is_needed(group, groups, service.rate_rps) for group in groups):
        binding.append("load: no replica can be spared")
    return binding


def _is_needed(group: Group, groups: Sequence[Group], rate_rps: float) -> bool:
    together_rps = sum(one.replicas * one.capacity_rps for one in groups if one.stage == group.stage)
    return together_rps - group.capacity_rps < rate_rps


def _notes(
    service: Service, profile: Profile, choices: Sequence[ModelChoice], active: Sequence[Candidate]
) -> list[str]:
    notes = [note for choice in choices for note in choice.notes]
    notes += doubts(active, service.quantile, profile.folder or SHELF / profile.name)
    if len(service.stages) > 1:
        notes.append("later stages are promised for Poisson arrivals, though they get what earlier ones finish")
    return list(dict.fromkeys(notes))
