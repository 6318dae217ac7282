"""The serving program in one formulation: columns, pools, load, limits and weights, and what a solver answers.

Every planner is candidates × constraint families: IPA has a column per variant and batch, InfAdapter one per variant
and number of cores, Sponge one per cores and batch, and a joined program all of them (`ttamer.planning.programs`).

Axes: J columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from ttamer.planning.columns import MOST_REPLICAS, ROUNDING, ColumnTable, make_table
from ttamer.profiles.errors import InputError
from ttamer.profiles.registry import lookup
from ttamer.profiles.service import TIME_LIMIT_S

Status = Literal["optimal", "time-limited", "feasible", "infeasible"]
Aggregation = Literal["sum", "mean", "product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one replica of a candidate costs, takes and gives.

    cores: on a pool of devices, devices. latency_s: the part of the end-to-end latency that its stage then needs,
    waits included. accuracy: 0 if unknown. name: of the variant, for the reader and the baselines. pool: where it runs.
    replicas: their number if it is not free. group: of columns in one group of a stage at most one is active.
    running: replicas that run already; load_time_s is paid for having more of them.
    """

    stage: str
    cores: int
    batch: int
    capacity_rps: float
    accuracy: float
    latency_s: float = 0.0
    name: str = ""
    pool: str = ""
    memory_bytes: int = 0
    load_time_s: float = 0.0
    running: int = 0
    replicas: int | None = None
    group: str = ""

    def __post_init__(self) -> None:
        whole = self.cores >= 1 and self.batch >= 1 and (self.replicas is None or self.replicas >= 1)
        amounts = self.capacity_rps > 0 and self.latency_s >= 0 and self.accuracy >= 0
        if not whole or not amounts or self.memory_bytes < 0 or self.load_time_s < 0 or self.running < 0:
            raise InputError(
                f"no column can look like {self}", remedy="cores, batch and capacity are above zero, nothing is below"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Machines of one kind. price: of one core (in a pool of devices: of a device) for an hour. Limits: of them all."""

    name: str
    price: float = 1.0
    most_cores: int | None = None
    most_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.price < 0:
            raise InputError(f"a price of {self.price} in pool {self.name!r}", remedy="prices are zero or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Replicas n_j and shares w_j of the load for each column j, to be chosen.

    maximise  accuracy · A − cost · Σ n_j price_j − batch · Σ_{j active} batch_j − latency · Σ_s latency_s − loading · L
    A: over stages, the sum, mean or product of their load-weighted mean accuracy. price_j: cores_j times the price
    of its pool, 1 without pools. latency_s: the largest of the active columns of stage s. L: the longest load time of
    any column with more replicas than are running. The constraints: `ttamer.planning.constraints`; limits are None
    where there is none. most_cost: in the unit of prices. least_accuracy: of A.
    """

    columns: tuple[Column, ...]
    stages: tuple[str, ...]
    rate_rps: float
    pools: tuple[Pool, ...] = ()
    most_cores: int | None = None
    most_cost: float | None = None
    most_replicas: int | None = 100
    most_stage_replicas: int | None = None
    most_memory_bytes: int | None = None
    most_latency_s: float | None = None
    least_accuracy: float | None = None
    mix: bool = True
    aggregation: Aggregation = "sum"
    accuracy_weight: float = 1.0
    cost_weight: float = 1e-3
    batch_weight: float = 1e-6
    latency_weight: float = 0.0
    loading_weight: float = 0.0

    def __post_init__(self) -> None:
        strangers = {column.stage for column in self.columns} - set(self.stages)
        if strangers or not self.stages or not self.rate_rps >= 0:
            raise InputError(f"columns of unknown stages {sorted(strangers)}, or no stage, or a load below zero")
        nowhere = {column.pool for column in self.columns} - {pool.name for pool in self.pools}
        if self.pools and nowhere:
            raise InputError(f"columns of unknown pools {sorted(nowhere)}", remedy="name each pool with its price")
        weights = (self.accuracy_weight, self.cost_weight, self.batch_weight, self.latency_weight, self.loading_weight)
        if min(weights) < 0:
            raise InputError(f"a weight below zero among {weights}", remedy="weights are zero or more")

    def in_stage(self, stage: str) -> list[int]:
        """Numbers of the stage's columns."""
        return [j for j, column in enumerate(self.columns) if column.stage == stage]

    def table(self) -> ColumnTable:
        """The columns as arrays."""
        return make_table(self)

    def price_of(self, j: int) -> float:
        """What one replica of column j costs: money an hour, or cores if there are no pools."""
        column = self.columns[j]
        return column.cores * next((pool.price for pool in self.pools if pool.name == column.pool), 1.0)

    def most_of_pool(self, name: str) -> int | None:
        """The limit on the cores (on a GPU: devices) of a pool; None if it has none."""
        return next((pool.most_cores for pool in self.pools if pool.name == name), None)

    def enough_of(self, j: int) -> int:
        """The replicas of column j that carry all the load."""
        needed = -(-self.rate_rps * (1 - ROUNDING) // self.columns[j].capacity_rps)
        return max(1, int(min(needed, MOST_REPLICAS)))

    def most_replicas_of(self, j: int) -> int:
        """Replicas of column j beyond which another never helps: they carry all the load, or a limit is reached."""
        column = self.columns[j]
        limits = [limit for limit in (self.most_replicas, self.most_stage_replicas) if limit is not None]
        limits += [
            most // column.cores for most in (self.most_cores, self.most_of_pool(column.pool)) if most is not None
        ]
        if column.replicas is not None:
            return column.replicas if column.replicas <= min(limits, default=column.replicas) else 0
        return max(0, min([self.enough_of(j), *limits]))

    def accuracy(self, share_J: tuple[float, ...]) -> float:
        """A: the accuracy of the pipeline with these shares."""
        by_stage = dict.fromkeys(self.stages, 0.0)
        for share, column in zip(share_J, self.columns, strict=True):
            by_stage[column.stage] += share * column.accuracy
        if self.aggregation == "product":
            return prod(by_stage.values())
        return sum(by_stage.values()) / (len(self.stages) if self.aggregation == "mean" else 1)

    def cost(self, replicas_J: tuple[int, ...]) -> float:
        """What the replicas cost together."""
        return sum(count * self.price_of(j) for j, count in enumerate(replicas_J) if count)

    def latency_s(self, replicas_J: tuple[int, ...]) -> float:
        """The end-to-end latency: of each stage the largest of its active columns."""
        active = [column for count, column in zip(replicas_J, self.columns, strict=True) if count]
        return sum(max((one.latency_s for one in active if one.stage == stage), default=0.0) for stage in self.stages)

    def loading_s(self, replicas_J: tuple[int, ...]) -> float:
        """L: the longest load time of what is not running yet."""
        pairs = zip(replicas_J, self.columns, strict=True)
        return max((column.load_time_s for count, column in pairs if count > column.running), default=0.0)

    def objective(self, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> float:
        """The value of a choice."""
        batch = sum(column.batch for count, column in zip(replicas_J, self.columns, strict=True) if count)
        value = self.accuracy_weight * self.accuracy(share_J) - self.cost_weight * self.cost(replicas_J)
        value -= self.batch_weight * batch
        if self.latency_weight:
            value -= self.latency_weight * self.latency_s(replicas_J)
        if self.loading_weight:
            value -= self.loading_weight * self.loading_s(replicas_J)
        return value


SECOND_TO_NONE = 1e-6  # of the first aim's weight: decides only between plans that the first aim holds for equal
AIMS: Mapping[str, Mapping[str, float]] = {
    "accuracy": {"accuracy_weight": 1.0, "cost_weight": SECOND_TO_NONE},
    "cost": {"accuracy_weight": SECOND_TO_NONE, "cost_weight": 1.0},
    "latency": {"accuracy_weight": SECOND_TO_NONE, "cost_weight": SECOND_TO_NONE, "latency_weight": 1.0},
    "weighted": {},
}


def aimed(problem: Problem, objective: str) -> Problem:
    """The problem with the weights of one aim: `accuracy`, `cost`, `latency`, or `weighted` for those it has.

    Raises InputError on another objective.
    """
    weights = lookup(AIMS, objective, "objective")
    if not weights:
        return problem
    return replace(
        problem,
        accuracy_weight=weights["accuracy_weight"],
        cost_weight=weights["cost_weight"],
        batch_weight=SECOND_TO_NONE**2,
        latency_weight=weights.get("latency_weight", 0.0),
        loading_weight=0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveLimits:
    """How long a solver may take, and how far from the optimum it may stop (relative); 0 asks for the optimum.

    What it has by then is returned as `time-limited`; an answer within a gap above 0 is `optimal` to that gap.
    """

    time_s: float = TIME_LIMIT_S
    gap: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A solver's answer. bound: no choice has a higher objective. Without replicas if infeasible.

    status: `feasible` is a choice of a heuristic, of which nothing is proven. pruned: columns that were beaten by
    others or could not serve, and that the solver did not see.
    """

    status: Status
    objective: float = float("-inf")
    bound: float = float("-inf")
    replicas_J: tuple[int, ...] = ()
    share_J: tuple[float, ...] = ()
    pruned: int = 0


def best_shares(problem: Problem, replicas_J: tuple[int, ...]) -> tuple[float, ...] | None:
    """The shares that give each stage the most accuracy with these replicas; None if they cannot carry the load.

    The most accurate fill up first; equally accurate ones share in proportion to what they can take.
    """
    share_J = [0.0] * len(problem.columns)
    for stage in problem.stages:
        active = [j for j in problem.in_stage(stage) if replicas_J[j]]
        if not active:
            return None
        room = {j: _room(problem, j, replicas_J[j]) for j in active}
        left = 1.0
        for accuracy in sorted({problem.columns[j].accuracy for j in active}, reverse=True):
            equals = [j for j in active if problem.columns[j].accuracy == accuracy]
            together = sum(room[j] for j in equals)
            for j in equals:
                share_J[j] = room[j] * min(1.0, left / together)
            left -= min(left, together)
        if left > 1e-9:  # rounding of sums of shares; a missing replica leaves far more
            return None
        total = sum(share_J[j] for j in active)
        for j in active:
            share_J[j] /= total
    return tuple(share_J)


def _room(problem: Problem, j: int, count: int) -> float:
    """The share of the load that the replicas of column j can take, at most all of it."""
    if count * problem.columns[j].capacity_rps >= problem.rate_rps:
        return 1.0
    return count * problem.columns[j].capacity_rps / problem.rate_rps
