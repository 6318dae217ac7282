"""Sending requests through deployed groups: what every request met and how busy every replica was.

Axes: N requests, G groups of a stage, R replicas, W windows of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.deployment import Deployed
from ttamer.planning.simulation.requests import RequestTable
from ttamer.planning.simulation.routing import Routing
from ttamer.profiles.records import Floats, Ints

WINDOWS = 30  # enough to estimate a variance, few enough that neighbours hardly depend on each other

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the replicas of one group were: the busy share of each replica in each window of measured time."""

    deployed: Deployed
    busy_RW: Floats


@dataclass(frozen=True, slots=True)
class _Visits:
    """What the requests of one stage met, in the order in which they arrived at it."""

    group_N: Ints
    wait_s_N: Floats
    service_s_N: Floats
    batch_N: Ints
    stop_N: Ints
    correct_N: Ints


def run_stages(
    stages: Sequence[Sequence[Deployed]],
    arrival_s_N: Floats,
    warm_up: int,
    routing: Routing,
    seeds: Sequence[np.random.Generator],
    on_progress: Progress | None,
) -> tuple[RequestTable, list[Load]]:
    """The requests' visits to every stage, and the load of every group in the order of the plan.

    A request arrives at the next stage when it is answered by the last. seeds: a generator a stage.
    """
    edges_s_W = np.linspace(arrival_s_N[warm_up], arrival_s_N[-1], WINDOWS + 1)
    request_N = np.arange(len(arrival_s_N))
    tables: list[RequestTable] = []
    loads: list[Load] = []
    for stage, rng in zip(stages, seeds, strict=True):
        order_N = np.argsort(arrival_s_N, kind="stable")
        visits, stage_loads = _run_stage(stage, arrival_s_N[order_N], edges_s_W, routing, rng)
        place_N = np.argsort(order_N)
        tables.append(_table(visits, place_N, request_N, arrival_s_N, warm_up))
        loads += stage_loads
        arrival_s_N = arrival_s_N + tables[-1].sojourn_s_N
        if on_progress:
            on_progress(len(tables) * len(request_N), len(stages) * len(request_N))
    return _stack(tables), sorted(loads, key=lambda load: load.deployed.number)


def _run_stage(
    groups: Sequence[Deployed], arrival_s_N: Floats, edges_s_W: Floats, routing: Routing, rng: np.random.Generator
) -> tuple[_Visits, list[Load]]:
    count = len(arrival_s_N)
    shares = np.array([one.group.share for one in groups])
    chosen_N = rng.choice(len(groups), count, p=shares / shares.sum())
    level_N = rng.random(count)
    visits = _Visits(
        group_N=np.array([one.number for one in groups])[chosen_N],
        wait_s_N=np.empty(count),
        service_s_N=np.empty(count),
        batch_N=np.empty(count, dtype=np.int64),
        stop_N=np.empty(count, dtype=np.int64),
        correct_N=np.empty(count, dtype=np.int64),
    )
    loads = []
    for place, (one, child) in enumerate(zip(groups, rng.spawn(len(groups)), strict=True)):
        mine_N = np.flatnonzero(chosen_N == place)
        row_N = (level_N[mine_N] * len(one.answers.stop_M)).astype(np.int64)
        stop_N = visits.stop_N[mine_N] = one.answers.stop_M[row_N]
        visits.correct_N[mine_N] = one.answers.correct_M[row_N]
        parts = routing(arrival_s_N[mine_N], stop_N, one.group.replicas, one.batching, one.service, child)
        for part in parts:
            at_N = mine_N[part.position_N]
            visits.wait_s_N[at_N] = part.schedule.wait_s_N
            visits.service_s_N[at_N] = part.schedule.service_s_N
            visits.batch_N[at_N] = part.schedule.batch_N
        busy_RW = [busy_shares(part.schedule.start_s_J, part.schedule.end_s_J, edges_s_W) for part in parts]
        loads.append(Load(one, np.array(busy_RW)))
    return visits, loads


def busy_shares(start_s_J: Floats, end_s_J: Floats, edges_s_W: Floats) -> Floats:
    """Share of every window, given by its edges, that lies within a server's busy times.

    >>> busy_shares(np.array([1.0, 4.0]), np.array([3.0, 5.0]), np.array([0.0, 2.0, 4.0])).tolist()
    [0.5, 0.5]
    """
    if not len(start_s_J):
        return np.zeros(len(edges_s_W) - 1)
    done_s_J = np.cumsum(end_s_J - start_s_J)
    times_s = np.column_stack([start_s_J, end_s_J]).ravel()
    worked_s = np.column_stack([done_s_J - (end_s_J - start_s_J), done_s_J]).ravel()
    return np.asarray(np.diff(np.interp(edges_s_W, times_s, worked_s)) / np.diff(edges_s_W))


def _table(visits: _Visits, place_N: Ints, request_N: Ints, arrival_s_N: Floats, warm_up: int) -> RequestTable:
    return RequestTable(
        request_N=request_N,
        warm_up_N=request_N < warm_up,
        arrival_s_N=arrival_s_N,
        group_N=visits.group_N[place_N],
        wait_s_N=visits.wait_s_N[place_N],
        service_s_N=visits.service_s_N[place_N],
        batch_N=visits.batch_N[place_N],
        stop_exit_N=visits.stop_N[place_N],
        correct_N=visits.correct_N[place_N],
    )


def _stack(tables: Sequence[RequestTable]) -> RequestTable:
    names = RequestTable.__dataclass_fields__
    return RequestTable(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in names})
