"""Running a deployment that changes: from one moment at which something may change to the next.

Between two such moments every stage has fixed replicas, so its queues are advanced over all their requests at once; a
request that is answered before the second moment has then arrived at the next stage. Batches that start before a moment
cannot depend on what comes after it, so the result is that of a simulation event by event.

Axes: N requests in order of arrival, M those that pass a stage between two moments, G replica groups of a stage.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.simulation.adaptive import Behavior, Busy, Setting, StageVisits
from ttamer.planning.simulation.replicas import Crew, Replica, ReplicaGroup
from ttamer.profiles.records import Floats, Ints

UNSERVED = -1
Split = Callable[[Floats, int, np.random.Generator], Ints]
"""(weights, count, rng) -> which of the weighted ones each of `count` requests in a row goes to."""


Deadlines = Callable[[Ints], Floats]
"""When the SLO of these requests runs out, in seconds."""


def random_split(weights: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Every request draws its place, so Poisson arrivals stay Poisson everywhere."""
    if len(weights) == 1:
        return np.zeros(count, dtype=np.int64)
    edges = np.cumsum(weights)
    return np.asarray(np.searchsorted(edges, rng.random(count) * edges[-1], side="right"))


def even_split(weights: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Everyone's turns are spread evenly over the row, as a weighted round robin does; the start is drawn.

    >>> even_split(np.array([1.0, 1.0]), 4, np.random.default_rng(0)).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
    True
    """
    steps = weights.sum() / np.maximum(weights, 1e-300)
    turns = [(rng.random() + np.arange(int(count / step) + 2)) * step for step in steps]
    order = np.argsort(np.concatenate(turns), kind="stable")[:count]
    return np.repeat(np.arange(len(weights)), [len(each) for each in turns])[order]


@dataclass(slots=True, eq=False)
class StageRun:
    """One stage while it runs: who serves it, who has come, and what each met. No request is at two stages at once."""

    crew: Crew
    split: Split
    rng: np.random.Generator
    visits: StageVisits
    accuracy_N: Floats
    level_N: Floats | None
    behaviors: list[Behavior] = field(default_factory=list)
    coming_M: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    answered_M: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    dropped: int = 0

    def run_until(self, moment_s: float, now_s: float, deadlines_s: Deadlines) -> Ints:
        """Pass on the requests that are answered before a moment, in the order of their answers.

        All that arrive before it are among `coming_M`; what serves does not change from now until then.
        """
        arrival_s_M = self.visits.arrival_s_N[self.coming_M]
        is_early_M = arrival_s_M < moment_s
        ids_M, self.coming_M = self.coming_M[is_early_M], self.coming_M[~is_early_M]
        if len(ids_M):
            self._admit(ids_M, arrival_s_M[is_early_M], now_s, deadlines_s)
        finished = [self.answered_M]
        for group in self.crew.groups:
            for queue in dict.fromkeys([group.shared] if group.shared else [one.queue for one in group.replicas]):
                queue.advance(moment_s)
                self.dropped += len(queue.dropped)
                self.accuracy_N[queue.dropped] = np.nan
                queue.dropped.clear()
            finished += [self._account(group, one) for one in group.replicas if one.server.sizes]
        self.crew.bury()
        ids_M = np.concatenate(finished)
        answer_s_M = self.visits.answer_s_N[ids_M]
        order = np.lexsort((ids_M, answer_s_M))
        passed = int(np.searchsorted(answer_s_M[order], moment_s))
        self.answered_M = ids_M[order[passed:]]
        return ids_M[order[:passed]]

    def _admit(self, ids_M: Ints, arrival_s_M: Floats, now_s: float, deadlines_s: Deadlines) -> None:
        groups = self.crew.serving(now_s)
        weights = np.array([group.weight(now_s) for group in groups])
        chosen_M = self.split(weights, len(ids_M), self.rng)
        level_M = self.rng.random(len(ids_M)) if self.level_N is None else self.level_N[ids_M]
        for place, group in enumerate(groups):
            mine = chosen_M == place
            if mine.any():
                self._offer(group, ids_M[mine], arrival_s_M[mine], level_M[mine], now_s, deadlines_s)

    def _offer(
        self,
        group: ReplicaGroup,
        ids_M: Ints,
        arrival_s_M: Floats,
        level_M: Floats,
        now_s: float,
        deadlines_s: Deadlines,
    ) -> None:
        answers = group.behavior.answers
        row_M = (level_M * len(answers.stop_M)).astype(np.int64)
        self.visits.group_N[ids_M], self.visits.row_N[ids_M] = group.number, row_M
        self.accuracy_N[ids_M] *= _accuracy(group.behavior, None if self.level_N is None else row_M)
        stop_M, deadline_s_M = answers.stop_M[row_M], deadlines_s(ids_M)
        ready = group.ready(now_s)
        queues = [group.shared] if group.shared else [one.queue for one in ready]
        turn_M = self.split(np.ones(len(queues)), len(ids_M), self.rng)
        for place, queue in enumerate(queues):
            mine = turn_M == place if len(queues) > 1 else slice(None)
            queue.offer(
                ids_M[mine].tolist(), arrival_s_M[mine].tolist(), stop_M[mine].tolist(), deadline_s_M[mine].tolist()
            )

    def _account(self, group: ReplicaGroup, one: Replica) -> Ints:
        """Write down what a replica has begun since it was last asked; returns the requests."""
        server, visits = one.server, self.visits
        ids_M, size_J = np.array(server.ids, dtype=np.int64), np.array(server.sizes, dtype=np.int64)
        start_s_M = np.repeat(np.array(server.starts_s), size_J)
        visits.start_s_N[ids_M] = start_s_M
        visits.answer_s_N[ids_M] = start_s_M + server.service.answered_s(size_J)
        visits.batch_N[ids_M] = np.repeat(size_J, size_J)
        server.forget()
        return ids_M

    def utilization(self, before_s: float, now_s: float) -> dict[int, Busy]:
        """How busy the replicas that are ready now were, since a moment or since they became ready, by group."""
        busy: dict[int, Busy] = {}
        for group in self.crew.groups:
            worked_s = present_s = 0.0
            for one in group.ready(now_s):
                done_s = one.server.worked_before(now_s)
                worked_s += done_s - one.reported_s
                present_s += now_s - max(before_s, one.ready_s)
                one.reported_s = done_s
            busy[group.number] = Busy(worked_s, present_s)
        return busy

    def waiting(self) -> int:
        """How many requests wait at the moment that was run to."""
        queues = [group.shared or one.queue for group in self.crew.groups for one in group.replicas]
        return sum(queue.length() for queue in dict.fromkeys(queues))


def _accuracy(behavior: Behavior, row_M: Ints | None) -> float | Floats:
    """What answers are worth: as seen on these rows, or else what is expected; nan if nobody knows."""
    correct_M = behavior.answers.correct_M
    if (correct_M >= 0).all():
        return float(correct_M.mean()) if row_M is None else correct_M[row_M].astype(np.float64)
    return float("nan") if behavior.accuracy is None else behavior.accuracy


def empty_visits(stage: str, groups: Sequence[Setting], count: int, arrival_s_N: Floats | None = None) -> StageVisits:
    """Room for what `count` requests will meet at a stage; arrival_s_N: when they come, where that is known."""
    return StageVisits(
        stage=stage,
        groups=groups,
        arrival_s_N=np.full(count, np.nan) if arrival_s_N is None else arrival_s_N,
        start_s_N=np.full(count, np.nan),
        answer_s_N=np.full(count, np.nan),
        group_N=np.full(count, UNSERVED, dtype=np.int32),
        batch_N=np.full(count, UNSERVED, dtype=np.int32),
        row_N=np.full(count, UNSERVED, dtype=np.int32),
    )
