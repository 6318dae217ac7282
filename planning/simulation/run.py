"""Sending requests through deployed groups: what every request met and how busy every replica was.

Axes: N requests, G groups of a stage, R replicas, W windows of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.deployment import Answers, Deployed
from ttamer.planning.simulation.line import Line, Some, places_of
from ttamer.planning.simulation.replica import PIECE, Schedule
from ttamer.planning.simulation.requests import RequestTable, Visits, signed
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
    edges_s_W = np.linspace(arrival_s_N[warm_up], arrival_s_N[-1], WINDOWS + 1)
    requests, due_s_N = len(arrival_s_N), arrival_s_N.copy()
    met: list[Visits] = []
    loads: list[Load] = []
    for stage, rng in zip(stages, seeds, strict=True):
        since_s_N = arrival_s_N if len(met) + 1 == len(stages) else None
        here = _AtStage(Line.of(due_s_N), unmet(stage, requests), since_s_N)
        loads += _run_stage(stage, here, edges_s_W, routing, rng)
        met.append(here.visits)
        del here  # and with it the order
        if on_progress:
            on_progress(len(met) * requests, len(stages) * requests)
    table = RequestTable(warm_up=warm_up, arrival_s_N=arrival_s_N, sojourn_s_N=due_s_N, visits=tuple(met))
    return table, sorted(loads, key=lambda load: load.deployed.number)


@dataclass(frozen=True, slots=True)
class _AtStage:
    """A stage on the requests' way: who comes when, what they meet. since_s_N: first arrivals, if it is the last."""

    line: Line
    visits: Visits
    since_s_N: Floats | None

    def give_answers(self, places: Ints | slice, number: int, answers: Answers) -> None:
        """Write where requests of a group stop and whether their answers are right."""
        visits, who = self.visits, self.line.requests(places)
        visits.stop_exit_N[who], visits.correct_N[who] = answers.stop_M, answers.correct_M
        if visits.group_N.flags.writeable:  # more than one group
            visits.group_N[who] = number

    def serve(self, places: Ints | slice, schedule: Schedule) -> None:
        """Write what requests met. They are due at the next stage now; behind the last, it is how long they took."""
        visits, who = self.visits, self.line.requests(places)
        visits.wait_s_N[who], visits.service_s_N[who] = schedule.wait_s_N, schedule.service_s_N
        visits.batch_N[who] = schedule.batch_N
        due_s_N, since_s_N = self.line.due_s_N, self.since_s_N
        if since_s_N is None:
            due_s_N[who] = due_s_N[who] + schedule.wait_s_N + schedule.service_s_N
        else:  # nothing is rounded where there is one stage
            due_s_N[who] = (due_s_N[who] - since_s_N[who]) + (schedule.wait_s_N + schedule.service_s_N)


def unmet(groups: Sequence[Deployed], requests: int) -> Visits:
    """Room for what the requests will meet at a stage; a single group is one number."""
    numbers, stops = np.array([one.number for one in groups]), [int(one.answers.stop_M.max()) for one in groups]
    number = numbers.astype(signed(numbers.max()))
    return Visits(
        group_N=np.empty(requests, number.dtype) if len(groups) > 1 else np.broadcast_to(number, requests),
        wait_s_N=np.empty(requests, np.float32),
        service_s_N=np.empty(requests, np.float32),
        batch_N=np.empty(requests, np.min_scalar_type(max(one.batching.size for one in groups))),
        stop_exit_N=np.empty(requests, signed(max(stops))),
        correct_N=np.empty(requests, np.int8),
    )


def _run_stage(
    groups: Sequence[Deployed], here: _AtStage, edges_s_W: Floats, routing: Routing, rng: np.random.Generator
) -> list[Load]:
    """Let the requests go through a stage."""
    chosen_N = _chosen(groups, len(here.line), rng) if len(groups) > 1 else None
    loads = []
    for place, (one, child) in enumerate(zip(groups, rng.spawn(len(groups)), strict=True)):
        mine_N = None if chosen_N is None else places_of(chosen_N == place)
        stop_M = _draw_answers(one, here, mine_N, rng)
        arrivals = here.line if mine_N is None else Some(here.line, mine_N)
        busy_RW = np.zeros((one.group.replicas, len(edges_s_W) - 1))
        for part in routing(arrivals, stop_M, one.group.replicas, one.batching, one.service, child):
            here.serve(part.position_N if mine_N is None else mine_N[part.position_N], part.schedule)
            busy_RW[part.replica] += busy_shares(part.schedule.start_s_J, part.schedule.end_s_J, edges_s_W)
            del part  # before the next one is made
        loads.append(Load(one, busy_RW))
    return loads


def _chosen(groups: Sequence[Deployed], count: int, rng: np.random.Generator) -> Ints:
    """The group of every request, drawn by the shares of load."""
    shares = np.array([one.group.share for one in groups])
    chosen_N = np.empty(count, np.min_scalar_type(len(groups)))
    for begun in range(0, count, PIECE):
        piece_N = chosen_N[begun : begun + PIECE]
        piece_N[:] = rng.choice(len(groups), len(piece_N), p=shares / shares.sum())
    return chosen_N


def _draw_answers(one: Deployed, here: _AtStage, mine_N: Ints | None, rng: np.random.Generator) -> Ints:
    """Give every request of a group a row of the test records; where they stop, in order of arrival."""
    count = len(here.line) if mine_N is None else len(mine_N)
    stop_M = np.empty(count, here.visits.stop_exit_N.dtype)
    for begun in range(0, count, PIECE):
        end = min(begun + PIECE, count)
        row_M = (rng.random(end - begun) * len(one.answers.stop_M)).astype(np.int64)
        answers = Answers(one.answers.stop_M[row_M], one.answers.correct_M[row_M])
        here.give_answers(slice(begun, end) if mine_N is None else mine_N[begun:end], one.number, answers)
        stop_M[begun:end] = answers.stop_M
    return stop_M


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
