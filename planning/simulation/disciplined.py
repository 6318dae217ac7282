"""A plan's deployment where requests must be followed one by one: their order, their limits or their way matter.

Axes: N requests in order of arrival, W windows of time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.simulation.adaptive import AdaptiveRun, Behavior, Setting, StageVisits, Traffic
from ttamer.planning.simulation.conditions import Conditions
from ttamer.planning.simulation.deployment import Deployed
from ttamer.planning.simulation.requests import UNKNOWN, RequestTable, Visits, signed
from ttamer.planning.simulation.run import WINDOWS, Load, Progress, unmet
from ttamer.planning.simulation.running import run_adaptive


@dataclass(frozen=True, slots=True)
class PlanBook:
    """The behaviors of a plan's groups, whose settings are named by their place in the plan."""

    deployed: Mapping[str, Deployed]

    def behavior(self, setting: Setting) -> Behavior:
        """How replicas of this group behave."""
        one = self.deployed[setting.name or ""]
        return Behavior(curve=one.curve, answers=one.answers, releases=one.releases)


def run_disciplined(
    stages: Sequence[Sequence[Deployed]],
    traffic: Traffic,
    warm_up: int,
    conditions: Conditions,
    slo_s: float,
    rng: np.random.Generator,
    on_progress: Progress | None,
) -> tuple[RequestTable, list[Load]]:
    """The requests' visits to every stage, and the load of every group in the order of the plan."""
    deployed = [one for stage in stages for one in stage]
    arrival_s_N, requests = traffic.arrival_s_N, len(traffic.arrival_s_N)
    run = run_adaptive(
        tuple(_setting(one) for one in deployed),
        None,
        PlanBook({str(one.number): one for one in deployed}),
        traffic,
        slo_s=slo_s,
        discipline=conditions.discipline,
        clock=conditions.clock,
        routing=conditions.routing,
        seed=int(rng.integers(2**63)),
        sampled_s=np.linspace(arrival_s_N[warm_up], arrival_s_N[-1], WINDOWS + 1).tolist(),
        on_progress=_by_requests(on_progress, requests * len(stages)),
    )
    loads = [Load(one, _busy_RW(run, one)) for one in deployed]
    return _table(run, deployed, warm_up), sorted(loads, key=lambda load: load.deployed.number)


def _setting(one: Deployed) -> Setting:
    group = one.group
    return Setting(
        stage=group.stage,
        model=group.model,
        policy=group.policy,
        device=group.device,
        cores=group.cores,
        batch=group.batch,
        batch_timeout_s=group.batch_timeout_s,
        replicas=group.replicas,
        share=group.share,
        name=str(one.number),
    )


def _by_requests(on_progress: Progress | None, visits: int) -> Callable[[float, float], object] | None:
    """Progress in seconds told as progress in requests, which come evenly enough."""
    if on_progress is None:
        return None
    return lambda done_s, total_s: on_progress(round(visits * done_s / total_s), visits)


def _busy_RW(run: AdaptiveRun, one: Deployed) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The busy share of all replicas of a group in each window, as of one."""
    visits = next(visits for visits in run.visits if visits.stage == one.group.stage)
    number = [setting.name for setting in visits.groups].index(str(one.number))
    return np.array([[sample.groups[visits.stage, number].share for sample in run.samples[1:]]])


def _table(run: AdaptiveRun, deployed: Sequence[Deployed], warm_up: int) -> RequestTable:
    by_name = {str(one.number): one for one in deployed}
    return RequestTable(
        warm_up=warm_up,
        arrival_s_N=run.arrival_s_N,
        sojourn_s_N=run.sojourn_s_N,
        visits=tuple(_visits(one, [by_name[setting.name or ""] for setting in one.groups]) for one in run.visits),
        network_s_N=run.network_s_N if run.network_s_N.any() else None,
    )


def _visits(seen: StageVisits, groups: Sequence[Deployed]) -> Visits:
    """What the requests met at a stage; a dropped one is of no group and has no answer."""
    numbers = np.array([*(one.number for one in groups), UNKNOWN])
    visits = replace(unmet(groups, len(seen.group_N)), group_N=numbers.astype(signed(numbers.max()))[seen.group_N])
    visits.wait_s_N[:] = seen.start_s_N - seen.arrival_s_N
    visits.service_s_N[:] = seen.answer_s_N - seen.start_s_N
    visits.batch_N[:] = np.maximum(seen.batch_N, 0)
    visits.stop_exit_N[:], visits.correct_N[:] = UNKNOWN, UNKNOWN
    for number, one in enumerate(groups):
        mine = np.flatnonzero(seen.group_N == number)
        visits.stop_exit_N[mine] = one.answers.stop_M[seen.row_N[mine]]
        visits.correct_N[mine] = one.answers.correct_M[seen.row_N[mine]]
    return visits
