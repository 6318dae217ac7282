"""A plan beside what other planners would have done: same profile, SLO, load and limits.

The other planners know whole models only, no early exits. One that finds nothing within the limits is asked again
without them, so that the table can say what it would have needed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from ttamer.planning.baselines import BASELINES, Baseline
from ttamer.planning.naming import in_short
from ttamer.planning.problem import Problem, Solution
from ttamer.planning.program import Program, make_program
from ttamer.planning.promises import deploy, promise_of_group, promise_of_plan
from ttamer.planning.slack import Slack, slacks
from ttamer.planning.valuation import Levels, levels_of, objective_of
from ttamer.planning.verify import describe, verify
from ttamer.planning.what_if import WhatIf
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.errors import BrokenPromiseError
from ttamer.profiles.plan import Group, Plan, Promise
from ttamer.profiles.profile import Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Service

FORMAT, VERSION = "comparison", 1
NAMES = {
    "fa2-low": "FA2-low", "fa2-high": "FA2-high", "rim": "RIM", "ms-plus": "MS+", "vpa-plus": "VPA+",
    "static": "static",
}  # fmt: skip
PLENTY = 10**6  # replicas


class Row(Document):
    """What one planner does; without numbers and broken limits if its rule finds nothing that carries the load.

    cores: of CPUs, devices: of GPUs. cost: money an hour, None without prices. objective: as the plan counts it.
    """

    planner: str
    feasible: bool
    broken: tuple[Slack, ...] = ()
    accuracy: float | None = None
    cores: int | None = None
    devices: int | None = None
    cost: float | None = None
    latency_s: float | None = None
    objective: float | None = None
    groups: tuple[str, ...] = ()


class Comparison(Document):
    """The plan, first, and the other planners under the same service."""

    service: Service
    rows: tuple[Row, ...]


def compare(plan: Plan, profile: Profile) -> Comparison:
    """The plan beside every baseline.

    Raises DocumentError if the plan was made from another profile, BrokenPromiseError if it does not hold.
    """
    violations = verify(plan, profile)
    if violations:
        raise BrokenPromiseError(f"the plan does not hold: {describe(violations)}", remedy="plan anew")
    service, what_if = plan.service, WhatIf(profile, plan.solve.solver)
    choices = what_if.choices(service)
    whole = [server for server in what_if.servers(service) if server.point.paths is None]
    levels = levels_of(profile, choices)
    program = make_program(service, whole, levels, prune=False)
    datasets = [choice.dataset for choice in choices]
    rows = [_row_of_plan(plan)]
    for name, baseline in BASELINES.items():
        rows.append(_row_of_baseline(NAMES.get(name, name), baseline, service, program, levels, datasets))
    return Comparison(service=service, rows=tuple(rows))


def _row_of_plan(plan: Plan) -> Row:
    return _row("ttamer", plan.service, plan.groups, plan.promise, plan.solve.objective, ())


def _row_of_baseline(
    name: str, baseline: Baseline, service: Service, program: Program, levels: Levels, datasets: Sequence[str | None]
) -> Row:
    problem = program.problem
    solution = baseline(problem)
    if solution.status == "infeasible":
        solution = baseline(without_limits(problem))
    if solution.status == "infeasible":
        return Row(planner=name, feasible=False)
    groups = _groups(solution, program, service)
    points = {candidate.policy: candidate.point for candidate in program.columns}
    promise = promise_of_plan(service, groups, points, datasets)
    objective = objective_of(service, levels, groups, promise.latency_s)
    broken = [slack for slack in slacks(service, groups, promise, points, levels) if slack.is_broken]
    return _row(name, service, groups, promise, objective, broken)


def without_limits(problem: Problem) -> Problem:
    """The problem with all the cores, money, replicas and memory there could be, and no accuracy asked for."""
    pools = tuple(replace(pool, most_cores=None, most_memory_bytes=None) for pool in problem.pools)
    return replace(
        problem, pools=pools, most_cores=None, most_cost=None, most_replicas=PLENTY, most_stage_replicas=None,
        most_memory_bytes=None, least_accuracy=None,
    )  # fmt: skip


def _groups(solution: Solution, program: Program, service: Service) -> list[Group]:
    chosen = zip(program.columns, solution.replicas_J, solution.share_J, strict=True)
    return [
        promise_of_group(candidate, deploy(candidate, count, share, service.rate_rps), candidate.capacity_rps)
        for candidate, count, share in chosen
        if count and share > 0
    ]


def _row(
    name: str, service: Service, groups: Sequence[Group], promise: Promise, objective: float, broken: Sequence[Slack]
) -> Row:
    return Row(
        planner=name,
        feasible=not broken,
        broken=tuple(broken),
        accuracy=promise.accuracy,
        cores=promise.cores,
        devices=promise.devices,
        cost=promise.cost_per_hour,
        latency_s=promise.latency_s,
        objective=objective,
        groups=tuple(in_short(group) for group in groups),
    )


def write_comparison(path: Path, comparison: Comparison, provenance: Provenance) -> Path:
    """Write the comparison as a Parquet table, a row a planner; returns the path."""
    rows = [row.model_dump() | {"broken": [slack.constraint for slack in row.broken]} for row in comparison.rows]
    table = pa.Table.from_pylist(rows, schema=COMPARISON_SCHEMA)
    service = comparison.service
    header = envelope(FORMAT, VERSION, provenance) | {"slo_s": service.slo_s, "rate_rps": service.rate_rps}
    write_table(path, table, header)
    return path


COMPARISON_SCHEMA = pa.schema({
    "planner": pa.string(), "feasible": pa.bool_(), "broken": pa.list_(pa.string()), "accuracy": pa.float64(),
    "cores": pa.int32(), "devices": pa.int32(), "cost": pa.float64(), "latency_s": pa.float64(),
    "objective": pa.float64(), "groups": pa.list_(pa.string()),
})  # fmt: skip
