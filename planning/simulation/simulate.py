"""Simulating a plan: what it promised beside what its deployment does under load.

Axes: N requests in order of arrival, W windows of time.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.checks import (
    accuracy_check,
    effective_requests,
    latency_check,
    miss_check,
    overall,
    utilization_check,
)
from ttamer.planning.simulation.deployment import Deployed, deploy
from ttamer.planning.simulation.requests import UNKNOWN, RequestTable
from ttamer.planning.simulation.routing import ROUTINGS
from ttamer.planning.simulation.run import Load, Progress, run_stages
from ttamer.profiles.errors import InputError
from ttamer.profiles.cascade import join_records
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import ExitRecords, Floats
from ttamer.profiles.registry import lookup
from ttamer.profiles.shelf import records_path
from ttamer.profiles.simulation import Check, GroupLoad, SimulationReport

FEWEST_REQUESTS = 50_000  # so that utilization and mean batch are steady at low quantiles too
BEYOND_THE_QUANTILE = 1000  # requests; a busy queue makes a hundred of them worth as much as one independent one


def default_requests(quantile: float) -> int:
    """Enough requests for a useful interval of the quantile: 1000 beyond it, 50,000 at least.

    >>> default_requests(0.99), default_requests(0.5)
    (100000, 50000)
    """
    return max(FEWEST_REQUESTS, math.ceil(round(BEYOND_THE_QUANTILE / (1 - quantile), 6)))


def read_records(plan: Plan, profile: Profile) -> dict[str, ExitRecords]:
    """The test records of the plan's models that lie in the profile's folder, by model."""
    folder = profile.require_folder()
    found: dict[str, ExitRecords] = {}
    for model in dict.fromkeys(group.model for group in plan.groups):
        paths = [records_path(folder, member, "test") for member in profile.members(model)]
        if all(path.is_file() for path in paths):
            found[model] = join_records([ExitRecords.read(path) for path in paths])
    return found


def simulate(
    plan: Plan,
    profile: Profile,
    records: Mapping[str, ExitRecords],
    *,
    requests: int,
    seed: int,
    arrivals: str = "poisson",
    rate_scale: float = 1.0,
    warm_up: float = 0.1,
    routing: str = "random",
    clock: str = "ideal",
    plan_sha256: str | None = None,
    on_progress: Progress | None = None,
) -> tuple[SimulationReport, RequestTable]:
    """What the plan promised beside what its simulated deployment did, and what every request met.

    records: test records by model. rate_scale multiplies the plan's load. warm_up: the fraction of the requests,
    the first ones, that is not judged. routing: `random` or `shortest-queue`, within a group. clock: a name of
    `clocks/`. plan_sha256: of the plan's file; default: of its content.
    on_progress is told how many requests of how many are done. The same seed gives the same report.
    Raises DocumentError if the plan was made from other measurements, InputError on an impossible argument, on
    missing test records of a policy with early exits, and on batches that were not measured.
    """
    first = _check_arguments(requests, rate_scale, warm_up)
    process = lookup(ARRIVALS, arrivals, "arrival process")
    route = lookup(ROUTINGS, routing, "routing")
    stages = deploy(plan, profile, records, clock)
    rate_rps = plan.service.rate_rps * rate_scale
    for_arrivals, *for_stages = np.random.default_rng(seed).spawn(1 + len(stages))
    table, loads = run_stages(stages, process(rate_rps, requests, for_arrivals), first, route, for_stages, on_progress)
    sojourn_s_N, slo_s = table.end_to_end_s(), plan.service.serving_s
    checks = _checks(plan, records, stages, sojourn_s_N, loads)
    overloads = _overloads(stages, rate_rps)
    report = SimulationReport(
        plan_sha256=plan_sha256 or hashlib.sha256(plan.model_dump_json().encode()).hexdigest(),
        seed=seed,
        arrivals=arrivals,
        rate_rps=rate_rps,
        requests=requests,
        warm_up_requests=first,
        duration_s=float(table.arrival_s_N[requests - 1] - table.arrival_s_N[first]),
        slo_s=slo_s,
        slo_misses=float((sojourn_s_N > slo_s).mean()),
        checks=checks,
        groups=tuple(_group_load(load, table) for load in loads),
        verdict="broken" if overloads else overall(checks),
        notes=(*overloads, *_notes(rate_scale, checks, sojourn_s_N, plan)),
    )
    return report, table


def _check_arguments(requests: int, rate_scale: float, warm_up: float) -> int:
    """The number of requests that warm up. Raises InputError on a value outside what is allowed."""
    if not 0 <= warm_up < 1:
        raise InputError(f"a warm-up of {warm_up:g} of the requests", remedy="give a fraction from 0 to below 1")
    if not 0 < rate_scale < math.inf:
        raise InputError(f"a load of {rate_scale:g} times the planned one", remedy="give a number above zero")
    first = int(requests * warm_up)
    if requests - first < 2:
        raise InputError(f"{requests} requests are too few to observe anything", remedy="give 50000 or more")
    return first


def _checks(
    plan: Plan,
    records: Mapping[str, ExitRecords],
    stages: Sequence[Sequence[Deployed]],
    sojourn_s_N: Floats,
    loads: Sequence[Load],
) -> tuple[Check, ...]:
    promise, quantile = plan.promise, plan.service.quantile
    busiest_W = max((load.busy_RW.mean(axis=0) for load in loads), key=lambda busy_W: float(busy_W.mean()))
    return (
        latency_check(sojourn_s_N, quantile, promise.latency_s),
        miss_check(sojourn_s_N, quantile, plan.service.serving_s),
        accuracy_check(promise.accuracy_low, _accuracy(plan, records, stages)),
        utilization_check(promise.utilization, busiest_W),
    )


def _accuracy(
    plan: Plan, records: Mapping[str, ExitRecords], stages: Sequence[Sequence[Deployed]]
) -> tuple[float, float, float] | None:
    """Accuracy on all test records with its interval, None if a group has none or they are of another data set.

    Within a stage the load weighs accuracies and ends of intervals; stages multiply, as errors add up. The
    simulated draws are not counted: they repeat the records and would pretend to more evidence than there is.
    """
    total = np.ones(3)
    for groups in stages:
        stage = np.zeros(3)
        for one in groups:
            seen = records.get(one.group.model)
            if seen is None or UNKNOWN in one.answers.correct_M or plan.promise.dataset not in (None, seen.dataset):
                return None
            right, rows = int(one.answers.correct_M.sum()), len(one.answers.correct_M)
            stage += one.group.share * np.array([right / rows, *wilson_interval(right, rows)])
        total *= stage
    return float(total[0]), float(total[1]), float(total[2])


def _group_load(load: Load, table: RequestTable) -> GroupLoad:
    measured_N = (table.group_N == load.deployed.number) & ~table.warm_up_N
    requests = int(measured_N.sum())
    batches = float((1 / table.batch_N[measured_N]).sum())
    group = load.deployed.group
    return GroupLoad(
        stage=group.stage,
        model=group.model,
        policy=group.policy,
        requests=requests,
        utilization=float(load.busy_RW.mean()),
        mean_batch=requests / batches if requests else 0.0,
    )


def _overloads(stages: Sequence[Sequence[Deployed]], rate_rps: float) -> tuple[str, ...]:
    notes = []
    for one in (one for groups in stages for one in groups):
        offered_rps = rate_rps * one.group.share / one.group.replicas
        capacity_rps = one.capacity_rps()
        if offered_rps >= capacity_rps:
            notes.append(
                f"overload: each replica of {one.group.model} ({one.group.policy}) is offered {offered_rps:.4g} rps and"
                f" can answer {capacity_rps:.4g}; its queue grows without bound, so latencies grow with the run"
            )
    return tuple(notes)


def _notes(rate_scale: float, checks: Sequence[Check], sojourn_s_N: Floats, plan: Plan) -> tuple[str, ...]:
    notes = []
    if rate_scale != 1:
        notes.append(f"the load is {rate_scale:g} times the one the plan was made for")
    effective = effective_requests(sojourn_s_N > (checks[0].observed or 0.0))
    if effective < len(sojourn_s_N):
        notes.append(
            f"the latency interval counts {len(sojourn_s_N)} requests as {effective} independent ones:"
            " requests that queue together are late together"
        )
    if checks[0].verdict == "undecided":
        notes.append("the promised latency lies within the interval of what was observed: simulate more requests")
    accuracy = checks[2]
    if accuracy.verdict == "undecided" and accuracy.promised is not None and accuracy.observed is not None:
        notes.append("the test records are too few to tell whether the promised accuracy is kept: record more")
    if any(check.promised is not None and check.observed is None for check in checks):
        source = f" ({plan.promise.accuracy_source})" if plan.promise.accuracy_source else ""
        notes.append(f"the promised accuracy{source} was not checked: there are no test records of every model in use")
    return tuple(notes)
