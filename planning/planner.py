"""From a service and a profile to a plan: choose models and exits, make candidates, solve, promise, verify."""

from collections.abc import Sequence
from dataclasses import replace

from ttamer.planning.base_cores import base_cores
from ttamer.planning.candidates import Candidate, Server, enumerate_servers, parts_of, stage_quantile, trusted
from ttamer.planning.evidence import with_evidence
from ttamer.planning.exit_choice import OperatingPoint, operating_points
from ttamer.planning.exit_terms import ExitTerms, nothing_left
from ttamer.planning.feasibility import Feasibility
from ttamer.planning.interpolation import server_between, settings_between
from ttamer.planning.model_choice import ModelChoice, choose_models, is_measured
from ttamer.planning.nearest import infeasible
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.program import Program, make_program
from ttamer.planning.promises import deploy, promise_of_group, promise_of_plan
from ttamer.planning.published import PublishedLaw, most_rps
from ttamer.planning.remarks import binding_constraints, notes_on, refuse_weaker_quantiles
from ttamer.planning.solve import solve
from ttamer.planning.valuation import Levels, levels_of, objective_of, weighing_of
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.plan import Group, Plan, ProfileReference, Solve
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service, Stage
from ttamer.profiles.shelf import SHELF

EXPLAINING_S = 2.0  # for each of the services close to one that cannot be had
PRECISION = 0.005  # relative, of the least latency of measured stages, which a bisection finds


def plan_service(
    service: Service, profile: Profile, *, solver: str | None = None, limits: SolveLimits | None = None
) -> Plan:
    """The best plan for a service on a profiled machine. solver: by default one that can solve the service's program.

    Raises InfeasibleError with the nearest service that could be had, InputError on unknown names, on a device
    that was not measured, on models that cannot be compared and on limits that nothing can be held to.
    """
    choices = choose_models(profile, service)
    servers = list_servers(service, profile, choices)
    plan = best_plan(service, profile, choices, servers, solver=solver, limits=limits)
    if plan is None:
        near = infeasible(service, feasibility_of(service, profile, choices, servers))
        left_out = [note for choice in choices if choice.dataset for note in choice.notes]
        raise InfeasibleError(near.message, remedy="; ".join([near.remedy, *left_out]))
    return with_evidence(plan, profile)


def feasibility_of(
    service: Service,
    profile: Profile,
    choices: Sequence[ModelChoice],
    servers: Sequence[Server],
) -> Feasibility:
    """Whether services that differ from this one in demands alone can be had."""
    levels = levels_of(profile, choices)

    def solved(one: Service, some: Sequence[Server], gap: float) -> Solution:
        problem = make_program(one, some, levels).problem
        try:
            return _solved(problem, None if one.mix else "labels", SolveLimits(time_s=EXPLAINING_S, gap=gap))
        except InputError:  # none was found in time, so none is named
            return Solution(status="infeasible")

    return Feasibility(
        service, servers, list_servers=lambda one: list_servers(one, profile, choices), solve=solved
    )  # fmt: skip


def best_plan(
    service: Service,
    profile: Profile,
    choices: Sequence[ModelChoice],
    servers: Sequence[Server],
    *,
    solver: str | None = None,
    limits: SolveLimits | None = None,
) -> Plan | None:
    """The best plan with these servers, verified; None if there is none.

    What-if questions ask it again with other demands or with fewer servers.
    """
    if not service.serving_s:
        return None
    levels = levels_of(profile, choices)
    program = make_program(service, servers, levels)
    effort = limits or SolveLimits(time_s=service.time_limit_s, gap=service.gap)
    solution = _solved(program.problem, solver, effort)
    if solution.status == "infeasible":
        return None
    if service.objective == "latency" and any(not isinstance(one.law, PublishedLaw) for one in servers):
        program, solution = _fastest(service, servers, levels, (program, solution), solver, effort)
    plan = _assemble(service, profile, choices, levels, program, solution, solver_for(program.problem, solver))
    broken = verify(plan, profile)
    assert not broken, f"the planner broke its own promises: {broken}"
    return plan


def solver_for(problem: Problem, wanted: str | None) -> str:
    """The solver asked for, else HiGHS, or labels where accuracies multiply, which they are made for."""
    return wanted or ("labels" if problem.aggregation == "product" else "highs")


def _solved(problem: Problem, solver: str | None, limits: SolveLimits) -> Solution:
    return solve(problem, solver_for(problem, solver), limits)


def _fastest(
    service: Service, servers: Sequence[Server], levels: Levels, first: tuple[Program, Solution], solver: str | None,
    effort: SolveLimits,
) -> tuple[Program, Solution]:  # fmt: skip
    """The program under the tightest SLO that can be kept, and its solution.

    Capacities of measured stages follow from the SLO, so only the SLO can ask for less latency.
    """
    best, good_s = first, service.serving_s
    bad_s = min(server.law.answer_s for server in servers) / 2  # less than the service alone takes
    while good_s - bad_s > PRECISION * good_s:
        middle_s = (good_s * bad_s) ** 0.5
        tighter = service.model_copy(update={"slo_s": middle_s, "network_s": 0.0})
        program = make_program(tighter, servers, levels)
        solution = _solved(program.problem, solver, effort)
        if solution.status == "infeasible":
            bad_s = middle_s
        else:
            best, good_s = (program, solution), middle_s
    program, solution = best
    bound = max(solution.objective, weighing_of(service).accuracy * len(service.stages) - bad_s)
    return program, replace(solution, bound=bound)


def list_servers(service: Service, profile: Profile, choices: Sequence[ModelChoice]) -> list[Server]:
    """Everything that could serve each stage, whatever the SLO, without disturbed timings where others exist."""
    servers: list[Server] = []
    terms = ExitTerms.of(service, profile, choices)
    for stage, choice in zip(service.stages, choices, strict=True):
        found = _servers_of(stage, choice, service, profile, terms)
        if not found and (terms.mean_s is not None or terms.doubts_last_exit):
            slower = _servers_of(stage, choice, service, profile, replace(terms, mean_s=None))
            raise nothing_left(stage.name, terms, [server.point.mean_s for server in slower])
        if not found:
            raise InputError(
                f"no model of stage {stage.name!r} was measured at batches up to {service.limits.batch}",
                remedy="allow larger batches or profile smaller ones",
            )
        servers += found
    refuse_weaker_quantiles(service, servers)
    folder = profile.folder or SHELF / profile.name
    return trusted(servers, allow_contended=service.allow_contended, folder=folder)


def _servers_of(
    stage: Stage, choice: ModelChoice, service: Service, profile: Profile, terms: ExitTerms
) -> list[Server]:  # fmt: skip
    """What could serve a stage, in each pool what its device can run."""
    by_device = {device: _servers_on(device, stage, choice, service, profile, terms) for device in service.devices()}
    return [replace(server, pool=pool.name) for pool in service.fleet() for server in by_device[pool.device]]


def _servers_on(
    device: str, stage: Stage, choice: ModelChoice, service: Service, profile: Profile, terms: ExitTerms
) -> list[Server]:  # fmt: skip
    quantile, most_batch = stage_quantile(service.quantile, len(service.stages)), service.limits.batch
    points = [
        _named(point, stage.name, device, service)
        for model in choice.models
        if is_measured(profile, model, device)
        for point in operating_points(profile, model, stage, choice, device, terms)
    ]
    found = enumerate_servers(
        profile, stage.name, points, device=device, quantile=quantile, most_batch=most_batch
    )  # fmt: skip
    if service.interpolate:
        found += [
            server_between(profile, stage.name, point, device, quantile, setting)
            for point in points
            if point.paths is None
            for setting in settings_between(profile, point.spec.model, device)
            if most_batch is None or setting.batch <= most_batch
        ]
    base = base_cores(profile, service, stage, choice, device)
    return found if base is None else [server for server in found if server.cores == base[server.point.spec.model]]


def _named(point: OperatingPoint, stage: str, device: str, service: Service) -> OperatingPoint:
    """The point under a name that is its own among all stages and devices; a last exit is the same on all of them."""
    name = point.name if len(service.stages) == 1 else f"{stage}/{point.name}"
    is_chosen_here = point.paths is not None and len(service.devices()) > 1
    return replace(point, name=f"{name}@{device}" if is_chosen_here else name)


def _assemble(
    service: Service,
    profile: Profile,
    choices: Sequence[ModelChoice],
    levels: Levels,
    program: Program,
    solution: Solution,
    solver: str,
) -> Plan:
    chosen = [j for j, count in enumerate(solution.replicas_J) if count]
    active = [program.columns[j] for j in chosen]
    groups = [
        promise_of_group(
            candidate,
            deploy(candidate, solution.replicas_J[j], solution.share_J[j], service.rate_rps),
            _capacity_rps(candidate, service),
        )
        for j, candidate in zip(chosen, active, strict=True)
    ]
    points = {candidate.policy: candidate.point for candidate in active}
    promise = promise_of_plan(service, groups, points, [choice.dataset for choice in choices])
    models = sorted({group.model for group in groups})
    return Plan(
        service=service,
        profile=ProfileReference(
            name=profile.name,
            path=str(profile.folder or ""),
            digest=profile.digest(models),
            machine=profile.machine.fingerprint,
        ),
        promise=promise,
        groups=tuple(groups),
        policies={name: point.spec for name, point in points.items()},
        solve=_stated(service, levels, groups, promise.latency_s, program, solution, solver),
        binding=tuple(binding_constraints(service, levels, groups, points)),
        notes=tuple(notes_on(service, profile, choices, active)),
    )


def _capacity_rps(candidate: Candidate, service: Service) -> float:
    """What a replica may be given under the service's SLO, where latency was pressed below it."""
    if service.objective != "latency":
        return candidate.capacity_rps
    return most_rps(candidate.law, parts_of(service.serving_s, len(service.stages))[-1], service.rate_rps)


def _stated(
    service: Service, levels: Levels, groups: Sequence[Group], latency_s: float,
    program: Program, solution: Solution, solver: str,
) -> Solve:  # fmt: skip
    assert solution.status != "infeasible"
    objective, bound = solution.objective, solution.bound
    if service.objective == "latency":  # the program counts the parts of the SLO, the plan its promise
        objective = objective_of(service, levels, groups, latency_s)
        bound = max(bound, objective)
    return Solve(
        solver=solver,
        status=solution.status,
        objective=objective,
        bound=bound,
        columns=len(program.columns) - solution.pruned,
        columns_pruned=program.pruned + solution.pruned,
    )
