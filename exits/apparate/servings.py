"""One stream served in several ways: by controllers that adapt, by ramps placed once, by heads asked by sample.

All answer for the full model: what counts is agreement with it, not the label. Ramps are placed and tuned on
calibration records; the stream is of others. Axes: K exits, M arrivals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.apparate.controller import Controller
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.language import LanguageController
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.placement import TAIL_BUDGETS, Placement, add_greedily, place_exactly, place_initially
from ttamer.exits.apparate.replay import Replay, Semantics, replay, replay_decided, replay_fixed
from ttamer.exits.apparate.tuner import Compat
from ttamer.exits.apparate.vision import VisionController
from ttamer.exits.choosing import fastest_within_drop
from ttamer.exits.costs import ExitCosts
from ttamer.exits.evaluate import FittedPolicy, fit_candidates
from ttamer.exits.policies.first_agreeing import FirstAgreeing
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.policies.skippable_index import SkippableIndex
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Ints

CONTROLLERS: dict[str, type[Controller]] = {"vision": VisionController, "language": LanguageController}
NO_TAIL = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How ramps are placed and managed.

    most_ramps: None for what the controller's kind starts with. tail_budget: most that passing all active ramps may add
    to the plain model, None for 2 %, or 5 % by the released rules. max_disagreement: of ramps that are placed and tuned
    once; controllers have their own. audit: share of the requests that are computed to the end where the others stop.
    Raises InputError on shares outside 0 to 1.
    """

    controller: str = "vision"
    compat: Compat = Compat.FIXED
    most_ramps: int | None = None
    tail_budget: float | None = None
    max_disagreement: float = 0.01
    audit: float = 0.1

    def __post_init__(self) -> None:
        for name in ("max_disagreement", "audit"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} of {getattr(self, name)}", remedy="allowed: 0 to 1")

    @property
    def kind(self) -> type[Controller]:
        """The controller's class."""
        return CONTROLLERS[self.controller]

    @property
    def tail(self) -> float:
        """The tail budget that holds."""
        return TAIL_BUDGETS[self.compat] if self.tail_budget is None else self.tail_budget

    @property
    def ramps(self) -> int:
        """The most ramps that are placed."""
        return self.kind.most_ramps if self.most_ramps is None else self.most_ramps


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A way to serve a stream, and what came of it.

    expected_cut_pct: mean latency saved on the records it was placed or chosen on, None for controllers and bounds.
    """

    name: str
    semantics: Semantics
    replay: Replay
    expected_cut_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all ways to serve start from.

    calibration, validation, stream: disjoint records of one model. order_M: the rows of the stream as they arrive.
    costs: of stages and heads by batch size.
    """

    calibration: ExitRecords
    validation: ExitRecords
    stream: ExitRecords
    order_M: Ints
    batch: int
    costs: Mapping[int, ExitCosts]

    def latencies(self) -> dict[int, RampLatency]:
        """Latencies with ramps, by batch size."""
        return {size: RampLatency.of_stages(one.stage_s_K, one.head_s_K) for size, one in self.costs.items()}

    def latency(self) -> RampLatency:
        """At the stream's batch size."""
        return at_batch(self.latencies(), self.batch)

    def costs_at_batch(self) -> ExitCosts:
        """At the stream's batch size."""
        sizes = [size for size in self.costs if size >= self.batch]
        return self.costs[min(sizes) if sizes else max(self.costs)]


def feasible_ramps(latency: RampLatency, tail_budget: float) -> list[int]:
    """The exits that can be ramps: answered before the plain model is, and within the tail budget alone."""
    return [
        ramp
        for ramp in range(latency.latest_ramp() + 1 if latency.exits > 1 else 0)
        if latency.tail_overhead([ramp]) < tail_budget
    ]


def serve_alike(ground: Ground, rules: Rules, audited_M: NDArray[np.bool_]) -> list[Serving]:
    """The stream served by the controller under both semantics, by ramps placed once, by skippable heads, by an oracle.

    audited_M: which arrivals are computed to the end where the others stop. Raises InputError for a model without
    early exits and for an empty stream.
    """
    feedback = Feedback.of(ground.stream)
    return [
        *_controlled(ground, rules, feedback, audited_M),
        *_placed_once(ground, rules, feedback),
        _skipping(ground, rules, feedback),
        _bound(ground, feedback),
    ]


def _controlled(ground: Ground, rules: Rules, feedback: Feedback, audited_M: NDArray[np.bool_]) -> list[Serving]:
    calibration, latencies = Feedback.of(ground.calibration), ground.latencies()
    ramps = place_initially(
        calibration, ground.latency(), rules.ramps, tail_budget=rules.tail, compat=rules.compat
    )  # fmt: skip
    tail_budget = rules.tail if rules.compat is Compat.FIXED else NO_TAIL
    found = []
    for semantics in Semantics:
        controller = rules.kind(latencies, ramps, compat=rules.compat, tail_budget=tail_budget)
        served = replay(controller, feedback, ground.order_M, ground.batch, semantics, audited_M=audited_M)
        found.append(Serving(name="controller", semantics=semantics, replay=served))
    return found


def _placed_once(ground: Ground, rules: Rules, feedback: Feedback) -> list[Serving]:
    calibration, latency = Feedback.of(ground.calibration), ground.latency()
    budgets = {"max_disagreement": rules.max_disagreement, "tail_budget": rules.tail}
    places: dict[str, Callable[[], Placement]] = {
        "greedy placement": lambda: add_greedily(calibration, latency, rules.ramps, compat=rules.compat, **budgets),
        "exact placement": lambda: place_exactly(calibration, latency, rules.ramps, **budgets),
    }
    found = []
    for name, place in places.items():
        tuned = place().tuned
        if tuned is not None:
            served = replay_fixed(tuned, latency, feedback, ground.order_M, ground.batch, Semantics.STOP)
            found.append(Serving(name=name, semantics=Semantics.STOP, replay=served, expected_cut_pct=tuned.cut_pct))
    return found


def _skipping(ground: Ground, rules: Rules, feedback: Feedback) -> Serving:
    """Heads that each sample may skip: which are asked is part of the optimum."""
    calibration, validation = taught(ground.calibration), taught(ground.validation)
    costs = ground.costs_at_batch()
    candidates = [
        FittedPolicy(LastExit(), calibration.model), *fit_candidates([SkippableIndex.kind], calibration, costs)
    ]  # fmt: skip
    chosen = fastest_within_drop(candidates, validation, costs, rules.max_disagreement)
    assert chosen.outcome.mean_s is not None
    plain_s = ground.latency().plain_s
    return Serving(
        name="skippable heads",
        semantics=Semantics.STOP,
        replay=_decided(ground, chosen.fitted.policy, feedback),
        expected_cut_pct=100 * (1 - chosen.outcome.mean_s / plain_s),
    )


def _bound(ground: Ground, feedback: Feedback) -> Serving:
    """Each sample leaves at the first exit that agrees with the last and pays for that head alone."""
    policy = FirstAgreeing()
    return Serving(name="oracle", semantics=Semantics.STOP, replay=_decided(ground, policy, feedback))


def _decided(ground: Ground, policy: Policy, feedback: Feedback) -> Replay:
    stream = ground.stream
    return replay_decided(
        policy.decide(stream), policy.heads_K(stream.exits), ground.costs_at_batch(), feedback, ground.order_M,
        ground.batch,
    )  # fmt: skip


def taught(records: ExitRecords) -> ExitRecords:
    """The records with the last exit's answers for labels: errors are then disagreements."""
    return replace(records, label_N=records.prediction_NK[:, -1])


def joined(first: ExitRecords, later: ExitRecords) -> ExitRecords:
    """The records of one model one after the other, samples numbered anew.

    Raises InputError if they are of another model or another number of exits.
    """
    if (first.model, first.exits) != (later.model, later.exits):
        raise InputError(
            f"records of {later.model!r} with {later.exits} exits cannot follow those of {first.model!r} "
            f"with {first.exits}",
            remedy="give records of the same model",
        )

    def both(name: str) -> NDArray[np.float64] | None:
        one, other = getattr(first, name), getattr(later, name)
        return None if one is None or other is None else np.concatenate([one, other])

    return ExitRecords(
        model=first.model,
        dataset=f"{first.dataset}, then {later.dataset}",
        split=first.split,
        sample_N=np.arange(first.samples + later.samples),
        label_N=np.concatenate([first.label_N, later.label_N]),
        prediction_NK=np.concatenate([first.prediction_NK, later.prediction_NK]),
        confidence_NK=np.concatenate([first.confidence_NK, later.confidence_NK]),
        margin_NK=both("margin_NK"),
        entropy_NK=both("entropy_NK"),
    )


def audits(arrivals: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which arrivals are audited, each by itself."""
    return np.asarray(rng.random(arrivals) < share)


def means_over(values: Sequence[float], samples: Sequence[int]) -> float:
    """The mean over samples of values that are each the mean of a batch."""
    return float(np.average(values, weights=samples))
