"""What a part of a stage's mixture is held against: what the rest of it and the other stages add at most.

Stages that are not listed yet count as if their replicas could be split at will (`relaxation.py`), the others by their
options. Prices in place of limits (`prices.py`) then make the stages come apart. Where accuracies multiply, that of a
mixture is a mean A, and log A ≤ log a + (A − a) / a for any a, so the logarithm of the product is bounded by a sum
that is linear in the shares.

Axes: S stages, J columns, O options, R resources, K ranges of the product of accuracies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.completions import Completions
from ttamer.planning.narrowing import narrowed
from ttamer.planning.options import FULL, RawOptions, StageOptions, accuracy_room, in_units, worths_of
from ttamer.planning.prices import EVERYTHING, Relaxed, spans
from ttamer.planning.problem import Problem
from ttamer.planning.relaxation import Relaxation
from ttamer.profiles.records import Floats

RANGES = 8  # of the product of accuracies, to begin with
ROUNDS = 2  # of looking for the accuracies at which to touch the logarithm
TINIEST = 1e-9  # accuracy at which to touch it


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What labels of one stage are held against, in K ranges one of which holds the best choice.

    In each a label is worth at most weight × accuracy − price × amounts − late × latency + constant, less its penalty
    where that counts, with what is left of the load served as well as can be. target: what must be exceeded.
    bound: what no choice exceeds.
    """

    weight_K: Floats
    price_KR: Floats
    late_K: Floats
    constant_K: Floats
    target: float
    bound: float
    is_penalized: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """All stages as seen from one: those listed before it and the others split at will, with limits as resources.

    slope_S, lift_S: what accuracies count with in a sum, slope × accuracy + lift.
    """

    problem: Problem
    relaxed: Relaxation
    place: int
    raw: Sequence[RawOptions]
    stages: Sequence[StageOptions]
    slope_S: Sequence[float]
    lift_S: Sequence[float]


def look_out(
    problem: Problem, relaxed: Relaxation, listed: Sequence[RawOptions], place: int, target: float
) -> tuple[Outlook, View]:  # fmt: skip
    """The outlook from one stage on better choices than the target. listed: the options of the stages before it."""
    raw = [*listed, *(_split_at_will(problem, relaxed, number) for number in range(len(listed), len(relaxed.members)))]
    if problem.aggregation != "product":
        ones, zeros = [1.0] * len(raw), [0.0] * len(raw)
        view = View(problem, relaxed, place, raw, in_units(problem, relaxed.limited, raw, is_whole=True), ones, zeros)
        return _outlook(view, narrowed(view.stages, 0.0, [EVERYTHING], target), target), view
    touch_S = [max(TINIEST, float(options.accuracy_O.mean())) for options in raw]
    for left in reversed(range(ROUNDS)):
        view = _touching(problem, relaxed, place, raw, touch_S)
        ranges = spans(view.stages, problem.accuracy_weight, problem.least_accuracy or 0.0, RANGES)
        bounds = narrowed(view.stages, problem.accuracy_weight, ranges, target)
        if not left or not bounds.spans:
            break
        likely = bounds.spans[int(np.argmax(bounds.bound_I))]
        fractions = Relaxed(view.stages, problem.accuracy_weight).fractions(likely)
        means = [float(x_O @ options.accuracy_O) for x_O, options in zip(fractions, raw, strict=True)]
        touch_S = [mean if mean > 0 else touch for mean, touch in zip(means, touch_S, strict=True)]
    return _outlook(view, bounds, target), view


def look_for_room(view: View) -> Iterator[Outlook]:
    """For every limit an outlook on choices that keep it, while they keep the others."""
    for number in range(view.stages[0].use_OD.shape[1]):
        stages = [replace(options, penalty_O=options.use_OD[:, number]) for options in view.stages]
        bounds = narrowed(stages, 0.0, [EVERYTHING], -FULL)
        yield _outlook(view, bounds, -FULL, number)


def _touching(
    problem: Problem, relaxed: Relaxation, place: int, raw: Sequence[RawOptions], touch_S: Sequence[float]
) -> View:  # fmt: skip
    """The view with lines in place of logarithms that touch them at some accuracies."""
    lift_S = [float(np.log(touch)) - 1 for touch in touch_S]
    lined = [
        replace(options, accuracy_O=np.exp(options.accuracy_O / touch + lift))
        for options, touch, lift in zip(raw, touch_S, lift_S, strict=True)
    ]
    stages = in_units(problem, relaxed.limited, lined, is_whole=True)
    return View(problem, relaxed, place, lined, stages, [1 / touch for touch in touch_S], lift_S)


def _outlook(view: View, bounds: Completions, target: float, aim: int | None = None) -> Outlook:
    """The outlook on the objective, or on using little of the resource of a number."""
    problem, place, kept = view.problem, view.place, [near[0] for near in bounds.near]
    price_KD = bounds.price_KD[kept]
    constant_K = bounds.offset_IK[range(len(kept)), kept] + FULL * price_KD.sum(axis=1)
    for number, options in enumerate(bounds.stages):
        if number != place:
            constant_K = constant_K + bounds.worth_OK(options)[:, kept].max(axis=0)
    if aim is not None:
        price_KD = price_KD + (np.arange(price_KD.shape[1]) == aim)
    count = len(view.relaxed.limited)
    late_K, rest_KD = np.zeros(len(kept)), price_KD[:, count:]
    if problem.most_latency_s is not None:
        late_K, rest_KD = rest_KD[:, 0] / (problem.most_latency_s or np.inf), rest_KD[:, 1:]
    each_K = bounds.tilt_K[kept]  # of what accuracies count with in a sum
    if problem.aggregation != "product" and aim is None:
        each_K = each_K + problem.accuracy_weight / (len(bounds.stages) if problem.aggregation == "mean" else 1)
    room = accuracy_room(problem, view.raw)
    if rest_KD.shape[1] and 0 < room < np.inf:  # what is lost of the best accuracy takes of the room above the floor
        best = float(worths_of(problem, view.raw)[place].max())
        each_K, constant_K = each_K + rest_KD[:, 0] / room, constant_K - rest_KD[:, 0] / room * best
    most_R = np.array([resource.most or np.inf for resource in view.relaxed.limited])
    return Outlook(
        weight_K=each_K * view.slope_S[place], price_KR=price_KD[:, :count] / most_R, late_K=late_K,
        constant_K=constant_K + each_K * view.lift_S[place], target=target, bound=bounds.bound,
        is_penalized=aim is None,
    )  # fmt: skip


def _split_at_will(problem: Problem, relaxed: Relaxation, place: int) -> RawOptions:
    """The columns of a stage, each with all its load in fractions of replicas."""
    here = relaxed.members[place]
    penalty_J = relaxed.cost_J + problem.latency_weight * relaxed.latency_J
    return RawOptions(
        penalty_O=penalty_J[here], accuracy_O=relaxed.accuracy_J[here], amount_OR=relaxed.amount_JR[here],
        latency_O=relaxed.latency_J[here], load_s_O=np.zeros(len(here)), picks=[((j, 1),) for j in here.tolist()],
    )  # fmt: skip
