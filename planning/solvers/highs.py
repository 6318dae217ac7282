"""HiGHS: the mixed-integer program, solved to proven optimality in this process.

It is called with arrays: PuLP, which `cbc` goes through, builds the same program ten times more slowly.
"""

import highspy
import numpy as np

from ttamer.planning.linear import LinearProgram, linear_program, restored
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.profiles.errors import InputError

TOLERANCE = 1e-9  # of feasibility, integrality and dual values: HiGHS' own 1e-6 is as much as a batch weighs
SEED = 0


def highs(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found, or if accuracies both mix and multiply.
    """
    if {column.stage for column in problem.columns} != set(problem.stages):
        return Solution(status="infeasible")
    program = linear_program(problem)
    solver = _solver(limits)
    solver.passModel(_model(program))
    solver.run()
    status = solver.getModelStatus()
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Solution(status="infeasible")
    value_V = np.asarray(solver.getSolution().col_value, dtype=float)
    # Both ends of the time limit look alike but for the point: without one there is nothing to return.
    if len(value_V) != len(program.names_V) or not np.isfinite(solver.getInfo().objective_function_value):
        raise InputError(f"no plan was found in {limits.time_s:g} s", remedy="allow the solver more time")
    if status == highspy.HighsModelStatus.kOptimal:
        bound = -np.inf if limits.gap == 0 else -solver.getInfo().mip_dual_bound
        return restored(problem, program, value_V, "optimal", bound)
    return restored(problem, program, value_V, "time-limited", -solver.getInfo().mip_dual_bound)


def _solver(limits: SolveLimits) -> highspy.Highs:
    solver = highspy.Highs()
    options: dict[str, object] = {
        "output_flag": False, "threads": 1, "random_seed": SEED, "time_limit": float(limits.time_s),
        "mip_rel_gap": float(limits.gap), "mip_abs_gap": 0.0, "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE,
    }  # fmt: skip
    for name, value in options.items():
        solver.setOptionValue(name, value)
    return solver


def _model(program: LinearProgram) -> highspy.HighsLp:
    """The program for HiGHS, which minimises."""
    model = highspy.HighsLp()
    model.num_col_ = len(program.names_V)
    model.num_row_ = len(program.lower_C)
    model.col_cost_ = -program.gain_V
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
