"""The columns of a problem as arrays, and the limits on sums over replicas.

Axes: J columns, R resources.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ttamer.profiles.records import Floats, Ints

if TYPE_CHECKING:
    from ttamer.planning.problem import Problem

MOST_REPLICAS = 2**53  # whole numbers that doubles hold; no limit allows as many
ROUNDING = 1e-12  # relative, of a load divided by a capacity: 0.3 rps need three replicas of 0.1 rps, not four


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTable:
    """What the columns hold. stage_J: number of the stage. enough_J: replicas that carry all the load.

    most_J: replicas beyond which another never helps or is not allowed. is_fixed_J: active only with most_J replicas.
    """

    stage_J: Ints
    price_J: Floats
    batch_J: Ints
    capacity_J: Floats
    accuracy_J: Floats
    latency_J: Floats
    load_s_J: Floats
    running_J: Ints
    enough_J: Ints
    most_J: Ints
    is_fixed_J: np.ndarray

    def loads_J(self, count_J: Ints) -> Floats:
        """Seconds of loading that each column causes with these replicas."""
        return np.where(count_J > self.running_J, self.load_s_J, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """Σ n_j amount_j ≤ most."""

    name: str
    amount_J: Floats
    most: float


def make_table(problem: "Problem") -> ColumnTable:
    """The columns of a problem as arrays."""
    columns = problem.columns
    place = {stage: number for number, stage in enumerate(problem.stages)}
    price = {pool.name: pool.price for pool in problem.pools}
    cores_J = np.array([column.cores for column in columns], dtype=np.int64)
    capacity_J = np.array([column.capacity_rps for column in columns], dtype=float)
    fixed_J = np.array([column.replicas or 0 for column in columns], dtype=np.int64)
    enough_J = _enough_J(problem, capacity_J)
    return ColumnTable(
        stage_J=np.array([place[column.stage] for column in columns], dtype=np.int64),
        price_J=np.array([column.cores * price.get(column.pool, 1.0) for column in columns]),
        batch_J=np.array([column.batch for column in columns], dtype=np.int64),
        capacity_J=capacity_J,
        accuracy_J=np.array([column.accuracy for column in columns]),
        latency_J=np.array([column.latency_s for column in columns]),
        load_s_J=np.array([column.load_time_s for column in columns]),
        running_J=np.array([column.running for column in columns], dtype=np.int64),
        enough_J=enough_J,
        most_J=_most_J(problem, cores_J, fixed_J, enough_J),
        is_fixed_J=fixed_J > 0,
    )


def _enough_J(problem: "Problem", capacity_J: Floats) -> Ints:
    """Problem.enough_of of every column."""
    needed_J = -np.floor_divide(-problem.rate_rps * (1 - ROUNDING), capacity_J)
    return np.asarray(np.maximum(1, np.minimum(needed_J, MOST_REPLICAS).astype(np.int64)))


def _most_J(problem: "Problem", cores_J: Ints, fixed_J: Ints, enough_J: Ints) -> Ints:
    """Problem.most_replicas_of of every column."""
    limits = [limit for limit in (problem.most_replicas, problem.most_stage_replicas) if limit is not None]
    most_J = np.full(len(cores_J), min([*limits, MOST_REPLICAS]), dtype=np.int64)
    if problem.most_cores is not None:
        most_J = np.minimum(most_J, min(problem.most_cores, MOST_REPLICAS) // cores_J)
    for pool in problem.pools:
        if pool.most_cores is not None:
            is_here_J = np.array([column.pool == pool.name for column in problem.columns], dtype=bool)
            most_J = np.where(is_here_J, np.minimum(most_J, min(pool.most_cores, MOST_REPLICAS) // cores_J), most_J)
    free_J = np.maximum(0, np.minimum(enough_J, most_J))
    return np.where(fixed_J > 0, np.where(fixed_J <= most_J, fixed_J, 0), free_J)


def resources(problem: "Problem") -> Iterator[Resource]:
    """Every limit on a sum over replicas: cores, money, replicas and memory, of all, of pools and of stages."""
    columns = problem.columns
    cores_J = np.array([column.cores for column in columns], dtype=float)
    ones_J = np.ones(len(columns))
    memory_J = np.array([column.memory_bytes for column in columns], dtype=float)
    if problem.most_cores is not None:
        yield Resource("core budget", cores_J, problem.most_cores)
    if problem.most_cost is not None:
        yield Resource("budget", np.array([problem.price_of(j) for j in range(len(columns))]), problem.most_cost)
    if problem.most_replicas is not None:
        yield Resource("replica limit", ones_J, problem.most_replicas)
    if problem.most_memory_bytes is not None:
        yield Resource("memory limit", memory_J, problem.most_memory_bytes)
    for pool in problem.pools:
        is_here_J = np.array([column.pool == pool.name for column in columns])
        if pool.most_cores is not None:
            yield Resource(f"cores of pool {pool.name}", cores_J * is_here_J, pool.most_cores)
        if pool.most_memory_bytes is not None:
            yield Resource(f"memory of pool {pool.name}", memory_J * is_here_J, pool.most_memory_bytes)
    if problem.most_stage_replicas is not None:
        stage_J = np.array([column.stage for column in columns])
        for stage in problem.stages:
            is_here_J = np.asarray(stage_J == stage, dtype=float)
            yield Resource(f"replica limit of {stage}", is_here_J, problem.most_stage_replicas)
