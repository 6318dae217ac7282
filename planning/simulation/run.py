"""Sending requests through deployed groups: what every request met and how busy every replica was.

Axes: N requests, G groups of a stage, R replicas, W windows of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.deployment import Deployed
from ttamer.planning.simulation.requests import UNKNOWN, RequestTable
from ttamer.planning.simulation.routing import Routing
from ttamer.profiles.records import Floats, Ints

WINDOWS = 30  # enough to estimate a variance, few enough that neighbours hardly depend on each other

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the replicas of one group were: the busy share of each replica in each window of measured time."""

    deployed: Deployed
    busy_RW: Floats


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
    requests = len(arrival_s_N)
    edges_s_W = np.linspace(arrival_s_N[warm_up], arrival_s_N[-1], WINDOWS + 1)
    table = empty_table(len(stages), requests, warm_up)
    loads: list[Load] = []
    for place, (stage, rng) in enumerate(zip(stages, seeds, strict=True)):
        first = place * requests
        table.arrival_s_N[first : first + requests] = arrival_s_N
        order_N = np.argsort(arrival_s_N, kind="stable")
        loads += _run_stage(stage, arrival_s_N[order_N], first + order_N, table, edges_s_W, routing, rng)
        if place + 1 < len(stages):
            rows = slice(first, first + requests)
            arrival_s_N = arrival_s_N + table.wait_s_N[rows] + table.service_s_N[rows]
        if on_progress:
            on_progress((place + 1) * requests, len(stages) * requests)
    return table, sorted(loads, key=lambda load: load.deployed.number)


def empty_table(stages: int, requests: int, warm_up: int) -> RequestTable:
    """Room for what the requests will meet; few bytes for small numbers, as there may be many requests."""
    rows = stages * requests
    return RequestTable(
        stages=stages,
        warm_up=warm_up,
        arrival_s_N=np.full(rows, np.nan),
        group_N=np.full(rows, UNKNOWN, dtype=np.int16),
        wait_s_N=np.full(rows, np.nan),
        service_s_N=np.full(rows, np.nan),
        batch_N=np.zeros(rows, dtype=np.int32),
        stop_exit_N=np.full(rows, UNKNOWN, dtype=np.int16),
        correct_N=np.full(rows, UNKNOWN, dtype=np.int8),
    )


def _run_stage(
    groups: Sequence[Deployed], arrival_s_N: Floats, row_N: Ints, table: RequestTable, edges_s_W: Floats,
    routing: Routing, rng: np.random.Generator,
) -> list[Load]:  # fmt: skip
    """Write what the requests of a stage, in order of arrival, meet into their rows of the table."""
    count = len(arrival_s_N)
    shares = np.array([one.group.share for one in groups])
    chosen_N = np.zeros(count, dtype=np.int16)
    if len(groups) > 1:
        chosen_N = rng.choice(len(groups), count, p=shares / shares.sum()).astype(np.int16)
    loads = []
    for place, (one, child) in enumerate(zip(groups, rng.spawn(len(groups)), strict=True)):
        mine_N = np.flatnonzero(chosen_N == place) if len(groups) > 1 else slice(None)
        rows = row_N[mine_N]
        record_M = (rng.random(len(rows)) * len(one.answers.stop_M)).astype(np.int32)
        stop_M = one.answers.stop_M[record_M]
        table.group_N[rows], table.stop_exit_N[rows] = one.number, stop_M
        table.correct_N[rows] = one.answers.correct_M[record_M]
        parts = routing(arrival_s_N[mine_N], stop_M, one.group.replicas, one.batching, one.service, child)
        for part in parts:
            at = rows[part.position_N]
            table.wait_s_N[at] = part.schedule.wait_s_N
            table.service_s_N[at] = part.schedule.service_s_N
            table.batch_N[at] = part.schedule.batch_N
        busy_RW = [busy_shares(part.schedule.start_s_J, part.schedule.end_s_J, edges_s_W) for part in parts]
        loads.append(Load(one, np.array(busy_RW)))
    return loads


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
