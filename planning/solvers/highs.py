"""HiGHS: the mixed-integer program, solved to optimality in this process.

It is called with arrays: PuLP, which `cbc` goes through, builds the same program ten times more slowly.
Its own tolerances stay: with 1e-9 its bounds on variables lose to rounding and plans that exist are called infeasible
(github.com/ERGO-Code/HiGHS/issues/3258). The objective is put in thousandths instead, so that a batch still counts.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import highspy
import numpy as np

from ttamer.planning.linear import LinearProgram
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.tasks import Outcome, Task, concluded, make_task
from ttamer.profiles.errors import InputError

THOUSANDTHS = 1e3  # HiGHS ignores improvements below 1e-6, which is as much as a batch weighs
SEED = 0


def highs(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Labels decide where HiGHS finds nothing, or nothing that stands without its tolerances.
    Raises InputError if the time ran out before anything was found, or if accuracies multiply and there are too many
    mixtures to list.
    """
    started_s = time.monotonic()
    task = make_task(problem, limits)
    if isinstance(task, Solution):
        return task
    answer = concluded(problem, task, _run(task, _left(limits, started_s)), limits.gap)
    if answer is not None:
        return answer
    left = _left(limits, started_s)
    try:
        return task.ask(left)
    except InputError:
        again = _run(task, left, presolve="off", mip_feasibility_tolerance=1e-9)
        answer = concluded(problem, task, again, limits.gap)
        if answer is None:
            raise InputError(f"no plan was found in {limits.time_s:g} s", remedy="allow the solver more time") from None
        return answer


def _left(limits: SolveLimits, started_s: float) -> SolveLimits:
    return replace(limits, time_s=max(0.0, limits.time_s - (time.monotonic() - started_s)))


def _run(task: Task, limits: SolveLimits, **options: object) -> Outcome:
    """What HiGHS says of the program."""
    solver, program = _solver(limits, options), task.program
    solver.passModel(_model(program))
    if task.start_V is not None:
        start = highspy.HighsSolution()
        start.col_value = task.start_V.tolist()
        solver.setSolution(start)
    solver.run()
    status, bound = solver.getModelStatus(), -solver.getInfo().mip_dual_bound / THOUSANDTHS
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Outcome(is_infeasible=True)
    value_V = np.asarray(solver.getSolution().col_value, dtype=float)
    # Both ends of the time limit look alike but for the point: without one there is nothing to return.
    if len(value_V) != len(program.names_V) or not np.isfinite(solver.getInfo().objective_function_value):
        return Outcome(bound=bound)
    return Outcome(is_proven=status == highspy.HighsModelStatus.kOptimal, value_V=value_V, bound=bound)


def _solver(limits: SolveLimits, further: Mapping[str, object]) -> highspy.Highs:
    solver = highspy.Highs()
    options: dict[str, object] = {
        "output_flag": False, "threads": 1, "random_seed": SEED, "time_limit": float(limits.time_s),
        "mip_rel_gap": float(limits.gap), "mip_abs_gap": 0.0,
    }  # fmt: skip
    for name, value in (options | dict(further)).items():
        solver.setOptionValue(name, value)
    return solver


def _model(program: LinearProgram) -> highspy.HighsLp:
    """The program for HiGHS, which minimises."""
    model = highspy.HighsLp()
    model.num_col_ = len(program.names_V)
    model.num_row_ = len(program.lower_C)
    model.col_cost_ = -THOUSANDTHS * program.gain_V
    model.col_lower_ = np.zeros(model.num_col_)
    model.col_upper_ = program.most_V
    model.row_lower_, model.row_upper_ = program.lower_C, program.upper_C
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = program.start_C
    model.a_matrix_.index_ = program.variable_X
    model.a_matrix_.value_ = program.value_X
    whole, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    model.integrality_ = [whole if is_whole else real for is_whole in program.is_whole_V]
    return model
