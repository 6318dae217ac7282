"""Exact label setting: stage by stage, the choices that no other choice beats in all that matters later.

A label is a choice for the stages so far: what it uses of every limited resource, its penalty, its accuracy (if
accuracies multiply) and its load time. A label goes when another is no worse in each, or when its bound says that no
completion can beat the best choice known. Sums, means and products of accuracies of any depth are exact.
Source: Martins, On a multicriteria shortest path problem, EJOR 16 (1984), with bounds by Lagrangian relaxation.

Axes: S stages, O options, D resources.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ttamer.planning.columns import Resource
from ttamer.planning.fronts import undominated
from ttamer.planning.linear import ceiling
from ttamer.planning.mixing import Outlook, mixed_options
from ttamer.planning.options import FULL, RawOptions, StageOptions, in_units, limited_resources, single_options
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.planning.relaxation import Relaxation, relax
from ttamer.planning.search import EQUAL, Search
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

UNPROVEN_S = 2.0  # for a search that can prove nothing, as it does not see all options
LISTING = 0.5  # of the time: to list mixtures


def labels(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found, or if the columns of a group that may mix
    with others differ in accuracy.
    """
    deadline = time.monotonic() + limits.time_s
    table = problem.table()
    limited = limited_resources(problem, table)
    if len(np.unique(table.stage_J[table.most_J > 0])) < len(problem.stages):
        return Solution(status="infeasible")
    relaxed = relax(problem, table, limited)
    if relaxed.is_hopeless:
        return Solution(status="infeasible")
    if not problem.mix:
        raw = [single_options(problem, table, limited, place) for place in range(len(problem.stages))]
        return _searched(problem, limited, raw, relaxed, limits, deadline, None)
    start = _unmixed(problem, limits)
    target = start.objective + EQUAL * max(1.0, abs(start.objective)) if start else -np.inf
    raw = []
    for place in range(len(problem.stages)):
        listed_by = deadline - limits.time_s * LISTING * (1 - (place + 1) / len(problem.stages)) - 0.25 * limits.time_s
        outlook = Outlook(relaxed, *relaxed.others(place), target)
        raw.append(mixed_options(problem, table, limited, place, outlook, listed_by))
    return _searched(problem, limited, raw, relaxed, limits, deadline, start)


def _unmixed(problem: Problem, limits: SolveLimits) -> Solution | None:
    """The best choice without mixing that is found in a quarter of the time, which mixtures are held against."""
    try:
        start = labels(replace(problem, mix=False), replace(limits, time_s=limits.time_s / 4))
    except InputError:  # out of time: nothing to hold against
        return None
    return start if start.status != "infeasible" else None


def _searched(
    problem: Problem, limited: Sequence[Resource], raw: Sequence[RawOptions], relaxed: Relaxation,
    limits: SolveLimits, deadline: float, start: Solution | None,
) -> Solution:  # fmt: skip
    """The best choice of these options and of one that is known."""
    is_finished = all(options.is_complete for options in raw)
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    floor = problem.least_accuracy or 0.0
    search = Search(_reduced_all(problem, limited, raw), weight, problem.loading_weight, floor, limits.gap)
    if start is not None:
        search.best = start.objective
    if search.stages:
        try:
            search.run(deadline if is_finished else min(deadline, time.monotonic() + UNPROVEN_S))
        except TimeoutError:
            is_finished = False
    else:
        search.bound = -np.inf
    bound = relaxed.bound if any(not options.is_complete for options in raw) else min(search.bound, relaxed.bound)
    return _solution(problem, search, is_finished, bound, start)


def _reduced_all(problem: Problem, limited: Sequence[Resource], raw: Sequence[RawOptions]) -> list[StageOptions]:
    """The options of every stage that no other of the stage beats; nothing where a stage has none."""
    if any(len(options.penalty_O) == 0 for options in raw):
        return []
    stages = [_able(options, np.asarray(FULL)) for options in in_units(problem, limited, raw)]
    if not all(options.picks for options in stages):
        return []
    least_SD = np.array([options.use_OD.min(axis=0) for options in stages])
    room_SD = FULL - (least_SD.sum(axis=0) - least_SD)
    stages = [_able(options, room_D) for options, room_D in zip(stages, room_SD, strict=True)]
    return [_reduced(options) for options in stages] if all(options.picks for options in stages) else []


def _able(options: StageOptions, room_D: Floats) -> StageOptions:
    """The options that use no more than there is room for."""
    return options.chosen(np.flatnonzero((options.use_OD <= room_D).all(axis=1)))


def _reduced(options: StageOptions) -> StageOptions:
    """The options that no other option of the stage beats."""
    measures = [options.penalty_O, -options.factor_O, options.load_s_O, *options.use_OD.T]
    return options.chosen(undominated(np.column_stack(measures)))


def _solution(
    problem: Problem, search: Search, is_finished: bool, bound: float, start: Solution | None
) -> Solution:  # fmt: skip
    found = _found(problem, search) or start
    if found is None:
        if is_finished:
            return Solution(status="infeasible")
        raise InputError("no plan was found in time", remedy="allow the solver more time")
    proven = found.objective
    if search.gap:
        proven += search.gap * max(1.0, abs(found.objective))
    bound = proven if is_finished else max(found.objective, min(bound, ceiling(problem)))
    return replace(found, status="optimal" if is_finished else "time-limited", bound=bound)


def _found(problem: Problem, search: Search) -> Solution | None:
    """The choice of the search, if it made one."""
    if search.picks is None:
        return None
    replicas = [0] * len(problem.columns)
    for j, count in search.picks:
        replicas[j] = count
    share_J = best_shares(problem, tuple(replicas))
    assert share_J is not None, "labels chose replicas that cannot carry the load"
    used_J = tuple(count if share > 0 else 0 for count, share in zip(replicas, share_J, strict=True))
    objective = problem.objective(used_J, share_J)
    return Solution(status="feasible", objective=objective, replicas_J=used_J, share_J=share_J)
