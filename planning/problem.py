"""The program that chooses replicas: columns, load, limits and weights, and what a solver answers.

Axes: J columns.
"""

from dataclasses import dataclass
from typing import Literal

from ttamer.profiles.errors import InputError

Status = Literal["optimal", "time-limited", "infeasible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one replica of a candidate costs, takes and gives.

    latency_s: the part of the end-to-end latency that its stage then needs. accuracy: 0 if unknown.
    """

    stage: str
    cores: int
    batch: int
    capacity_rps: float
    accuracy: float
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        if self.cores < 1 or self.batch < 1 or not self.capacity_rps > 0 or self.latency_s < 0:
            raise InputError(f"no column can look like {self}", remedy="cores, batch and capacity are above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Replicas n_j and shares w_j of the load for each column j, to be chosen.

    maximise  accuracy · Σ w_j accuracy_j − cost · Σ n_j cores_j − batch · Σ_{j active} batch_j
    with the constraints of `ttamer.planning.constraints`. Limits are None where there is none.
    """

    columns: tuple[Column, ...]
    stages: tuple[str, ...]
    rate_rps: float
    most_cores: int | None = None
    most_replicas: int = 100
    most_latency_s: float | None = None
    mix: bool = True
    accuracy_weight: float = 1.0
    cost_weight: float = 1e-3
    batch_weight: float = 1e-6

    def __post_init__(self) -> None:
        strangers = {column.stage for column in self.columns} - set(self.stages)
        if strangers or not self.stages or not self.rate_rps > 0:
            raise InputError(f"columns of unknown stages {sorted(strangers)}, or no stage or load")

    def in_stage(self, stage: str) -> list[int]:
        """Numbers of the stage's columns."""
        return [j for j, column in enumerate(self.columns) if column.stage == stage]

    def most_replicas_of(self, j: int) -> int:
        """Replicas of column j beyond which another never helps: they carry all the load, or a limit is reached."""
        column = self.columns[j]
        enough = int(-(-self.rate_rps * (1 - 1e-12) // column.capacity_rps))
        affordable = self.most_replicas if self.most_cores is None else self.most_cores // column.cores
        return max(0, min(enough, affordable, self.most_replicas))

    def objective(self, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> float:
        """The value of a choice."""
        accuracy = sum(share * column.accuracy for share, column in zip(share_J, self.columns, strict=True))
        cores = sum(count * column.cores for count, column in zip(replicas_J, self.columns, strict=True))
        batch = sum(column.batch for count, column in zip(replicas_J, self.columns, strict=True) if count)
        return self.accuracy_weight * accuracy - self.cost_weight * cores - self.batch_weight * batch


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveLimits:
    """How long a solver may take; what it has by then is returned as `time-limited`."""

    time_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A solver's answer. bound: no choice has a higher objective. Without replicas if infeasible."""

    status: Status
    objective: float = float("-inf")
    bound: float = float("-inf")
    replicas_J: tuple[int, ...] = ()
    share_J: tuple[float, ...] = ()


def best_shares(problem: Problem, replicas_J: tuple[int, ...]) -> tuple[float, ...] | None:
    """The shares that give each stage the most accuracy with these replicas; None if they cannot carry the load.

    The most accurate fill up first; equally accurate ones share in proportion to what they can take.
    """
    share_J = [0.0] * len(problem.columns)
    for stage in problem.stages:
        active = [j for j in problem.in_stage(stage) if replicas_J[j]]
        room = {j: replicas_J[j] * problem.columns[j].capacity_rps / problem.rate_rps for j in active}
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
