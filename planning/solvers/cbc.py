"""CBC through PuLP: a second opinion on the mixed-integer program, in a process of its own."""

import re
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ttamer.planning.linear import LinearProgram
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.tasks import Outcome, concluded, make_task

# PuLP takes a tenth of a second to import, so it waits until somebody asks for CBC.
if TYPE_CHECKING:
    import pulp

# CBC ignores improvements below its increment of 1e-5, ten times what a batch weighs, and bends rows by 1e-7.
EXACT = ("increment 1e-12", "primalT 1e-9", "dualT 1e-9", "integerT 1e-9", "allowableGap 0")
BOUND = re.compile(r"^Upper bound:\s+(\S+)$", re.MULTILINE)  # printed of a search that was stopped
PRINTED = 5e-4  # a bound is printed with three decimals


def cbc(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time. The same problem gives the same answer.

    Labels decide where what it finds does not stand without its tolerances.
    The bound of a time-limited answer is the one that CBC prints, to the three decimals that it prints.
    Raises InputError if the time ran out before anything was found, or if accuracies multiply and there are too many
    mixtures to list.
    """
    started_s = time.monotonic()
    task = make_task(problem, limits)
    if isinstance(task, Solution):
        return task
    left = replace(limits, time_s=max(0.0, limits.time_s - (time.monotonic() - started_s)))
    answer = concluded(problem, task, _run(task.program, left), limits.gap)
    if answer is not None:
        return answer
    return task.ask(replace(limits, time_s=max(0.0, limits.time_s - (time.monotonic() - started_s))))


def _run(program: LinearProgram, limits: SolveLimits) -> Outcome:
    """What CBC says of the program."""
    import pulp

    model, variables = _model(program)
    with TemporaryDirectory(prefix="ttamer-cbc-") as folder:
        log = Path(folder) / "cbc.log"
        model.solve(_solver(limits, log))
        printed = log.read_text(errors="replace")
    # PuLP calls a time-limited incumbent "Optimal" in `status`; only `sol_status` tells.
    # What its preprocessing finds infeasible has a `sol_status` like no answer in time; there `status` tells.
    if pulp.LpSolutionInfeasible == model.sol_status or model.status == pulp.LpStatusInfeasible:
        return Outcome(is_infeasible=True)
    if model.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return Outcome(bound=_bound_in(printed))
    value_V = np.array([variable.value() or 0.0 for variable in variables])
    is_proven = model.sol_status == pulp.LpSolutionOptimal
    return Outcome(is_proven=is_proven, value_V=value_V, bound=_bound_in(printed))


def _solver(limits: SolveLimits, log: Path) -> "pulp.LpSolver":
    import pulp

    # Not even `threads=1`: with threads, however few, CBC now and then waits 10 s for one that has long ended.
    return pulp.COIN_CMD(
        path=pulp.PULP_CBC_CMD.pulp_cbc_path, msg=False, timeLimit=max(limits.time_s, 1e-3), gapRel=limits.gap,
        options=list(EXACT), logPath=str(log),
    )  # fmt: skip


def _bound_in(printed: str) -> float:
    """The bound that CBC printed, rounded up; infinite where it printed none."""
    found = BOUND.search(printed)
    return float(found[1]) + PRINTED if found else np.inf


def _model(program: LinearProgram) -> "tuple[pulp.LpProblem, list[pulp.LpVariable]]":
    import pulp

    model = pulp.LpProblem("serving", pulp.LpMaximize)
    variables = [
        model.add_variable(f"x{number}", 0, most if np.isfinite(most) else None, cat=_category(whole))
        for number, (most, whole) in enumerate(zip(program.most_V.tolist(), program.is_whole_V.tolist(), strict=True))
    ]
    model.setObjective(pulp.LpAffineExpression(list(zip(variables, program.gain_V.tolist(), strict=True))))
    value_X, variable_X = program.value_X.tolist(), program.variable_X.tolist()
    for c, (lower, upper) in enumerate(zip(program.lower_C.tolist(), program.upper_C.tolist(), strict=True)):
        span = slice(int(program.start_C[c]), int(program.start_C[c + 1]))
        terms = [(variables[v], value) for v, value in zip(variable_X[span], value_X[span], strict=True)]
        sense = pulp.LpConstraintEQ if lower == upper else pulp.LpConstraintLE
        model.addConstraint(pulp.LpConstraint(pulp.LpAffineExpression(terms), sense, f"c{c}", upper))
    return model, variables


def _category(is_whole: bool) -> str:
    import pulp

    return str(pulp.LpInteger if is_whole else pulp.LpContinuous)
