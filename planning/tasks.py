"""What a solver of mixed-integer programs is given to solve, and what becomes of its answer.

It sees no more than could be better than what short searches find (`search.py`), and mixtures as options to choose
from where all that could be better can be listed; else the columns and their shares.

Axes: J columns, V variables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.choice import broken_limits
from ttamer.planning.completions import picks_of
from ttamer.planning.dominance import without
from ttamer.planning.linear import LinearProgram, ceiling, choice_in, linear_program, values_of
from ttamer.planning.listing import SHORT, Listing, best_of, choice_of, list_options, make_search
from ttamer.planning.mixing import Effort
from ttamer.planning.option_program import chosen_options, option_program
from ttamer.planning.problem import Problem, Solution, SolveLimits
from ttamer.planning.second_opinion import second_opinion
from ttamer.profiles.records import Floats

QUICK = Effort(most_grown=100_000)  # by count, so that short of the time limit a problem always gives the same program
MOST_OPTIONS = 3_000
SAME = 1e-9  # relative, of objectives


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a solver says of a program. value_V: None if it found nothing. bound: what no choice exceeds."""

    is_infeasible: bool = False
    is_proven: bool = False
    value_V: Floats | None = None
    bound: float = np.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A program, how to read an answer to it (None if that does not stand), and who to ask where it is doubtful.

    start: a choice that is known. start_V: as an answer to the program, if it is one. is_complete: whether every
    choice better than the start is one. bound: what no choice exceeds.
    """

    program: LinearProgram
    read: Callable[[Floats], Solution | None]
    ask: Callable[[SolveLimits], Solution]
    start: Solution | None = None
    start_V: Floats | None = None
    is_complete: bool = True
    bound: float = np.inf


def make_task(problem: Problem, limits: SolveLimits) -> Task | Solution:
    """The task, or its answer where that is plain already.

    Raises InputError if no linear program holds all the choices: a product of accuracies of too many mixtures.
    """
    listing = list_options(problem, limits, QUICK if problem.mix else None)
    if listing is None:
        return Solution(status="infeasible")
    if not problem.mix:
        return _by_column(problem, listing)
    if listing.is_complete and not listing.stages:
        return _proven(listing.start)
    is_small = sum(len(options.picks) for options in listing.stages) <= MOST_OPTIONS
    if listing.stages and is_small and (listing.is_complete or problem.aggregation == "product"):
        return _by_option(problem, listing)
    return _whole(problem, listing)


def _proven(start: Solution | None) -> Solution:
    """The choice that nothing is better than; infeasible without one."""
    if start is None:
        return Solution(status="infeasible")
    return replace(start, status="optimal", bound=start.objective)


def _by_column(problem: Problem, listing: Listing) -> Task | Solution:
    """The columns without mixing that can be part of a better choice than a short search finds, and those of it."""
    search = make_search(problem, listing)
    is_proven = search.run(np.inf, SHORT) if listing.stages else True
    start = choice_of(problem, search.picks) if search.picks is not None else None
    if is_proven and start is None:
        return Solution(status="infeasible")
    options = [] if is_proven else search.stages
    used = {j for stage in options for picks in stage.picks for j, _ in picks}
    kept = sorted(used | {j for j, count in enumerate(start.replicas_J if start else ()) if count})
    part = without(problem, kept)
    program = linear_program(part)

    def read(value_V: Floats) -> Solution | None:
        found = choice_in(part, program, value_V)
        return None if found is None else _among_all(found, kept, len(problem.columns))

    start_V = None
    if start is not None:
        start_V = values_of(part, program, [start.replicas_J[j] for j in kept], [start.share_J[j] for j in kept])
    return Task(
        program=program, read=read, ask=lambda limits: second_opinion(problem, limits, is_doubted=False), start=start,
        start_V=start_V, bound=search.bound,
    )  # fmt: skip


def _by_option(problem: Problem, listing: Listing) -> Task:
    """One of the mixtures listed for every stage, all of which are better than what is known."""
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    program = option_program(listing.stages, weight, problem.loading_weight)

    def read(value_V: Floats) -> Solution | None:
        chosen = chosen_options(listing.stages, value_V)
        found = choice_of(problem, picks_of(listing.stages, chosen))
        return None if broken_limits(problem, found.replicas_J, found.share_J) else found

    return Task(
        program=program, read=read, ask=lambda limits: best_of(problem, listing, limits), start=listing.start,
        is_complete=listing.is_complete, bound=listing.bound,
    )  # fmt: skip


def _whole(problem: Problem, listing: Listing) -> Task:
    """All columns and their shares."""
    program, start = linear_program(problem), listing.start
    return Task(
        program=program, read=lambda value_V: choice_in(problem, program, value_V),
        ask=lambda limits: second_opinion(problem, limits, is_doubted=start is None), start=start,
        start_V=None if start is None else values_of(problem, program, start.replicas_J, start.share_J),
        bound=listing.bound,
    )  # fmt: skip


def _among_all(found: Solution, kept: Sequence[int], count: int) -> Solution:
    """The choice among some columns as one among all of them."""
    replicas, shares = [0] * count, [0.0] * count
    for j, number, share in zip(kept, found.replicas_J, found.share_J, strict=True):
        replicas[j], shares[j] = number, share
    return replace(found, replicas_J=tuple(replicas), share_J=tuple(shares))


def concluded(problem: Problem, task: Task, outcome: Outcome, gap: float) -> Solution | None:
    """The answer to the problem that follows from a solver's; None if that is doubtful.

    What a solver calls infeasible is doubtful: within its tolerances it loses choices that stand. So is what breaks
    limits without those tolerances, and what is worse than a choice that is known.
    """
    if outcome.is_infeasible:
        return None
    found = None if outcome.value_V is None else task.read(outcome.value_V)
    if outcome.value_V is not None and found is None:
        return None
    if outcome.is_proven and found is not None and task.start is not None and _is_worse(found, task.start):
        return None
    known = [one for one in (found, task.start) if one is not None]
    if not known:
        return None
    best = max(known, key=lambda one: one.objective)
    if outcome.is_proven and task.is_complete:
        proven = (
            best.objective if gap == 0 else min(outcome.bound, best.objective + gap * max(1.0, abs(best.objective)))
        )
        return replace(best, status="optimal", bound=max(best.objective, proven))
    bound = min(outcome.bound if task.is_complete else np.inf, task.bound, ceiling(problem))
    return replace(best, status="time-limited", bound=max(best.objective, bound))


def _is_worse(found: Solution, known: Solution) -> bool:
    return found.objective < known.objective - SAME * max(1.0, abs(known.objective))
