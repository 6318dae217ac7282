"""The mixed-integer linear program of a problem as arrays, ready for a solver, and the way back from its answer.

Axes: V variables, C constraints, X non-zero coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.choice import broken_limits
from ttamer.planning.constraints import latency_unit_s, replicas_of, rows, share_of, usable
from ttamer.planning.problem import Problem, Solution, best_shares
from ttamer.profiles.records import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class LinearProgram:
    """Maximise gain_V · x under lower_C ≤ A x ≤ upper_C and 0 ≤ x ≤ most_V, whole where is_whole_V.

    A by rows: constraint c holds value_X and variable_X from start_C[c] to start_C[c + 1].
    """

    names_V: tuple[str, ...]
    gain_V: Floats
    most_V: Floats
    is_whole_V: np.ndarray
    start_C: Ints
    variable_X: Ints
    value_X: Floats
    lower_C: Floats
    upper_C: Floats


def linear_program(problem: Problem) -> LinearProgram:
    """The program of a problem. Raises InputError if it is not linear: a product of mixed accuracies."""
    number = _variables(problem)
    start, variable, value = [0], list[int](), list[float]()
    lower, upper = list[float](), list[float]()
    for row in rows(problem):
        variable += [number[name] for name in row.terms]
        value += row.terms.values()
        start.append(len(variable))
        lower.append(row.limit if row.sense == "==" else -np.inf)
        upper.append(row.limit)
    gain_V = np.zeros(len(number))
    for name, gain in _objective(problem):
        gain_V[number[name]] += gain
    return LinearProgram(
        names_V=tuple(number),
        gain_V=gain_V,
        most_V=np.array([_most(problem, name) for name in number]),
        is_whole_V=np.array([name[0] in "ynu" for name in number]),
        start_C=np.array(start, dtype=np.int64),
        variable_X=np.array(variable, dtype=np.int64),
        value_X=np.array(value),
        lower_C=np.array(lower),
        upper_C=np.array(upper),
    )


def choice_in(problem: Problem, program: LinearProgram, value_V: Floats) -> Solution | None:
    """The choice with whole replicas and exact shares in place of the solver's rounded values.

    None if that breaks a limit, to which solvers keep but for their tolerances.
    """
    value = dict(zip(program.names_V, value_V.tolist(), strict=True))
    counts = []
    for j in range(len(problem.columns)):
        name, factor = replicas_of(problem, j)
        counts.append(round(factor) * round(value.get(name, 0.0)))
    share_J = best_shares(problem, tuple(counts))
    if share_J is None:
        return None
    used_J = tuple(count if share > 0 else 0 for count, share in zip(counts, share_J, strict=True))
    if broken_limits(problem, used_J, share_J):
        return None
    return Solution(
        status="feasible", objective=problem.objective(used_J, share_J), replicas_J=used_J, share_J=share_J
    )  # fmt: skip


def values_of(
    problem: Problem, program: LinearProgram, replicas_J: Sequence[int], share_J: Sequence[float]
) -> Floats:  # fmt: skip
    """A choice as an answer to the program."""
    value: dict[str, float] = {"L": problem.loading_s(tuple(replicas_J))}
    factor = 1.0
    for place, stage in enumerate(problem.stages):
        active = [j for j in problem.in_stage(stage) if replicas_J[j]]
        slowest_s = max((problem.columns[j].latency_s for j in active), default=0.0)
        value[f"t[{place}]"] = slowest_s / latency_unit_s(problem)
        for j in active:
            name, each = replicas_of(problem, j)
            value |= {f"y[{j}]": 1.0, f"w[{j}]": share_J[j], name: round(replicas_J[j] / each)}
            value[f"u[{j}]"] = float(replicas_J[j] > problem.columns[j].running)
            groups = dict.fromkeys(problem.columns[i].accuracy for i in problem.in_stage(stage))
            value[f"z[{place},{list(groups).index(problem.columns[j].accuracy)}]"] = factor
        factor *= sum(share_J[j] * problem.columns[j].accuracy for j in active)
        value[f"p[{place}]"] = factor
    return np.array([value.get(name, 0.0) for name in program.names_V])


def ceiling(problem: Problem) -> float:
    """What no choice exceeds: the best accuracy of every stage for nothing."""
    best = [
        max((problem.columns[j].accuracy for j in problem.in_stage(stage)), default=0.0) for stage in problem.stages
    ]
    if problem.aggregation == "product":
        return problem.accuracy_weight * float(np.prod(best))
    return problem.accuracy_weight * sum(best) / (len(best) if problem.aggregation == "mean" else 1)


def _variables(problem: Problem) -> dict[str, int]:
    """Variables by name, with their numbers: those of columns first."""
    names: dict[str, None] = {f"y[{j}]": None for j in range(len(problem.columns))}
    if problem.mix:
        names |= dict.fromkeys(f"w[{j}]" for j in range(len(problem.columns)))
    for name in (replicas_of(problem, j)[0] for j in range(len(problem.columns))):
        names[name] = None
    for row in rows(problem):
        for name in row.terms:
            names[name] = None
    for name, gain in _objective(problem):
        if gain:
            names[name] = None
    return {name: number for number, name in enumerate(names)}


def _most(problem: Problem, name: str) -> float:
    if name[0] in "zpL":
        return np.inf
    if name[0] == "n":
        return float(problem.most_replicas_of(int(name[2:-1])))
    if name[0] == "t" and problem.most_latency_s is None:
        return np.inf
    if name[0] == "y" and not usable(problem, int(name[2:-1])):
        return 0.0
    return 1.0


def _objective(problem: Problem) -> list[tuple[str, float]]:
    terms = []
    each = problem.accuracy_weight / (len(problem.stages) if problem.aggregation == "mean" else 1)
    for j, column in enumerate(problem.columns):
        replicas, factor = replicas_of(problem, j)
        if problem.aggregation != "product":
            terms.append((share_of(problem, j), each * column.accuracy))
        terms.append((replicas, -problem.cost_weight * factor * problem.price_of(j)))
        terms.append((f"y[{j}]", -problem.batch_weight * column.batch))
        if problem.latency_weight and not problem.mix:
            terms.append((f"y[{j}]", -problem.latency_weight * column.latency_s))
    if problem.aggregation == "product":
        terms.append((f"p[{len(problem.stages) - 1}]", problem.accuracy_weight))
    if problem.latency_weight and problem.mix:
        per_unit = -problem.latency_weight * latency_unit_s(problem)
        terms += [(f"t[{place}]", per_unit) for place in range(len(problem.stages))]
    if problem.loading_weight:
        terms.append(("L", -problem.loading_weight))
    return terms
