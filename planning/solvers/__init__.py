"""The solvers by name: functions of a problem and limits. A new one is a file in this folder and a line here."""

from collections.abc import Callable

from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.solvers.cbc import cbc
from ttamer.planning.solvers.exhaustive import exhaustive
from ttamer.planning.solvers.greedy import greedy
from ttamer.planning.solvers.highs import highs
from ttamer.planning.solvers.labels import labels

Solver = Callable[[Problem, SolveLimits], Solution]

SOLVERS: dict[str, Solver] = {
    "highs": highs,
    "cbc": cbc,
    "labels": labels,
    "exhaustive": exhaustive,
    "greedy": greedy,
}

EXACT: tuple[str, ...] = ("highs", "cbc", "labels", "exhaustive")  # those that prove their answers
