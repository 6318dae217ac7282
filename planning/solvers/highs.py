"""HiGHS through PuLP: the mixed-integer program, solved to proven optimality in this process."""

import re
from typing import Any

import pulp

from ttamer.planning.constraints import rows
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.profiles.errors import InputError

TOLERANCE = 1e-9  # of feasibility and integrality: HiGHS' own 1e-6 is a millionth of the load, or a core in a million
SEED = 0


def highs(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found.
    """
    if not problem.columns:
        return Solution(status="infeasible")
    program, variables = _program(problem)
    solver = pulp.HiGHS(
        msg=False, threads=1, timeLimit=limits.time_s, gapRel=0.0, gapAbs=0.0, random_seed=SEED,
        mip_feasibility_tolerance=TOLERANCE, primal_feasibility_tolerance=TOLERANCE,
    )  # fmt: skip
    program.solve(solver)
    # PuLP calls a time-limited incumbent "Optimal" in `status`; only `sol_status` tells.
    if program.sol_status == pulp.LpSolutionInfeasible:
        return Solution(status="infeasible")
    replicas_J = tuple(round(variables[f"n[{j}]"].value() or 0.0) for j in range(len(problem.columns)))
    share_J = best_shares(problem, replicas_J)
    if share_J is None and program.sol_status != pulp.LpSolutionOptimal:
        raise InputError(f"no plan was found in {limits.time_s:g} s", remedy="allow the solver more time")
    assert share_J is not None, "HiGHS returned replicas that cannot carry the load"
    return _polished(problem, program, replicas_J, share_J)


def _polished(problem: Problem, program: Any, replicas_J: tuple[int, ...], share_J: tuple[float, ...]) -> Solution:
    """The solution with whole replicas and exact shares in place of the solver's rounded ones."""
    used_J = tuple(count if share > 0 else 0 for count, share in zip(replicas_J, share_J, strict=True))
    objective = problem.objective(used_J, share_J)
    is_proven = program.sol_status == pulp.LpSolutionOptimal
    bound = objective if is_proven else max(objective, _bound(problem, program))
    return Solution(
        status="optimal" if is_proven else "time-limited",
        objective=objective, bound=bound, replicas_J=used_J, share_J=share_J,
    )  # fmt: skip


def _bound(problem: Problem, program: Any) -> float:
    """What no choice exceeds: HiGHS' bound if it got that far, else the best accuracy of each stage for nothing."""
    accuracies = [[problem.columns[j].accuracy for j in problem.in_stage(stage)] for stage in problem.stages]
    free = problem.accuracy_weight * sum(max(stage) for stage in accuracies)
    # PuLP has HiGHS minimise the negated objective.
    return min(free, -float(program.solverModel.getInfo().mip_dual_bound))


def _program(problem: Problem) -> tuple[Any, dict[str, Any]]:
    program = pulp.LpProblem("serving", pulp.LpMaximize)
    variables: dict[str, Any] = {}
    for j in range(len(problem.columns)):
        variables[f"n[{j}]"] = program.add_variable(f"n_{j}", 0, problem.most_replicas_of(j), cat=pulp.LpInteger)
        variables[f"w[{j}]"] = program.add_variable(f"w_{j}", 0, 1, cat=pulp.LpContinuous)
        variables[f"y[{j}]"] = program.add_variable(f"y_{j}", 0, 1, cat=pulp.LpBinary)
    for place in range(len(problem.stages)):
        variables[f"t[{place}]"] = program.add_variable(f"t_{place}", 0, 1, cat=pulp.LpContinuous)
    program += pulp.lpSum(coefficient * variables[name] for name, coefficient in _objective(problem))
    for row in rows(problem):
        left = pulp.lpSum(coefficient * variables[name] for name, coefficient in row.terms.items())
        program += (left <= row.limit if row.sense == "<=" else left == row.limit), _spelled(row.name)
    return program, variables


def _objective(problem: Problem) -> list[tuple[str, float]]:
    terms = []
    for j, column in enumerate(problem.columns):
        terms.append((f"w[{j}]", problem.accuracy_weight * column.accuracy))
        terms.append((f"n[{j}]", -problem.cost_weight * column.cores))
        terms.append((f"y[{j}]", -problem.batch_weight * column.batch))
    return terms


def _spelled(name: str) -> str:
    """The name without characters that PuLP would replace or refuse."""
    return re.sub(r"\W", "_", name)
