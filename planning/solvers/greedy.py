"""Steepest ascent, one exchange of one stage's column at a time: what a simple heuristic reaches, for comparison.

It never mixes columns and proves nothing.
"""

from ttamer.planning.improvement import Exchange, fastest
from ttamer.planning.linear import ceiling
from ttamer.planning.options import in_units, limited_resources, single_options
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.profiles.errors import InputError


def greedy(problem: Problem, limits: SolveLimits) -> Solution:
    """A choice that no exchange of one column improves; infeasible if a stage has no column that carries its load.

    Raises InputError if it finds no choice within the limits, which proves nothing. Takes no notice of the time.
    """
    table = problem.table()
    limited = limited_resources(problem, table)
    raw = [single_options(problem, table, limited, place) for place in range(len(problem.stages))]
    if any(len(options.penalty_O) == 0 for options in raw):
        if problem.mix:
            raise _nothing_found()
        return Solution(status="infeasible")
    stages = in_units(problem, limited, raw)
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    exchange = Exchange(stages, weight, problem.loading_weight)
    choice = exchange.improved(fastest(stages), pairs=False)
    if not exchange.is_within_limits(choice):
        raise _nothing_found()
    replicas = [0] * len(problem.columns)
    for options, option in zip(stages, choice, strict=True):
        for j, count in options.picks[option]:
            replicas[j] = count
    replicas_J = tuple(replicas)
    share_J = best_shares(problem, replicas_J)
    assert share_J is not None, "greedy chose replicas that cannot carry the load"
    return Solution(
        status="feasible", objective=problem.objective(replicas_J, share_J), bound=ceiling(problem),
        replicas_J=replicas_J, share_J=share_J,
    )  # fmt: skip


def _nothing_found() -> InputError:
    return InputError("the greedy solver found no plan, which proves nothing", remedy="use the solver highs or labels")
