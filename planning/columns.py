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
    return ColumnTable(
        stage_J=np.array([place[column.stage] for column in columns], dtype=np.int64),
        price_J=np.array([column.cores * price.get(column.pool, 1.0) for column in columns]),
        batch_J=np.array([column.batch for column in columns], dtype=np.int64),
        capacity_J=np.array([column.capacity_rps for column in columns]),
        accuracy_J=np.array([column.accuracy for column in columns]),
        latency_J=np.array([column.latency_s for column in columns]),
        load_s_J=np.array([column.load_time_s for column in columns]),
        running_J=np.array([column.running for column in columns], dtype=np.int64),
        enough_J=np.array([problem.enough_of(j) for j in range(len(columns))], dtype=np.int64),
        most_J=np.array([problem.most_replicas_of(j) for j in range(len(columns))], dtype=np.int64),
        is_fixed_J=np.array([column.replicas is not None for column in columns], dtype=bool),
    )


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
