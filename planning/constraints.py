"""The constraint families of the serving program, each a generator of named linear rows.

Variables by name: y[j] whether column j is active (0 or 1), n[j] its replicas, w[j] its share of its stage's load,
t[s] the part of the latency that stage s uses (1: the limit), L the loading time (s), u[j] whether more replicas
run than now, z[s,g] and p[s] the accuracy of stages up to s. A family's docstring is its inequality.

Without mixing n[j] is a multiple of y[j] and w[j] is y[j]; where replicas are fixed so is n[j].
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ttamer.planning.columns import resources
from ttamer.planning.problem import Problem
from ttamer.profiles.errors import InputError


@dataclass(frozen=True, slots=True)
class Row:
    """One linear constraint: the sum of coefficient × variable, its sense and its right-hand side."""

    name: str
    terms: dict[str, float]
    sense: Literal["<=", "=="]
    limit: float


def replicas_of(problem: Problem, j: int) -> tuple[str, float]:
    """The replicas of column j as a variable and its factor."""
    fixed = problem.columns[j].replicas
    if fixed is not None:
        return f"y[{j}]", float(fixed)
    return (f"n[{j}]", 1.0) if problem.mix else (f"y[{j}]", float(problem.enough_of(j)))


def share_of(problem: Problem, j: int) -> str:
    """The variable that holds the share of column j."""
    return f"w[{j}]" if problem.mix else f"y[{j}]"


def latency_unit_s(problem: Problem) -> float:
    """Seconds of one unit of t[s]: the limit, or the longest latency if there is none."""
    return problem.most_latency_s or max((column.latency_s for column in problem.columns), default=0.0) or 1.0


def usable(problem: Problem, j: int) -> bool:
    """Whether column j can be active at all: alone it must carry the load unless columns mix."""
    most = problem.most_replicas_of(j)
    return most > 0 and (problem.mix or most >= problem.enough_of(j))


def unusable(problem: Problem) -> Iterator[Row]:
    """y_j = 0 for every column j that breaks a limit by itself or, without mixing, cannot carry its stage's load."""
    for j in range(len(problem.columns)):
        if not usable(problem, j):
            yield Row(f"column {j} can not serve", {f"y[{j}]": 1.0}, "==", 0.0)


def load_is_served(problem: Problem) -> Iterator[Row]:
    """Σ_{j in s} w_j = 1 for every stage s."""
    for stage in problem.stages:
        yield Row(f"load of {stage}", {share_of(problem, j): 1.0 for j in problem.in_stage(stage)}, "==", 1.0)


def capacity(problem: Problem) -> Iterator[Row]:
    """w_j · rate ≤ n_j · capacity_j and w_j ≤ n_j for every column j."""
    if not problem.mix:
        return
    for j in range(len(problem.columns)):
        replicas, factor = replicas_of(problem, j)
        yield Row(f"capacity of column {j}", {f"w[{j}]": 1.0, replicas: -factor * _each(problem, j)}, "<=", 0.0)


def cover(problem: Problem) -> Iterator[Row]:
    """Σ_{j in s} n_j · min(1, capacity_j / rate) ≥ 1 for every stage s: implied, but of whole numbers alone."""
    if not problem.mix:
        return
    for stage in problem.stages:
        terms: dict[str, float] = {}
        for j in problem.in_stage(stage):
            replicas, factor = replicas_of(problem, j)
            terms[replicas] = -factor * _each(problem, j)
        yield Row(f"cover of {stage}", terms, "<=", -1.0)


def _each(problem: Problem, j: int) -> float:
    """The share of the load that one replica of column j takes."""
    return min(1.0, problem.columns[j].capacity_rps / problem.rate_rps) if problem.rate_rps else 1.0


def activity(problem: Problem) -> Iterator[Row]:
    """n_j ≤ most_j · y_j and w_j ≤ y_j for every column j."""
    if not problem.mix:
        return
    for j, column in enumerate(problem.columns):
        if column.replicas is None:
            yield Row(f"replicas of column {j}", {f"n[{j}]": 1.0, f"y[{j}]": -problem.most_replicas_of(j)}, "<=", 0.0)
        yield Row(f"share of column {j}", {f"w[{j}]": 1.0, f"y[{j}]": -1.0}, "<=", 0.0)


def one_of_a_group(problem: Problem) -> Iterator[Row]:
    """Σ_{j in g} y_j ≤ 1 for every group g of a stage, if columns may mix (else a stage has one active column)."""
    groups: dict[tuple[str, str], list[int]] = {}
    for j, column in enumerate(problem.columns):
        if problem.mix and column.group:
            groups.setdefault((column.stage, column.group), []).append(j)
    for (stage, group), members in groups.items():
        yield Row(f"one of {group} in {stage}", {f"y[{j}]": 1.0 for j in members}, "<=", 1.0)


def resource_limits(problem: Problem) -> Iterator[Row]:
    """Σ n_j · amount_j ≤ most, for cores, money, replicas and memory."""
    for resource in resources(problem):
        terms: dict[str, float] = {}
        unit = resource.most or 1.0
        for j, amount in enumerate(resource.amount_J.tolist()):
            if amount:
                replicas, factor = replicas_of(problem, j)
                terms[replicas] = factor * amount / unit
        if terms:
            yield Row(resource.name, terms, "<=", resource.most / unit)


def latency(problem: Problem) -> Iterator[Row]:
    """latency_j · y_j ≤ t_s for every column j of stage s, and Σ t_s ≤ most latency.

    Implied, but it binds where many columns are active in part: Σ_{j in s} latency_j · w_j ≤ t_s.
    """
    if problem.most_latency_s is None and not problem.latency_weight:
        return
    unit_s = latency_unit_s(problem)
    end_to_end: dict[str, float] = {}
    for place, stage in enumerate(problem.stages):
        members = {f"y[{j}]": problem.columns[j].latency_s / unit_s for j in problem.in_stage(stage)}
        if not problem.mix:
            end_to_end |= members
            continue
        end_to_end[f"t[{place}]"] = 1.0
        shares = {f"w[{j}]": problem.columns[j].latency_s / unit_s for j in problem.in_stage(stage)}
        yield Row(f"mean latency of {stage}", shares | {f"t[{place}]": -1.0}, "<=", 0.0)
        for name, part in members.items():
            yield Row(f"latency of {name} in {stage}", {name: part, f"t[{place}]": -1.0}, "<=", 0.0)
    if problem.most_latency_s is not None:
        yield Row("end-to-end latency", end_to_end, "<=", 1.0)


def loading(problem: Problem) -> Iterator[Row]:
    """Σ_{j in g} load_time_j · u_j ≤ L and n_j ≤ running_j + most_j · u_j for all columns that have to be loaded.

    g: columns of which at most one is active, a group or without mixing a stage. u_j is y_j unless some replicas of
    a column whose replicas are free run already.
    """
    if not problem.loading_weight:
        return
    together: dict[object, dict[str, float]] = {}
    for j, column in enumerate(problem.columns):
        replicas, factor = replicas_of(problem, j)
        is_free = replicas == f"n[{j}]"
        if column.load_time_s == 0 or (factor <= column.running and not is_free):
            continue
        loaded = f"u[{j}]" if is_free and column.running else f"y[{j}]"
        if loaded == f"u[{j}]":
            most = float(problem.most_replicas_of(j))
            yield Row(f"more of column {j}", {replicas: 1.0, loaded: -most}, "<=", column.running)
        apart: object = (column.stage, column.group or j) if problem.mix else column.stage
        together.setdefault(apart, {})[loaded] = column.load_time_s
    for members, terms in together.items():
        yield Row(f"loading of {members}", terms | {"L": -1.0}, "<=", 0.0)


def accuracy_floor(problem: Problem) -> Iterator[Row]:
    """A ≥ least accuracy: Σ w_j · accuracy_j for a sum or a mean, p of the last stage for a product."""
    if problem.least_accuracy is None:
        return
    if problem.aggregation == "product":
        yield Row("accuracy floor", {f"p[{len(problem.stages) - 1}]": -1.0}, "<=", -problem.least_accuracy)
        return
    stages = len(problem.stages) if problem.aggregation == "mean" else 1
    terms = {share_of(problem, j): -column.accuracy / stages for j, column in enumerate(problem.columns)}
    yield Row("accuracy floor", terms, "<=", -problem.least_accuracy)


def accuracy_product(problem: Problem) -> Iterator[Row]:
    """p_s = Σ_g a_g · z_{s,g}, Σ_g z_{s,g} = p_{s−1} and z_{s,g} ≤ most_{s−1} · Σ_{j in g} y_j: p_s = p_{s−1} · a.

    g: the columns of stage s with accuracy a_g; one column is active, so one z is p_{s−1} and the others are 0.
    """
    if problem.aggregation != "product":
        return
    if problem.mix:
        raise InputError(
            "the product of mixed accuracies is no linear program", remedy="use the solver labels, or no mixing"
        )
    most = 1.0
    for place, stage in enumerate(problem.stages):
        groups: dict[float, list[int]] = {}
        for j in problem.in_stage(stage):
            groups.setdefault(problem.columns[j].accuracy, []).append(j)
        before = {f"p[{place - 1}]": -1.0} if place else {}
        names = {accuracy: f"z[{place},{number}]" for number, accuracy in enumerate(groups)}
        yield Row(f"accuracy before {stage}", dict.fromkeys(names.values(), 1.0) | before, "==", 0.0 if place else 1.0)
        gained = {name: -accuracy for accuracy, name in names.items()}
        yield Row(f"accuracy up to {stage}", gained | {f"p[{place}]": 1.0}, "==", 0.0)
        for accuracy, members in groups.items():
            actives = {f"y[{j}]": -most for j in members}
            yield Row(f"accuracy {accuracy} in {stage}", {names[accuracy]: 1.0} | actives, "<=", 0.0)
        most *= max(groups, default=0.0)


FAMILIES: tuple[Callable[[Problem], Iterator[Row]], ...] = (
    unusable, load_is_served, capacity, cover, activity, one_of_a_group, resource_limits, latency, loading,
    accuracy_floor, accuracy_product,
)  # fmt: skip


def rows(problem: Problem) -> Iterator[Row]:
    """Every constraint of the problem."""
    for family in FAMILIES:
        yield from family(problem)
