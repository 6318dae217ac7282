"""What a policy does on records it was not fitted on, and which policies are worth keeping.

Three splits, three jobs: fit on calibration, choose on validation, report on test. The records a
policy was fitted on are known by their digest and refused.

Axes: N samples, K exits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.decision import stages_run
from ttamer.exits.mixture import KINDS
from ttamer.exits.policies.protocol import Decision, ExitCosts, Policy
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.records import ExitRecords, Floats
from ttamer.profiles.registry import lookup

ROUNDING = 1e-9  # far below one sample; keeps the rounding of two shares from deciding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a policy did on one set of records.

    accuracy: share of answers that are the label, low and high its 95 % Wilson interval; agreement: share that are the
    last exit's answer. stop_share_K: share stopping at each exit; reach_share_K: share that did not stop before;
    run_share_K, asked_share_K: share for which each stage is run and each head is evaluated.
    recall_share: share answered by an exit before the one that stopped. heads_K: heads evaluated on the way.
    mean_s: mean seconds a sample spends, None without costs; answering from an earlier exit refunds nothing.
    """

    samples: int
    accuracy: float
    low: float
    high: float
    agreement: float
    stop_share_K: Floats
    reach_share_K: Floats
    run_share_K: Floats
    asked_share_K: Floats
    recall_share: float
    heads_K: NDArray[np.bool_]
    mean_s: float | None

    def share_under_way(self, share_K: Floats) -> tuple[float, ...]:
        """Shares of all samples as shares of those that have not stopped before each exit, 0 where nobody is left."""
        reach_K = np.where(self.reach_share_K > 0, self.reach_share_K, 1.0)
        return tuple(np.minimum(share_K / reach_K, 1.0).tolist())


@dataclass(frozen=True, slots=True)
class FittedPolicy:
    """A policy with the model it is for and the records it has seen.

    fitted_on, chosen_on: digest of the records of each split by the split's name; empty where none was needed.
    """

    policy: Policy
    model: str
    fitted_on: Mapping[str, str] = field(default_factory=dict)
    chosen_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kind of the policy."""
        return self.policy.kind

    def check_unseen(self, records: ExitRecords) -> None:
        """Raise InputError if the records are of another model or the policy was fitted on them."""
        self.check_model(records)
        if self.fitted_on:
            self._check_digest(records, records.digest())

    def check_model(self, records: ExitRecords) -> None:
        """Raise InputError if the records are of another model."""
        if records.model != self.model:
            raise InputError(
                f"a {self.kind} policy for {self.model!r} cannot be evaluated on records of {records.model!r}",
                remedy="give records of the same model",
            )

    def _check_digest(self, records: ExitRecords, digest: str) -> None:
        for split, seen in self.fitted_on.items():
            if seen == digest:
                raise InputError(
                    f"the {self.kind} policy was fitted on these records ({records.split}, fitted on as {split})",
                    remedy="evaluate on another split",
                )

    def chosen(self, records: ExitRecords) -> Self:
        """The same policy, noted as chosen on these records."""
        return replace(self, chosen_on={**self.chosen_on, records.split: records.digest()})

    def to_spec(self) -> PolicySpec:
        """The policy as it stands in a plan."""
        return PolicySpec(
            kind=self.kind,
            model=self.model,
            params=self.policy.params(),
            fitted_on=dict(self.fitted_on),
            chosen_on=dict(self.chosen_on),
        )

    @classmethod
    def from_spec(cls, spec: PolicySpec) -> Self:
        """The policy in a plan. Raises InputError on an unknown kind or a wrong parameter."""
        policy = lookup(KINDS, spec.kind, "exit policy").from_params(spec.params)
        return cls(policy, spec.model, dict(spec.fitted_on), dict(spec.chosen_on))


class Evaluated(NamedTuple):
    """A candidate and what it did on the records it was evaluated on."""

    fitted: FittedPolicy
    outcome: Outcome


def evaluate(policy: Policy | FittedPolicy, records: ExitRecords, costs: ExitCosts | None = None) -> Outcome:
    """What the policy does on the records.

    Raises InputError if a fitted policy has seen the records, is for another model, or if exits and costs differ.
    """
    if isinstance(policy, FittedPolicy):
        policy.check_unseen(records)
        policy = policy.policy
    _check_costs(costs, records)
    return _outcome(policy, _Replay.of(records), costs)


def fit_candidates(kinds: Iterable[str], calibration: ExitRecords, costs: ExitCosts) -> list[FittedPolicy]:
    """Every setting in the families of these kinds, fitted on calibration records.

    Raises InputError on an unknown kind or costs of another number of exits.
    """
    _check_costs(costs, calibration)
    seen = {calibration.split: calibration.digest()}
    return [
        FittedPolicy(policy, calibration.model, seen)
        for kind in kinds
        for policy in lookup(KINDS, kind, "exit policy").family(calibration, costs)
    ]


def evaluate_all(
    candidates: Sequence[FittedPolicy], records: ExitRecords, costs: ExitCosts | None = None
) -> list[Evaluated]:
    """Every candidate with its outcome on the same records; the conditions of `evaluate` hold for each."""
    _check_costs(costs, records)
    digest = records.digest()
    replay = _Replay.of(records)
    evaluated = []
    for fitted in candidates:
        fitted.check_model(records)
        fitted._check_digest(records, digest)
        evaluated.append(Evaluated(fitted, _outcome(fitted.policy, replay, costs)))
    return evaluated


def frontier(
    candidates: Sequence[FittedPolicy], validation: ExitRecords, costs: ExitCosts, *, per_kind: bool = False
) -> list[Evaluated]:
    """The candidates that no other one beats in both accuracy and mean seconds on validation, fastest first.

    per_kind: let candidates compete within their kind only, kinds in the order of the candidates.
    The conditions of `evaluate` hold for each.
    """
    evaluated = evaluate_all(candidates, validation, costs)
    if not per_kind:
        return pareto(evaluated)
    kinds = dict.fromkeys(one.fitted.kind for one in evaluated)
    return [kept for kind in kinds for kept in pareto([one for one in evaluated if one.fitted.kind == kind])]


def pareto(evaluated: Iterable[Evaluated]) -> list[Evaluated]:
    """Those that no other one beats in both accuracy and mean seconds, fastest first; of equals the first."""
    kept: list[Evaluated] = []
    for one in sorted(evaluated, key=_speed):
        if not kept or one.outcome.accuracy > kept[-1].outcome.accuracy:
            kept.append(one)
    return kept


def best_within_drop(
    candidates: Sequence[FittedPolicy], validation: ExitRecords, costs: ExitCosts, max_drop: float
) -> Evaluated:
    """The fastest candidate whose accuracy on validation is at least the last exit's less max_drop.

    max_drop: a fraction; negative if the last exit must be beaten.
    Raises InfeasibleError if no candidate is accurate enough; the conditions of `evaluate` hold for each.
    """
    evaluated = evaluate_all(candidates, validation, costs)
    floor = float(validation.accuracy_K()[-1]) - max_drop - ROUNDING
    enough = [one for one in evaluated if one.outcome.accuracy >= floor]
    if not enough:
        best = max((one.outcome.accuracy for one in evaluated), default=0.0)
        raise InfeasibleError(
            f"no candidate reaches the accuracy {floor:.4f} on {validation.split}; the best reaches {best:.4f}",
            remedy="allow a larger drop or add the kind last-exit",
        )
    return min(enough, key=_speed)


def refuse_overlap(*records: ExitRecords) -> None:
    """Raise InputError if two of the record sets are of one data set and share a sample."""
    for i, one in enumerate(records):
        for other in records[i + 1 :]:
            common = np.intersect1d(one.sample_N, other.sample_N)
            if one.dataset == other.dataset and len(common):
                raise InputError(
                    f"the splits {one.split} and {other.split} share {len(common)} samples, sample {common[0]} first",
                    remedy="record disjoint splits",
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """Records with what every evaluation on them needs."""

    records: ExitRecords
    correct_NK: NDArray[np.bool_]
    agrees_NK: NDArray[np.bool_]

    @classmethod
    def of(cls, records: ExitRecords) -> Self:
        return cls(records, records.correct_NK(), records.agrees_NK())


def _outcome(policy: Policy, replay: _Replay, costs: ExitCosts | None) -> Outcome:
    records = replay.records
    heads_K = policy.heads_K(records.exits)
    decision = policy.decide(records)
    rows_N = np.arange(records.samples)
    right = int(replay.correct_NK[rows_N, decision.answer_N].sum())
    low, high = wilson_interval(right, records.samples)
    stop_share_K = _stop_share(decision, records)
    reach_share_K = np.asarray(stop_share_K[::-1].cumsum()[::-1])
    run_share_K, asked_share_K = _work_shares(decision, reach_share_K, heads_K, records.starts)
    return Outcome(
        samples=records.samples,
        accuracy=right / records.samples,
        low=low,
        high=high,
        agreement=float(replay.agrees_NK[rows_N, decision.answer_N].mean()),
        stop_share_K=stop_share_K,
        reach_share_K=reach_share_K,
        run_share_K=run_share_K,
        asked_share_K=asked_share_K,
        recall_share=float((decision.answer_N < decision.stop_N).mean()),
        heads_K=heads_K,
        mean_s=None if costs is None else float(run_share_K @ costs.stage_s_K + asked_share_K @ costs.head_s_K),
    )


def _work_shares(
    decision: Decision, reach_share_K: Floats, heads_K: NDArray[np.bool_], starts: Sequence[int]
) -> tuple[Floats, Floats]:
    """The share of samples for which each stage is run, and for which each head is evaluated."""
    if decision.evaluated_NK is None:
        return np.where(stages_run(heads_K, starts), reach_share_K, 0.0), np.where(heads_K, reach_share_K, 0.0)
    asked_share_K = np.asarray(decision.evaluated_NK.mean(axis=0))
    if len(starts) == 1:
        return reach_share_K, asked_share_K
    return np.asarray(stages_run(decision.evaluated_NK, starts).mean(axis=0)), asked_share_K


def _stop_share(decision: Decision, records: ExitRecords) -> Floats:
    return np.asarray(np.bincount(decision.stop_N, minlength=records.exits) / records.samples)


def _check_costs(costs: ExitCosts | None, records: ExitRecords) -> None:
    if costs is None:
        return
    if not costs.stage_s_K.shape == costs.head_s_K.shape == (records.exits,) or costs.starts != records.starts:
        raise InputError(
            f"costs of {costs.stage_s_K.shape[0]} stages and {costs.head_s_K.shape[0]} heads do not fit "
            f"records of {records.exits} exits",
            remedy="measure every stage and every head of the same model",
        )


def _speed(one: Evaluated) -> tuple[float, float]:
    assert one.outcome.mean_s is not None
    return one.outcome.mean_s, -one.outcome.accuracy
