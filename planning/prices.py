"""Prices at which the best choices stay within their limits: the dual of the program in fractions of options.

Where accuracies multiply, their product P is cut into ranges. Within one, P is bounded by a line in log P, and log P
is a sum over stages like any other: each range has a linear program of its own, which differs from the next in two
numbers. HiGHS goes from one to the next in a few steps. Any prices bound soundly (`completions.py`), so nothing
rests on its tolerances.
Sources: Fisher, The Lagrangian relaxation method, Management Science 27 (1981); for the ranges McCormick,
Mathematical Programming 10 (1976).

Axes: S stages, O options, D resources, K prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import highspy
import numpy as np

from ttamer.planning.options import FULL, StageOptions
from ttamer.profiles.records import Floats

TINIEST = 1e-300  # accuracy of nothing, where its logarithm is asked for
OPTIONS: Mapping[str, object] = {
    "output_flag": False, "threads": 1, "presolve": "off", "solver": "simplex", "dual_feasibility_tolerance": 1e-10,
}  # fmt: skip
DEAREST = 1e3  # of all that the objective can change: what a limit exceeded once over costs at least


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the logarithm of the product of accuracies; low is minus infinite where it may be 0."""

    low: float
    high: float

    def chord(self, weight: float) -> float:
        """The slope of the line that lies above weight × product."""
        if not np.isfinite(self.low) or self.high <= self.low:
            return 0.0
        return weight * float(np.exp(self.high) - np.exp(self.low)) / (self.high - self.low)


EVERYTHING = Span(-np.inf, 0.0)  # where accuracies do not multiply: their product counts for nothing


def log_of(factor: Floats) -> Floats:
    """The logarithm of accuracies, of none a very low one."""
    return np.asarray(np.log(np.maximum(factor, TINIEST)))


def spans(stages: Sequence[StageOptions], weight: float, floor: float, count: int) -> list[Span]:
    """Ranges of all that the product of accuracies can be, in which lines are about equally near to it."""
    low = max(float(np.prod([options.factor_O.min() for options in stages])), floor * (1 - 1e-6))
    high = float(np.prod([options.factor_O.max() for options in stages]))
    if weight == 0 or high <= low:
        return [EVERYTHING if weight == 0 else Span(-np.inf, float(np.log(max(high, TINIEST))))]
    least = max(low, high * 1e-12)
    ends = (2 * np.log(np.linspace(least**0.5, high**0.5, count + 1))).tolist()
    ends[0] = float(np.log(low)) if low == least else -np.inf
    ends[-1] = float(np.log(high)) + 1e-12
    return [Span(one, other) for one, other in pairwise(ends)]


class Relaxed:
    """The program in fractions of options, for one range of the product after the other."""

    def __init__(self, stages: Sequence[StageOptions], weight: float) -> None:
        self._weight = weight
        self._resources = stages[0].use_OD.shape[1]
        self._lowest_tilt = -np.inf if all((options.factor_O > 0).all() for options in stages) else 0.0
        self._unit = _reach(stages, weight) or 1.0
        self._sizes = [len(options.penalty_O) for options in stages]
        self._log = sum(self._sizes)  # number of the variable that is log P
        self._solver = highspy.Highs()
        for name, value in OPTIONS.items():
            self._solver.setOptionValue(name, value)
        self._solver.passModel(_model(stages, self._unit))

    def prices(self, span: Span) -> tuple[float, Floats]:
        """What a unit of log P gains within the range, and what the whole of each limit costs."""
        if not self._resources and self._weight == 0:
            return 0.0, np.zeros(0)
        is_bounded = self._weight > 0 and bool(np.isfinite(span.low))
        low, high = (span.low, span.high) if is_bounded else (-np.inf, np.inf)
        self._solver.changeColCost(self._log, -span.chord(self._weight) / self._unit if is_bounded else 0.0)
        self._solver.changeColBounds(self._log, low, high)
        self._solver.run()
        dual_C = np.asarray(self._solver.getSolution().row_dual, dtype=float)
        if len(dual_C) <= self._resources or not np.isfinite(dual_C).all():
            return 0.0, np.zeros(self._resources)
        tilt = float(dual_C[self._resources]) * self._unit if is_bounded else 0.0
        return max(self._lowest_tilt, tilt), np.maximum(0.0, -dual_C[: self._resources] * self._unit)

    def fractions(self, span: Span) -> list[Floats]:
        """How much of each option of every stage is best within the range."""
        self.prices(span)
        value_V = np.asarray(self._solver.getSolution().col_value, dtype=float)
        return np.split(value_V[: self._log], np.cumsum(self._sizes)[:-1])


def _reach(stages: Sequence[StageOptions], weight: float) -> float:
    """How far apart the objectives of two choices can be."""
    high = float(np.prod([options.factor_O.max() for options in stages]))
    return weight * high + sum(float(np.ptp(options.penalty_O)) for options in stages)


def _model(stages: Sequence[StageOptions], unit: float) -> highspy.HighsLp:
    """Rows: limits, log P, one option a stage. Columns: options, log P, and what may exceed each of the first rows."""
    sizes = [len(options.penalty_O) for options in stages]
    resources, count = stages[0].use_OD.shape[1], sum(sizes)
    penalty_V = np.concatenate([options.penalty_O - options.penalty_O.min() for options in stages])
    rows_X = np.tile(np.arange(resources + 2), (count, 1))
    rows_X[:, -1] += np.repeat(np.arange(len(stages)), sizes)
    value_X = np.column_stack([
        np.concatenate([options.use_OD for options in stages]),
        np.concatenate([log_of(options.factor_O) for options in stages]),
        np.ones(count),
    ])  # fmt: skip
    spare_rows = [*range(resources), resources, resources]
    spare_values = [-1.0] * resources + [1.0, -1.0]
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = count + 1 + len(spare_rows), resources + 1 + len(stages)
    model.col_cost_ = np.concatenate([penalty_V / unit, [0.0], np.full(len(spare_rows), DEAREST)])
    model.col_lower_ = np.concatenate([np.zeros(count), [-np.inf], np.zeros(len(spare_rows))])
    model.col_upper_ = np.full(model.num_col_, np.inf)
    model.row_lower_ = np.concatenate([np.full(resources, -np.inf), [0.0], np.ones(len(stages))])
    model.row_upper_ = np.concatenate([np.full(resources, FULL), [0.0], np.ones(len(stages))])
    width, filled = resources + 2, count * (resources + 2)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.concatenate([
        np.arange(count + 1) * width, filled + 1 + np.arange(len(spare_rows) + 1)
    ])  # fmt: skip
    model.a_matrix_.index_ = np.concatenate([rows_X.ravel(), [resources], spare_rows])
    model.a_matrix_.value_ = np.concatenate([value_X.ravel(), [-1.0], spare_values])
    return model
