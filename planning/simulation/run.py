"""Sending requests through deployed groups: what every request met and how busy every replica was.

Axes: N requests, G groups of a stage, R replicas, W windows of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ttamer.planning.simulation.deployment import Deployed
from ttamer.planning.simulation.replica import PIECE
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
    table.arrival_s_N[:requests] = arrival_s_N
    loads: list[Load] = []
    for place, (stage, rng) in enumerate(zip(stages, seeds, strict=True)):
        rows = slice(place * requests, (place + 1) * requests)
        order_N = None if place == 0 else np.argsort(table.arrival_s_N[rows], kind="stable")
        loads += _run_stage(stage, _Visits(table, rows, order_N), edges_s_W, routing, rng)
        if place + 1 < len(stages):
            after = table.arrival_s_N[rows.stop : rows.stop + requests]
            np.add(table.arrival_s_N[rows], table.wait_s_N[rows], out=after)
            after += table.service_s_N[rows]
        if on_progress:
            on_progress((place + 1) * requests, len(stages) * requests)
    return table, sorted(loads, key=lambda load: load.deployed.number)


@dataclass(frozen=True, slots=True)
class _Visits:
    """The rows of a table that belong to one stage, and their order of arrival; None if they lie in it."""

    table: RequestTable
    rows: slice
    order_N: Ints | None

    def get(self, name: str, mine: Ints | slice) -> Any:
        """A column at positions in order of arrival; a view of it where that is possible."""
        column = getattr(self.table, name)[self.rows]
        return column[mine] if self.order_N is None else column[self.order_N[mine]]

    def put(self, name: str, mine: Ints | slice, values: Any) -> None:
        """Write a column at positions in order of arrival."""
        getattr(self.table, name)[self.rows][mine if self.order_N is None else self.order_N[mine]] = values


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
    groups: Sequence[Deployed], visits: _Visits, edges_s_W: Floats, routing: Routing, rng: np.random.Generator
) -> list[Load]:
    """Write what the requests of a stage meet into their rows of the table."""
    count = visits.rows.stop - visits.rows.start
    shares = np.array([one.group.share for one in groups])
    chosen_N = None
    if len(groups) > 1:
        chosen_N = rng.choice(len(groups), count, p=shares / shares.sum()).astype(np.int16)
    loads = []
    for place, (one, child) in enumerate(zip(groups, rng.spawn(len(groups)), strict=True)):
        mine_N = None if chosen_N is None else np.flatnonzero(chosen_N == place)
        _draw_rows(one, visits, mine_N, count, rng)
        everybody = slice(0, count) if mine_N is None else mine_N
        arrival_s_M, stop_M = visits.get("arrival_s_N", everybody), visits.get("stop_exit_N", everybody)
        busy_RW = np.zeros((one.group.replicas, len(edges_s_W) - 1))
        for part in routing(arrival_s_M, stop_M, one.group.replicas, one.batching, one.service, child):
            at = part.position_N if mine_N is None else mine_N[part.position_N]
            visits.put("wait_s_N", at, part.schedule.wait_s_N)
            visits.put("service_s_N", at, part.schedule.service_s_N)
            visits.put("batch_N", at, part.schedule.batch_N)
            busy_RW[part.replica] += busy_shares(part.schedule.start_s_J, part.schedule.end_s_J, edges_s_W)
        loads.append(Load(one, busy_RW))
    return loads


def _draw_rows(one: Deployed, visits: _Visits, mine_N: Ints | None, count: int, rng: np.random.Generator) -> None:
    """Give every request of a group a row of the test records: where it stops and whether the answer is right."""
    mine = count if mine_N is None else len(mine_N)
    for begun in range(0, mine, PIECE):
        end = min(begun + PIECE, mine)
        at = slice(begun, end) if mine_N is None else mine_N[begun:end]
        record_M = (rng.random(end - begun) * len(one.answers.stop_M)).astype(np.int64)
        visits.put("group_N", at, one.number)
        visits.put("stop_exit_N", at, one.answers.stop_M[record_M])
        visits.put("correct_N", at, one.answers.correct_M[record_M])


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
