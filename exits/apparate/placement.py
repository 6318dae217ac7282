"""Where ramps go: Apparate's greedy addition, its evenly spaced start, and the best subset to hold them against.

Axes: K exits, the last is the full model; R active ramps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.tuner import Compat, Tuned, most_errors, tune, tune_exactly, ways_to_part
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

MOST_SUBSETS = 5000  # each costs a search: half a minute at some thousand samples
TUNING_BUDGET = 1e-4  # as released: not one changed answer in the samples at hand
TAIL_BUDGET = 0.05  # as released
TAIL_BUDGETS = {Compat.RELEASED: TAIL_BUDGET, Compat.FIXED: 0.02}  # fixed: the paper's
MOST_WAYS = 300  # for one set of ramps, of many: beyond, the searches stand in for the exact thresholds


@dataclass(frozen=True, slots=True)
class Placement:
    """Active ramps with the thresholds that the search found for them, None where no ramp pays."""

    tuned: Tuned | None

    @property
    def ramps(self) -> tuple[int, ...]:
        """The active ramps, ascending."""
        return () if self.tuned is None else self.tuned.ramps


def utilities(ramps: Sequence[int], exit_share: Sequence[float], latency: RampLatency) -> list[float]:
    """Seconds each ramp saves against the next one less what it costs the samples that pass it, a mean per sample."""
    answer_s = latency.answer_s(ramps)
    return [
        exit_share[j] * (answer_s[j + 1] - answer_s[j]) - sum(exit_share[j + 1 :]) * float(latency.ramp_s_K[r])
        for j, r in enumerate(ramps)
    ]


def add_greedily(
    feedback: Feedback,
    latency: RampLatency,
    most_ramps: int,
    *,
    max_disagreement: float,
    tail_budget: float = TAIL_BUDGET,
    compat: Compat = Compat.FIXED,
) -> Placement:
    """Ramps added one by one, each time the one of highest utility per second of its own, within the tail budget.

    tail_budget: most that passing all ramps may add, strictly, as a fraction of the plain model.
    """
    steps = additions(feedback, latency, max_disagreement=max_disagreement, tail_budget=tail_budget, compat=compat)
    placed = list(islice(steps, most_ramps))
    return Placement(placed[-1] if placed else None)


def additions(
    feedback: Feedback,
    latency: RampLatency,
    *,
    max_disagreement: float,
    tail_budget: float = TAIL_BUDGET,
    compat: Compat = Compat.FIXED,
) -> Iterator[Tuned]:
    """The ramps after the first greedy addition, after the second and so on, while one pays; as in `add_greedily`."""
    active: tuple[int, ...] = ()
    while True:
        best, best_worth = None, 0.0
        for ramp in range(latency.exits - 1):
            ramps = tuple(sorted({*active, ramp}))
            if ramp in active or not latency.tail_overhead(ramps) < tail_budget:
                continue
            tuned = tune(feedback, latency, ramps, max_disagreement, compat=compat)
            if tuned.agreement < 1 - max_disagreement:
                continue
            worth = _worth(tuned, ramp, latency)
            if worth > best_worth:
                best, best_worth = tuned, worth
        if best is None:
            return
        yield best
        active = best.ramps


def _worth(tuned: Tuned, ramp: int, latency: RampLatency) -> float:
    utility = utilities(tuned.ramps, tuned.exit_share, latency)[tuned.ramps.index(ramp)]
    ramp_s = float(latency.ramp_s_K[ramp])
    if ramp_s > 0:
        return utility / ramp_s
    return float("inf") if utility > 0 else 0.0


def place_initially(
    feedback: Feedback,
    latency: RampLatency,
    most_ramps: int,
    *,
    tail_budget: float = TAIL_BUDGET,
    compat: Compat = Compat.FIXED,
) -> tuple[int, ...]:
    """The ramps to start with: as many as greedy addition finds, at least one, evenly spaced up to the latest.

    By the fixed rules fewer where so many, spaced like that, are not within the tail budget.
    Raises InputError for a model without ramps.
    """
    if latency.exits < 2:
        raise InputError("a model of one exit has no ramp", remedy="give a model with early exits")
    greedy = add_greedily(
        feedback, latency, most_ramps, max_disagreement=TUNING_BUDGET, tail_budget=tail_budget, compat=compat
    )
    placed = spaced(0, latency.latest_ramp(), max(1, len(greedy.ramps)))
    while compat is Compat.FIXED and len(placed) > 1 and not latency.tail_overhead(placed) < tail_budget:
        placed = spaced(0, latency.latest_ramp(), len(placed) - 1)
    return placed


def spaced(first: int, last: int, ramps: int) -> tuple[int, ...]:
    """Exits strictly inside a range, evenly spaced and rounded down; repeated ones are merged.

    >>> spaced(0, 10, 3), spaced(0, 1, 2)
    ((2, 5, 7), (0,))
    """
    inner: Floats = np.linspace(first, last, ramps + 2)[1:-1]
    return tuple(dict.fromkeys(int(place) for place in inner))


def place_exactly(
    feedback: Feedback,
    latency: RampLatency,
    most_ramps: int,
    *,
    max_disagreement: float,
    tail_budget: float = TAIL_BUDGET,
) -> Placement:
    """The subset of ramps within the tail budget that saves most latency, every subset tried.

    Each gets its exact thresholds; from three ramps on, where the errors can be parted among them in more than 300
    ways, the better of the two greedy searches. Raises InputError for more than 5000 subsets.
    """
    sizes = range(1, most_ramps + 1)
    subsets = [ramps for size in sizes for ramps in combinations(range(latency.exits - 1), size)]
    affordable = [ramps for ramps in subsets if latency.tail_overhead(ramps) < tail_budget]
    if len(affordable) > MOST_SUBSETS:
        raise InputError(
            f"{len(affordable)} sets of up to {most_ramps} ramps are too many to try (at most {MOST_SUBSETS})",
            remedy="allow fewer ramps or a smaller tail budget",
        )
    tuned = [_tune_best(feedback, latency, ramps, max_disagreement) for ramps in affordable]
    best = max(tuned, key=lambda one: one.cut_pct, default=None)
    return Placement(best if best is not None and best.cut_pct > 0 else None)


def _tune_best(feedback: Feedback, latency: RampLatency, ramps: tuple[int, ...], max_disagreement: float) -> Tuned:
    allowed = most_errors(feedback.samples, max_disagreement)
    if len(ramps) <= 2 or ways_to_part(allowed, len(ramps)) <= MOST_WAYS:
        return tune_exactly(feedback, latency, ramps, max_disagreement)
    searches = [tune(feedback, latency, ramps, max_disagreement, compat=compat) for compat in Compat]
    return max(searches, key=lambda one: one.cut_pct)
