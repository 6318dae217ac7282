"""Every way to serve each stage that a best choice could be made of: single columns, or mixtures of them.

Axes: S stages, O options, D resources.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.columns import ColumnTable, Resource
from ttamer.planning.fronts import undominated
from ttamer.planning.linear import ceiling
from ttamer.planning.mixing import Effort, mixed_options
from ttamer.planning.mixture_steps import Level, levels
from ttamer.planning.options import FULL, RawOptions, StageOptions, in_units, limited_resources, single_options
from ttamer.planning.outlook import look_for_room, look_out
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.planning.relaxation import Relaxation, relax
from ttamer.planning.search import Search, above
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

UNPROVEN_S = 2.0  # for a search that can prove nothing, as it does not see all options
FIRST = 0.25  # of the time: to find the choice that mixtures are held against
LEFT = 0.25  # of the time: for the search among the mixtures
KEPT = (32, 256, 1024, None)  # labels a step: narrow listings find good mixtures for the one that leaves nothing out
SHORT = (32, 256)  # labels a stage of searches that prove nothing


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The options of every stage, none if a stage cannot be served. bound: what no choice exceeds.

    start: the best choice without mixing, which every mixture must beat. is_complete: whether nothing that could beat
    it is missing.
    """

    stages: Sequence[StageOptions]
    bound: float
    is_complete: bool = True
    start: Solution | None = None


def list_options(problem: Problem, limits: SolveLimits, effort: Effort | None = None) -> Listing | None:
    """The options, listed in most of the time allowed and with this effort; None if no choice keeps the limits.

    Raises InputError if the columns of a group that may mix with others differ in accuracy.
    """
    deadline = time.monotonic() + (1 - LEFT) * limits.time_s
    table = problem.table()
    limited = limited_resources(problem, table)
    if len(np.unique(table.stage_J[table.most_J > 0])) < len(problem.stages):
        return None
    relaxed = relax(problem, table, limited)
    if relaxed.is_hopeless:
        return None
    if not problem.mix:
        raw = [single_options(problem, table, limited, place) for place in range(len(problem.stages))]
        return Listing(_reduced_all(problem, limited, raw), np.inf)
    known, by_stage, listing = _unmixed(problem, limits), levels(problem, table, limited), None
    for most_kept in KEPT:
        allowed = replace(effort or Effort(), deadline=deadline, most_kept=most_kept)
        listing = _mixtures(problem, table, relaxed, by_stage, known, allowed, limits.gap)
        if listing.is_complete or time.monotonic() > deadline:
            break
        known = _better(problem, listing, limits)
    return listing


def best_of(problem: Problem, listing: Listing, limits: SolveLimits, widths: Sequence[int | None] = ()) -> Solution:
    """The best choice of the options listed, or what was found of it in time. widths: of the searches.

    Raises InputError if the time ran out before anything was found.
    """
    search = make_search(problem, listing, limits.gap)
    is_finished = listing.is_complete
    if search.stages:
        try:
            allowed_s = limits.time_s if listing.is_complete else min(limits.time_s, UNPROVEN_S)
            is_finished &= search.run(time.monotonic() + allowed_s, widths)
        except TimeoutError:
            is_finished = False
    else:
        search.bound = -np.inf
    bound = min(search.bound, listing.bound) if listing.is_complete else listing.bound
    return _solution(problem, search, is_finished, bound, listing.start)


def make_search(problem: Problem, listing: Listing, gap: float = 0.0) -> Search:
    """The search among the options, for something better than what is known."""
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    search = Search(listing.stages, weight, problem.loading_weight, problem.least_accuracy or 0.0, gap)
    if listing.start is not None:
        search.best = listing.start.objective
    return search


def choice_of(problem: Problem, picks: Sequence[tuple[int, int]]) -> Solution:
    """The choice of these columns and replicas, which carry the load."""
    replicas = [0] * len(problem.columns)
    for j, count in picks:
        replicas[j] = count
    share_J = best_shares(problem, tuple(replicas))
    assert share_J is not None, "replicas were chosen that cannot carry the load"
    used_J = tuple(count if share > 0 else 0 for count, share in zip(replicas, share_J, strict=True))
    objective = problem.objective(used_J, share_J)
    return Solution(status="feasible", objective=objective, replicas_J=used_J, share_J=share_J)


def _unmixed(problem: Problem, limits: SolveLimits) -> Solution | None:
    """The best choice without mixing that is found in a part of the time."""
    alone = replace(problem, mix=False)
    listing = list_options(alone, limits)
    if listing is None:
        return None
    try:
        start = best_of(alone, listing, replace(limits, time_s=FIRST * limits.time_s))
    except InputError:  # out of time: nothing to hold against
        return None
    return start if start.status != "infeasible" else None


def _better(problem: Problem, listing: Listing, limits: SolveLimits) -> Solution | None:
    """The best choice known after short searches among some of the options."""
    try:
        found = best_of(problem, listing, limits, SHORT)
    except InputError:  # not even those are a choice
        return None
    return found if found.status != "infeasible" else None


def _mixtures(
    problem: Problem, table: ColumnTable, relaxed: Relaxation, by_stage: Sequence[Sequence[Level]],
    known: Solution | None, effort: Effort, gap: float,
) -> Listing:  # fmt: skip
    """The mixtures of every stage that could be part of something better than what is known."""
    target = above(known.objective, gap) if known else _least(problem, table)
    listed: list[RawOptions] = []
    bound = np.inf
    for place, stage in enumerate(by_stage):
        outlook, view = look_out(problem, relaxed, listed, place, target)
        outlooks = [outlook] if effort.most_kept == KEPT[0] and known else [outlook, *look_for_room(view)]
        if all(options.is_complete for options in listed):
            bound = min(bound, outlook.bound)
        listed.append(mixed_options(problem, relaxed, place, stage, outlooks, effort))
        if len(listed[-1].penalty_O) == 0:
            return Listing([], bound, all(options.is_complete for options in listed), known)
    is_complete = all(options.is_complete for options in listed)
    return Listing(_reduced_all(problem, relaxed.limited, listed), bound, is_complete, known)


def _least(problem: Problem, table: ColumnTable) -> float:
    """Less than any choice is worth."""
    most = problem.cost_weight * float(table.price_J @ table.most_J) + problem.batch_weight * float(table.batch_J.sum())
    most += problem.latency_weight * len(problem.stages) * float(table.latency_J.max())
    most += problem.loading_weight * float(table.load_s_J.max())
    return -most - 1e-6 * max(1.0, most)


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
    found = start if search.picks is None else choice_of(problem, search.picks)
    if found is None:
        if is_finished:
            return Solution(status="infeasible")
        raise InputError("no plan was found in time", remedy="allow the solver more time")
    proven = found.objective
    if search.gap:
        proven += search.gap * max(1.0, abs(found.objective))
    bound = proven if is_finished else max(found.objective, min(bound, ceiling(problem)))
    return replace(found, status="optimal" if is_finished else "time-limited", bound=bound)
