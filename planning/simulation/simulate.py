"""Simulating a plan: what it promised beside what its deployment does under load.

Axes: N requests in order of arrival, R replications, W windows of time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.checks import (
    accuracy_check,
    cost_check,
    effective_requests,
    latency_check,
    overall,
    share_check,
    utilization_check,
)
from ttamer.planning.simulation.conditions import Conditions, Size
from ttamer.planning.simulation.deployment import Deployed, deploy
from ttamer.planning.simulation.disciplined import run_disciplined
from ttamer.planning.simulation.requests import UNKNOWN, RequestTable
from ttamer.planning.simulation.routing import ROUTINGS
from ttamer.planning.simulation.run import Load, Progress, run_stages
from ttamer.profiles.cascade import join_records
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import ExitRecords, Floats
from ttamer.profiles.shelf import records_path
from ttamer.profiles.simulation import Check, GroupLoad, SimulationReport


def read_records(plan: Plan, profile: Profile) -> dict[str, ExitRecords]:
    """The test records of the plan's models that lie in the profile's folder, by model."""
    folder = profile.require_folder()
    found: dict[str, ExitRecords] = {}
    for model in dict.fromkeys(group.model for group in plan.groups):
        paths = [records_path(folder, member, "test") for member in profile.members(model)]
        if all(path.is_file() for path in paths):
            found[model] = join_records([ExitRecords.read(path) for path in paths])
    return found


@dataclass(frozen=True, slots=True)
class Replication:
    """What is kept of one replication: measured sojourns and loads, and how long was measured."""

    sojourn_s_N: Floats
    busy_GW: tuple[Floats, ...]
    loads: tuple[GroupLoad, ...]
    warm_up: int
    requests: int
    duration_s: float


def simulate(
    plan: Plan,
    profile: Profile,
    records: Mapping[str, ExitRecords],
    *,
    size: Size,
    seed: int,
    conditions: Conditions | None = None,
    memory_bytes: int | None = None,
    plan_sha256: str | None = None,
    on_progress: Progress | None = None,
) -> tuple[SimulationReport, RequestTable]:
    """What the plan promised beside what its simulated deployment did, and what every request of the first
    replication met.

    records: test records by model. memory_bytes: what there is, None to ask for as much as it takes. plan_sha256: of
    the plan's file; default: of its content. on_progress is told how many requests of how many are done. The same seed
    gives the same report. Raises DocumentError if the plan was made from other measurements, InputError on a size that
    is too small or too large, on missing test records of a policy with early exits, and on batches that were not
    measured.
    """
    conditions = conditions or Conditions()
    size.check(len(plan.service.stages), conditions.footprint, memory_bytes)
    stages = deploy(plan, profile, records, conditions.clock, releases=conditions.releases)
    for one in (one for groups in stages for one in groups):
        conditions.discipline.check_batch(one.batching.size)
    done: list[Replication] = []
    first: RequestTable | None = None
    for rng in np.random.default_rng(seed).spawn(size.replications):
        tell = _part_of(on_progress, len(done), size.replications)
        replication, table = _replicate(plan, stages, conditions, size.requests, rng, tell)
        done.append(replication)
        first = first or table
        del table  # the next one needs the room
    assert first is not None
    return _report(plan, records, stages, conditions, done, seed, plan_sha256), first


def _part_of(on_progress: Progress | None, done: int, of: int) -> Progress | None:
    if on_progress is None:
        return None
    return lambda visits, total: on_progress(done * total + visits, of * total)


def _replicate(
    plan: Plan,
    stages: Sequence[Sequence[Deployed]],
    conditions: Conditions,
    requests: int,
    rng: np.random.Generator,
    on_progress: Progress | None,
) -> tuple[Replication, RequestTable]:
    for_arrivals, *for_stages = rng.spawn(1 + len(stages))
    traffic = conditions.traffic(plan.service.rate_rps, requests, for_arrivals)
    arrival_s_N = traffic.arrival_s_N
    warm_up = max(0, min(conditions.warm_up_of(len(arrival_s_N)), len(arrival_s_N) - 2))
    if conditions.needs_fleet:
        table, loads = run_disciplined(
            stages, traffic, warm_up, conditions, plan.service.serving_s, for_stages[0], on_progress
        )
    else:
        table, loads = run_stages(stages, arrival_s_N, warm_up, ROUTINGS[conditions.routing], for_stages, on_progress)
    replication = Replication(
        sojourn_s_N=table.end_to_end_s(),
        busy_GW=tuple(load.busy_RW.mean(axis=0) for load in loads),
        loads=tuple(_group_load(load, table) for load in loads),
        warm_up=warm_up,
        requests=len(arrival_s_N),
        duration_s=float(arrival_s_N[-1] - arrival_s_N[warm_up]),
    )
    return replication, table


def _group_load(load: Load, table: RequestTable) -> GroupLoad:
    requests, batches = 0, 0.0
    for visits in table.visits:
        measured_N = (visits.group_N == load.deployed.number) & (visits.batch_N > 0)
        measured_N[: table.warm_up] = False
        requests += int(measured_N.sum())
        batches += float((1 / visits.batch_N[measured_N]).sum())
    group = load.deployed.group
    return GroupLoad(
        stage=group.stage,
        model=group.model,
        policy=group.policy,
        requests=requests,
        utilization=float(load.busy_RW.mean()),
        promised_utilization=group.utilization,
        mean_batch=requests / batches if requests else 0.0,
        batch=group.batch,
    )


def _report(
    plan: Plan,
    records: Mapping[str, ExitRecords],
    stages: Sequence[Sequence[Deployed]],
    conditions: Conditions,
    done: Sequence[Replication],
    seed: int,
    plan_sha256: str | None,
) -> SimulationReport:
    slo_s, discipline = plan.service.serving_s, conditions.discipline
    checks = _checks(plan, records, stages, done)
    overloads = _overloads(stages, conditions.rate_rps(plan.service.rate_rps))
    measured = sum(len(one.sojourn_s_N) for one in done)
    return SimulationReport(
        plan_sha256=plan_sha256 or hashlib.sha256(plan.model_dump_json().encode()).hexdigest(),
        seed=seed,
        arrivals=conditions.arrivals_name,
        clock=conditions.clock,
        routing=conditions.routing,
        order=discipline.order,
        queue_limit=discipline.limit,
        patience_s=discipline.patience_s,
        drops_late=discipline.drops_late,
        exits="release" if conditions.releases else "stop",
        network=conditions.network is not None,
        rate_rps=conditions.rate_rps(plan.service.rate_rps),
        replications=len(done),
        requests=sum(one.requests for one in done),
        warm_up_requests=sum(one.warm_up for one in done),
        duration_s=float(np.mean([one.duration_s for one in done])),
        slo_s=slo_s,
        slo_misses=sum(float((one.sojourn_s_N > slo_s).sum()) for one in done) / measured,
        drops=sum(float(np.isinf(one.sojourn_s_N).sum()) for one in done) / measured,
        core_seconds=_cores(plan) * float(np.mean([one.duration_s for one in done])),
        checks=checks,
        groups=tuple(_pooled([one.loads[place] for one in done]) for place in range(len(plan.groups))),
        verdict="broken" if overloads else overall(checks),
        notes=(*overloads, *_notes(plan, conditions, checks, done)),
    )


def _cores(plan: Plan) -> int:
    return sum(group.replicas * group.cores for group in plan.groups)


def _pooled(loads: Sequence[GroupLoad]) -> GroupLoad:
    """The loads of one group in all replications as one."""
    requests = sum(load.requests for load in loads)
    batches = sum(load.requests / load.mean_batch for load in loads if load.requests)
    return loads[0].model_copy(
        update={
            "requests": requests,
            "utilization": float(np.mean([load.utilization for load in loads])),
            "mean_batch": requests / batches if requests else 0.0,
        }
    )


def _checks(
    plan: Plan,
    records: Mapping[str, ExitRecords],
    stages: Sequence[Sequence[Deployed]],
    done: Sequence[Replication],
) -> tuple[Check, ...]:
    promise, quantile = plan.promise, plan.service.quantile
    sojourn_s_R = [one.sojourn_s_N for one in done]
    busiest = int(np.argmax([np.mean([one.busy_GW[g].mean() for one in done]) for g in range(len(plan.groups))]))
    duration_s = float(np.mean([one.duration_s for one in done]))
    return (
        latency_check(sojourn_s_R, quantile, promise.latency_s),
        share_check("SLO misses", [sojourn_s_N > plan.service.serving_s for sojourn_s_N in sojourn_s_R], quantile),
        share_check("drops", [np.isinf(sojourn_s_N) for sojourn_s_N in sojourn_s_R], quantile),
        accuracy_check(promise.accuracy_low, _accuracy(plan, records, stages)),
        utilization_check(promise.utilization, [one.busy_GW[busiest] for one in done]),
        cost_check((promise.cores + promise.devices) * duration_s, _cores(plan) * duration_s),
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


def _notes(plan: Plan, conditions: Conditions, checks: Sequence[Check], done: Sequence[Replication]) -> tuple[str, ...]:
    latency, accuracy, notes = checks[0], checks[3], []
    if conditions.rate_scale != 1:
        notes.append(f"the load is {conditions.rate_scale:g} times the one it is made from")
    if not isinstance(conditions.arrivals, str):
        planned_rps, mean_rps = plan.service.rate_rps, conditions.rate_rps(0.0)
        notes.append(f"the trace brings {mean_rps:.4g} rps on average, the plan was made for {planned_rps:.4g}")
        notes += conditions.arrivals.notes
    exceeds_R = [one.sojourn_s_N > (latency.observed or 0.0) for one in done]
    effective, measured = effective_requests(exceeds_R), sum(len(one.sojourn_s_N) for one in done)
    if len(done) == 1 and effective < measured:
        notes.append(
            f"the latency interval counts {measured} requests as {effective} independent ones:"
            " requests that queue together are late together"
        )
    if latency.verdict == "undecided":
        notes.append("the promised latency lies within the interval of what was observed: simulate more requests")
    if accuracy.verdict == "undecided" and accuracy.promised is not None and accuracy.observed is not None:
        notes.append("the test records are too few to tell whether the promised accuracy is kept: record more")
    if accuracy.promised is not None and accuracy.observed is None:
        source = f" ({plan.promise.accuracy_source})" if plan.promise.accuracy_source else ""
        notes.append(f"the promised accuracy{source} was not checked: there are no test records of every model in use")
    return tuple(notes)
