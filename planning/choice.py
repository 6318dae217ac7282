"""A choice of replicas and shares judged on its own: its objective, what it uses, and every limit that it breaks.

Solvers and baselines alike are judged here, from the definitions and not from the rows that a solver saw.

Axes: J columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ttamer.planning.problem import Problem

TOLERANCE = 1e-8  # relative: above the 1e-9 to which solvers keep a limit, and the rounding of sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a choice is worth and takes. broken: the limits it breaks, in words; empty if it is sound."""

    objective: float
    accuracy: float
    cost: float
    cores: int
    replicas: int
    latency_s: float
    loading_s: float
    broken: tuple[str, ...]


def score(problem: Problem, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> Score:
    """The score of a choice, sound or not."""
    return Score(
        objective=problem.objective(replicas_J, share_J),
        accuracy=problem.accuracy(share_J),
        cost=problem.cost(replicas_J),
        cores=sum(count * column.cores for count, column in zip(replicas_J, problem.columns, strict=True)),
        replicas=sum(replicas_J),
        latency_s=problem.latency_s(replicas_J),
        loading_s=problem.loading_s(replicas_J),
        broken=tuple(broken_limits(problem, replicas_J, share_J)),
    )


def broken_limits(problem: Problem, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> list[str]:
    """Every limit that the choice breaks, in words."""
    return [
        *_of_stages(problem, replicas_J, share_J),
        *_of_columns(problem, replicas_J, share_J),
        *_of_totals(problem, replicas_J, share_J),
    ]


def _of_stages(problem: Problem, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> Iterator[str]:
    for stage in problem.stages:
        active = [j for j in problem.in_stage(stage) if replicas_J[j]]
        served = sum(share_J[j] for j in problem.in_stage(stage))
        replicas = sum(replicas_J[j] for j in active)
        if abs(served - 1) > TOLERANCE:
            yield f"stage {stage!r} serves {served:.6g} of its load"
        if len(active) > 1 and not problem.mix:
            yield f"stage {stage!r} mixes {len(active)} columns"
        if problem.most_stage_replicas is not None and replicas > problem.most_stage_replicas:
            yield f"stage {stage!r} has {replicas} replicas, {problem.most_stage_replicas} allowed"
        groups = [problem.columns[j].group for j in active if problem.columns[j].group]
        for group in sorted({group for group in groups if groups.count(group) > 1}):
            yield f"stage {stage!r} has {groups.count(group)} active columns of {group!r}"


def _of_columns(problem: Problem, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> Iterator[str]:
    for j, (column, count, share) in enumerate(zip(problem.columns, replicas_J, share_J, strict=True)):
        load_rps, room_rps = share * problem.rate_rps, count * column.capacity_rps
        if load_rps > room_rps * (1 + TOLERANCE) or (share > 0 and not count):
            yield f"column {j} gets {load_rps:.6g} rps and takes {room_rps:.6g}"
        if column.replicas is not None and count not in (0, column.replicas):
            yield f"column {j} has {count} replicas, {column.replicas} are fixed"


def _of_totals(problem: Problem, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> Iterator[str]:
    used = [(column, count) for column, count in zip(problem.columns, replicas_J, strict=True) if count]
    cores = sum(count * column.cores for column, count in used)
    memory = sum(count * column.memory_bytes for column, count in used)
    yield from _above("cores", cores, problem.most_cores)
    yield from _above("replicas", sum(count for _, count in used), problem.most_replicas)
    yield from _above("bytes of memory", memory, problem.most_memory_bytes)
    yield from _above("cost", problem.cost(replicas_J), problem.most_cost)
    yield from _above("seconds of latency", problem.latency_s(replicas_J), problem.most_latency_s)
    for pool in problem.pools:
        here = [(column, count) for column, count in used if column.pool == pool.name]
        cores, memory = sum(n * one.cores for one, n in here), sum(n * one.memory_bytes for one, n in here)
        yield from _above(f"cores of pool {pool.name!r}", cores, pool.most_cores)
        yield from _above(f"bytes of memory of pool {pool.name!r}", memory, pool.most_memory_bytes)
    least = problem.least_accuracy
    if least is not None and problem.accuracy(share_J) < least - TOLERANCE * max(1.0, least):
        yield f"accuracy {problem.accuracy(share_J):.6g}, at least {least:.6g} asked for"


def _above(what: str, value: float, most: float | None) -> Iterator[str]:
    if most is not None and value > most + TOLERANCE * max(1.0, abs(most)) * (most > 0):
        yield f"{value:.6g} {what}, {most:.6g} allowed"
