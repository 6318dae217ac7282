"""What a service demands of every exit policy: accuracy, mean time, a guarantee; and the policies that meet it.

A mean is best kept by two policies, one or the other by request: the neighbours on the frontier between which the bound
lies. A guarantee is given before anything is chosen, to a whole sequence of policies at once, so that whatever the
program then chooses among them holds with the stated confidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ttamer.exits.careful_choice import Judged, fastest_mixed, fastest_of, judge
from ttamer.exits.choosing import most_accurate_of
from ttamer.exits.evaluate import ROUNDING, Evaluated, FittedPolicy, evaluate_all, pareto
from ttamer.exits.guarantee import Risk, certified, failures_of
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.planning.model_choice import ModelChoice, has_records
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.intervals import proportion_bound
from ttamer.profiles.plan import Assurance, PolicySpec
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.service import Service, Stage

DROPS = (0.0, 0.005, 0.01, 0.02, 0.05)  # of accuracy against the last exit: one operating point at each, if allowed
JUDGED = 150  # candidates, of all layers that this takes: with their errors, the best may be the second best without


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitTerms:
    """The demands of a service on each exit policy.

    max_drop: accuracy lost against the last exit on validation records, at most. mean_s: of a request alone (batch 1 on
    the most cores measured), at most. risk: of a wrong or another answer (risk_of), at most, at this confidence.
    """

    max_drop: float = 1.0
    mean_s: float | None = None
    risk: float | None = None
    confidence: float = 0.95
    risk_of: Risk = Risk.DISAGREEMENT

    @classmethod
    def of(cls, service: Service, profile: Profile, choices: Sequence[ModelChoice]) -> Self:
        """The terms of a service; the models that need a guarantee share what its confidence leaves open.

        Each may break its guarantee, and any of them may be chosen: the chances add up (union bound).
        """
        risk_of = Risk(service.risk_of)
        sharing = sum(
            has_records(profile, model) and (risk_of is Risk.ERROR or leaves_early(stage))
            for stage, choice in zip(service.stages, choices, strict=True)
            for model in choice.models
            for _ in service.devices()
        )
        return cls(
            max_drop=service.max_drop,
            mean_s=service.mean_latency_s,
            risk=service.risk,
            confidence=1 - (1 - service.confidence) / max(1, sharing),
            risk_of=risk_of,
        )

    @property
    def doubts_last_exit(self) -> bool:
        """Whether the last exit, too, needs a guarantee: it never disagrees with itself, but it can be wrong."""
        return self.risk is not None and self.risk_of is Risk.ERROR

    def admitted(
        self, fitted: Sequence[FittedPolicy], calibration: ExitRecords, validation: ExitRecords, costs: ExitCosts
    ) -> list[Evaluated]:
        """The candidates on validation records, those alone that have the guarantee if one is asked for.

        Raises InfeasibleError with the number of samples needed where there are too few for any guarantee.
        """
        if self.risk is None:
            return evaluate_all(fitted, validation, costs)
        if not self.doubts_last_exit:
            fitted = [one for one in fitted if one.kind != LastExit.kind]
        if not fitted:
            return []
        found = certified(
            fitted, calibration, validation, costs, bound=self.risk, confidence=self.confidence, risk=self.risk_of
        )
        return [guarantee.chosen for guarantee in found]

    def in_time(self, mean_s: float | None) -> bool:
        """Whether a mean time is within the bound."""
        return self.mean_s is None or (mean_s is not None and mean_s <= self.mean_s * (1 + ROUNDING))

    def chosen(
        self,
        evaluated: Sequence[Evaluated],
        last: Evaluated,
        calibration: ExitRecords,
        validation: ExitRecords,
        costs: ExitCosts,
    ) -> list[Evaluated]:
        """A handful of the candidates, and of mixtures of two, that keep the terms and are faster than the last exit.

        The fastest at each of a few tolerated drops, one that clearly beats the last exit, and the best under each
        bound on a mean. A drop counts with its 95 % bound, on both splits: of many candidates the fastest within
        a drop on one split alone is there by luck. Where a guarantee is asked for, which single policies have, none
        are mixed. Slowest first, and the faster one the less accurate.
        """
        few = [last, *layers(evaluated, JUDGED)]
        known = {id(one.fitted): one for one in few}
        judged = judge([one.fitted for one in few], calibration, validation, costs)
        in_time = [one for one in judged if self.in_time(one.mean_s)]
        drops = sorted({*(drop for drop in DROPS if drop <= self.max_drop), self.max_drop})
        alone = [fastest_of(in_time, drop) for drop in drops]
        if self.mean_s is not None:
            alone.append(min(in_time, key=lambda one: (one.loss, one.mean_s), default=None))
        found = [*_better(few, last), *(known[id(one.fitted)] for one in alone if one is not None)]
        if self.risk is None:
            found += self._mixed(judged, known, calibration, validation, costs)
        floor, slowest = last.outcome.accuracy - self.max_drop - ROUNDING, last.outcome.mean_s
        kept = [one for one in found if one.outcome.accuracy >= floor and self.in_time(one.outcome.mean_s)]
        return [one for one in pareto(kept) if (one.outcome.mean_s or 0.0) < (slowest or 0.0)][::-1]

    def _mixed(
        self,
        judged: Sequence[Judged],
        known: Mapping[int, Evaluated],
        calibration: ExitRecords,
        validation: ExitRecords,
        costs: ExitCosts,
    ) -> Iterator[Evaluated]:
        """The best under each bound on a mean, two neighbours mixed where that uses what one leaves."""
        if self.max_drop < 1:
            mixed = fastest_mixed(judged, calibration, validation, costs, self.max_drop)
            yield from evaluate_all([mixed.fitted], validation, costs) if mixed is not None else ()
        if self.mean_s is not None and any(self.in_time(one.mean_s) for one in judged):
            pool: list[Judged] = []
            for one in sorted(judged, key=lambda one: (one.mean_s, one.loss)):
                if not pool or one.loss < pool[-1].loss:
                    pool.append(one)
            yield most_accurate_of([known[id(one.fitted)] for one in pool], validation, costs, self.mean_s)

    def assurance(self, policy: Policy, validation: ExitRecords) -> Assurance | None:
        """What vouches for a policy of a model with records; None where nothing is asked for or needs to be."""
        if self.risk is None or (isinstance(policy, LastExit) and not self.doubts_last_exit):
            return None
        return assurance_of(policy, validation, self.risk_of, self.confidence)


def layers(evaluated: Sequence[Evaluated], enough: int) -> list[Evaluated]:
    """The candidates that no other beats in accuracy and time, then those that only these beat, and so on."""
    left = list(evaluated)
    kept: list[Evaluated] = []
    while left and len(kept) < enough:
        front = pareto(left)
        places = {id(one) for one in front}
        kept += front
        left = [one for one in left if id(one) not in places]
    return kept


def _better(few: Sequence[Evaluated], last: Evaluated) -> list[Evaluated]:
    """The most accurate if it beats the last exit by more than chance: the lower end of its interval does."""
    best = max(few, key=lambda one: one.outcome.accuracy)
    return [best] if best.outcome.low > last.outcome.accuracy else []


def assurance_of(policy: Policy, validation: ExitRecords, risk_of: Risk, confidence: float) -> Assurance:
    """How rarely the policy failed on validation records, and what that bounds with this confidence."""
    failures = failures_of(policy, validation, risk_of)
    bound = proportion_bound(failures, validation.samples, confidence)
    return Assurance(
        risk_of=risk_of.value, failures=failures, samples=validation.samples, bound=bound, confidence=confidence
    )


def leaves_early(stage: Stage) -> bool:
    """Whether the stage allows any policy but the last exit."""
    return tuple(stage.policies) != (LastExit.kind,)


def kinds_in(spec: PolicySpec) -> tuple[str, ...]:
    """The kind of a policy, of a mixture those of its two policies."""
    parts = [spec.params[name] for name in ("first", "second") if isinstance(spec.params.get(name), Mapping)]
    return tuple(str(part.get("kind")) for part in parts) or (spec.kind,)


def whole_alone_s(profile: Profile, model: str, device: str) -> float:
    """Seconds of one request through a whole model, on the most cores; of an imported one its summary from above."""
    if profile.is_imported(model):
        return min(point.latency_s for point in profile.imported_points(model, device))
    cores = max(setting[1] for setting in profile.settings_of(model) if setting[0] == device)
    return float(profile.curve_s(model, "whole", WHOLE, device=device, cores=cores, up_to=1)[1])


def nothing_left(stage: str, terms: ExitTerms, means_s: Sequence[float | None]) -> InfeasibleError:
    """The error where no policy of any model of a stage keeps the terms. means_s: without the bound on them."""
    known_s = [mean_s for mean_s in means_s if mean_s is not None]
    if terms.mean_s is None or not known_s:
        return InfeasibleError(
            f"no policy of stage {stage!r} keeps a guaranteed {terms.risk_of} of at most {100 * (terms.risk or 0):g} %",
            remedy="allow a higher risk, or record more samples: ttamer fit",
        )
    return InfeasibleError(
        f"no policy of stage {stage!r} takes at most {1e3 * terms.mean_s:.4g} ms alone in the mean",
        remedy=f"allow the {1e3 * min(known_s):.4g} ms of the fastest, or add a smaller model",
    )
