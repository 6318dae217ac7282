"""A policy whose risk is bounded with a stated confidence, whatever the data's distribution, or a refusal.

Fixed-sequence testing: the candidates are put in order, safest first, on records that do not certify; each is then held
against the hypothesis that its risk is above the bound, until the first that cannot be refuted. Whatever was refuted
before holds together at the stated confidence, so the fastest of them may be taken.

Source: Learn then Test, arXiv 2110.01052, with exact binomial tests. Axes: N samples, K exits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ttamer.exits.evaluate import Evaluated, FittedPolicy, evaluate, evaluate_all, refuse_overlap
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.intervals import binomial_cdf, proportion_bound, trials_needed
from ttamer.profiles.records import ExitRecords


class Risk(StrEnum):
    """What must be rare.

    disagreement: another answer than the last exit's. harm: a wrong answer where the last exit's is right; accuracy
    cannot drop by more than that. error: a wrong answer.
    """

    DISAGREEMENT = "disagreement"
    HARM = "harm"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A policy with the evidence for it: so many failures among so many samples nobody had chosen by.

    bound: exact one-sided upper bound of the risk at the stated confidence; at most the risk that was asked for.
    """

    chosen: Evaluated
    risk: Risk
    failures: int
    samples: int
    bound: float
    confidence: float


def samples_needed(bound: float, confidence: float, failures: int = 0) -> int:
    """How many samples certify a risk bound when so many of them fail.

    >>> samples_needed(0.01, 0.95)
    299
    """
    return trials_needed(bound, confidence, failures)


def failures_of(policy: Policy, records: ExitRecords, risk: Risk) -> int:
    """How many of the samples the policy fails."""
    answer_N = policy.decide(records).answer_N
    rows_N = np.arange(records.samples)
    right_N = records.correct_NK()[rows_N, answer_N]
    if risk is Risk.DISAGREEMENT:
        return int(np.count_nonzero(~records.agrees_NK()[rows_N, answer_N]))
    if risk is Risk.HARM:
        return int(np.count_nonzero(records.correct_NK()[:, -1] & ~right_N))
    return int(np.count_nonzero(~right_N))


def certify(
    candidates: Sequence[FittedPolicy],
    ordering: ExitRecords,
    certifying: ExitRecords,
    costs: ExitCosts,
    *,
    bound: float,
    confidence: float = 0.95,
    risk: Risk = Risk.DISAGREEMENT,
) -> Guarantee:
    """The fastest candidate whose risk stays within the bound with this confidence.

    ordering: records that put the candidates in order, those they were fitted on or chosen by. certifying: records that
    neither fitting nor ordering has seen. Raises InfeasibleError with the number of samples needed where there are too
    few or the safest candidate fails too often; InputError on records already seen.
    """
    refuse_overlap(ordering, certifying)
    for fitted in candidates:
        fitted.check_unseen(certifying)
    wanted = samples_needed(bound, confidence)
    if certifying.samples < wanted:
        raise InfeasibleError(
            f"{certifying.samples} samples cannot certify a {risk} of at most {bound:g} with confidence {confidence:g}",
            remedy=f"at least {wanted} samples without one failure are needed, {samples_needed(bound, confidence, 1)} "
            "with one",
        )
    certified = None
    for fitted in _safest_first(candidates, ordering, costs, risk):
        failures = failures_of(fitted.policy, certifying, risk)
        if binomial_cdf(failures, certifying.samples, bound) > 1 - confidence:
            if certified is None:
                raise InfeasibleError(
                    f"no policy keeps a {risk} of at most {bound:g} with confidence {confidence:g}: "
                    f"the safest fails {failures} of {certifying.samples} samples",
                    remedy="allow more, or record more samples (a rate of failures below the bound is needed)",
                )
            break
        certified = fitted, failures
    if certified is None:
        raise InfeasibleError("there is no policy to certify", remedy="fit at least one kind")
    fitted, failures = certified
    return Guarantee(
        chosen=Evaluated(fitted, evaluate(fitted, certifying, costs)),
        risk=risk,
        failures=failures,
        samples=certifying.samples,
        bound=proportion_bound(failures, certifying.samples, confidence),
        confidence=confidence,
    )


def _safest_first(
    candidates: Sequence[FittedPolicy], ordering: ExitRecords, costs: ExitCosts, risk: Risk
) -> list[FittedPolicy]:
    """The candidates that no other one beats in both failures and time on the ordering records, slowest first."""
    bare = [FittedPolicy(fitted.policy, fitted.model) for fitted in candidates]  # seen records may order
    evaluated = evaluate_all(bare, ordering, costs)
    judged = [
        (one.outcome.mean_s or 0.0, failures_of(fitted.policy, ordering, risk), place)
        for place, (fitted, one) in enumerate(zip(candidates, evaluated, strict=True))
    ]
    kept: list[tuple[float, int, int]] = []
    for one in sorted(judged):
        if not kept or one[1] < kept[-1][1]:
            kept.append(one)
    return [candidates[place] for _, _, place in reversed(kept)]
