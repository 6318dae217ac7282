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

from ttamer.exits.evaluate import Evaluated, FittedPolicy, evaluate_all, refuse_overlap
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.intervals import binomial_cdf, proportion_bound, trials_needed
from ttamer.profiles.records import ExitRecords

STEPS = 40  # of time, each with one candidate: more stop the sequence sooner, fewer leave out fast ones


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
    """A policy with the evidence for it: so many failures among so many samples nobody had chosen by."""

    chosen: Evaluated
    risk: Risk
    failures: int
    samples: int
    confidence: float

    @property
    def bound(self) -> float:
        """Exact one-sided upper bound of the risk at the stated confidence; at most the risk that was asked for."""
        return proportion_bound(self.failures, self.samples, self.confidence)


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


def refuse_too_few(certifying: ExitRecords, bound: float, confidence: float, risk: Risk) -> None:
    """Raise InfeasibleError with the number of samples needed if not even flawless ones could certify."""
    wanted = samples_needed(bound, confidence)
    if certifying.samples < wanted:
        raise InfeasibleError(
            f"{certifying.samples} {certifying.split} samples of {certifying.model!r} cannot certify a {risk} "
            f"of at most {100 * bound:g} % with {100 * confidence:.4g} % confidence",
            remedy=f"at least {wanted} samples without one failure are needed, {samples_needed(bound, confidence, 1)} "
            "with one: record more, allow a higher risk or ask for less confidence",
        )


def certified(
    candidates: Sequence[FittedPolicy],
    ordering: ExitRecords,
    certifying: ExitRecords,
    costs: ExitCosts,
    *,
    bound: float,
    confidence: float = 0.95,
    risk: Risk = Risk.DISAGREEMENT,
) -> list[Guarantee]:
    """Candidates whose risks stay within the bound, all of them together with this confidence, slowest first.

    Any of them may be chosen, by the certifying records too. ordering: records that put the candidates in order, those
    they were fitted on or chosen by. certifying: records that neither fitting nor ordering has seen.
    Raises InfeasibleError with the number of samples needed where there are too few; InputError on records already
    seen.
    """
    refuse_overlap(ordering, certifying)
    for fitted in candidates:
        fitted.check_unseen(certifying)
    refuse_too_few(certifying, bound, confidence, risk)
    found: list[tuple[FittedPolicy, int]] = []
    for fitted in _safest_first(candidates, ordering, costs, risk):
        failures = failures_of(fitted.policy, certifying, risk)
        if not is_refuted(failures, certifying.samples, bound, confidence):
            break
        found.append((fitted, failures))
    evaluated = evaluate_all([fitted for fitted, _ in found], certifying, costs)
    return [
        Guarantee(chosen=one, risk=risk, failures=failures, samples=certifying.samples, confidence=confidence)
        for one, (_, failures) in zip(evaluated, found, strict=True)
    ]


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
    """The fastest of the certified candidates, on the conditions of `certified`.

    Raises InfeasibleError, too, if already the safest fails too often.
    """
    if not candidates:
        raise InfeasibleError("there is no policy to certify", remedy="fit at least one kind")
    found = certified(candidates, ordering, certifying, costs, bound=bound, confidence=confidence, risk=risk)
    if not found:
        safest = _safest_first(candidates, ordering, costs, risk)[0]
        raise InfeasibleError(
            f"no policy of {certifying.model!r} keeps a {risk} of at most {100 * bound:g} % with "
            f"{100 * confidence:.4g} % confidence: the safest fails {failures_of(safest.policy, certifying, risk)} "
            f"of {certifying.samples} samples",
            remedy="allow more, or record more samples (a rate of failures below the bound is needed)",
        )
    return found[-1]


def is_refuted(failures: int, samples: int, bound: float, confidence: float) -> bool:
    """Whether so few failures speak against a risk above the bound, with this confidence."""
    return binomial_cdf(failures, samples, bound) <= 1 - confidence


def _safest_first(
    candidates: Sequence[FittedPolicy], ordering: ExitRecords, costs: ExitCosts, risk: Risk
) -> list[FittedPolicy]:
    """The candidates that no faster one beats in failures on the ordering records, one a step of time, slowest first.

    Those without a failure stay though a faster one has none either: with more samples the faster one may fail.
    """
    bare = [FittedPolicy(fitted.policy, fitted.model) for fitted in candidates]  # seen records may order
    evaluated = evaluate_all(bare, ordering, costs)
    judged = sorted(
        (failures_of(fitted.policy, ordering, risk), one.outcome.mean_s or 0.0, place)
        for place, (fitted, one) in enumerate(zip(candidates, evaluated, strict=True))
    )
    least_s, most_s = (pick((seconds for _, seconds, _ in judged), default=0.0) for pick in (min, max))
    steps: dict[int, tuple[int, int]] = {}
    for failures, seconds, place in judged:  # of each step the first, which fails least
        step = int(STEPS * (seconds - least_s) / (most_s - least_s)) if most_s > least_s else 0
        steps.setdefault(step, (failures, place))
    kept: list[tuple[int, int]] = []
    for step in sorted(steps):
        if not kept or steps[step][0] <= kept[-1][0]:
            kept.append(steps[step])
    return [candidates[place] for _, place in reversed(kept)]
