"""Thresholds by Apparate's greedy search, and the exact optimum to hold it against.

An input leaves at the first active ramp whose doubt, 1 - confidence, is strictly below the ramp's threshold; a
threshold of 0 is off. The search steps the ramp that loses least agreement for the latency it gains, doubles steps that
succeed and halves all where none does.

Axes: N samples, R active ramps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import comb

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

FIRST_STEP, LEAST_STEP = 0.01, 0.001  # of a threshold, as released
DECIMALS = 4  # of a threshold, as released
AGREEMENT_DECIMALS = 7  # as released: the budget is compared with a rounded share
MOST_WAYS = 20_000  # to part the errors among ramps: seconds at some thousand samples


class Compat(StrEnum):
    """Whose rules are followed: the released code's with its quirks, or what it plainly meant."""

    RELEASED = "released"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Tuned:
    """Thresholds of active ramps and what they do on the samples they were tuned on.

    agreement: share of answers that are the full model's. cut_pct: mean latency saved in % of the plain model's.
    exit_share: share of samples leaving at each ramp and, last, at none.
    """

    ramps: tuple[int, ...]
    thresholds: tuple[float, ...]
    agreement: float
    cut_pct: float
    exit_share: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Probe:
    agreement: float
    cut_pct: float
    exit_share: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Window:
    """The samples of a search as the active ramps see them."""

    doubt_RN: Floats
    agrees_RN: NDArray[np.bool_]
    latency: RampLatency
    answer_s: Sequence[float]
    seen: dict[tuple[float, ...], _Probe] = field(default_factory=dict)

    @classmethod
    def of(cls, feedback: Feedback, latency: RampLatency, ramps: Sequence[int]) -> "_Window":
        columns = list(ramps)
        doubt_RN = np.ascontiguousarray(1 - feedback.confidence_NK[:, columns].T)
        agrees_RN = np.ascontiguousarray(feedback.agrees_NK[:, columns].T)
        return cls(doubt_RN, agrees_RN, latency, latency.answer_s(ramps))

    def probe(self, thresholds: Sequence[float]) -> _Probe:
        key = tuple(thresholds)
        if key not in self.seen:
            self.seen[key] = self._probe(key)
        return self.seen[key]

    def _probe(self, thresholds: tuple[float, ...]) -> _Probe:
        N = self.doubt_RN.shape[1]
        stays_N = np.ones(N, dtype=np.bool_)
        counts, agreeing = [], 0
        for doubt_N, agrees_N, threshold in zip(self.doubt_RN, self.agrees_RN, thresholds, strict=True):
            leaves_N = stays_N & (doubt_N < threshold)
            counts.append(int(np.count_nonzero(leaves_N)))
            agreeing += int(np.count_nonzero(leaves_N & agrees_N))
            stays_N &= ~leaves_N
        counts.append(int(np.count_nonzero(stays_N)))
        share = tuple(count / N for count in counts)
        agreement = round((agreeing + counts[-1]) / N, AGREEMENT_DECIMALS)
        return _Probe(agreement, self.latency.cut_pct(share, self.answer_s), share)


@dataclass(frozen=True, slots=True)
class _Step:
    """The ramp to move, what that does, and the ramps that move for nothing."""

    ramp: int | None
    probe: _Probe | None
    free: Sequence[int]


def tune(
    feedback: Feedback,
    latency: RampLatency,
    ramps: Sequence[int],
    max_disagreement: float,
    *,
    compat: Compat = Compat.FIXED,
    held: Mapping[int, float] | None = None,
) -> Tuned:
    """The thresholds that the greedy search finds while less than max_disagreement of the samples change answer.

    ramps: exits, ascending. held: thresholds of ramps that are not searched.
    Raises InputError without samples or ramps.
    """
    if not ramps or not feedback.samples:
        raise InputError(f"{len(ramps)} ramps and {feedback.samples} samples cannot be tuned", remedy="give both")
    held = held or {}
    window = _Window.of(feedback, latency, ramps)
    thresholds = [held.get(r, 0.0) for r in ramps]
    steps = [LEAST_STEP if r in held else FIRST_STEP for r in ramps]
    movable = [j for j, r in enumerate(ramps) if r not in held]
    now = window.probe(thresholds)
    while True:
        found = _best_step(window, thresholds, steps, movable, now, max_disagreement, compat)
        if found.ramp is not None and found.probe is not None and thresholds[found.ramp] <= 1:
            now = found.probe
            thresholds[found.ramp] = round(thresholds[found.ramp] + steps[found.ramp], DECIMALS)
            for j in {found.ramp, *found.free}:
                steps[j] *= 2
            continue
        coarse = [j for j, step in enumerate(steps) if round(step, DECIMALS) > LEAST_STEP and thresholds[j] <= 1]
        if not coarse:
            return Tuned(tuple(ramps), tuple(thresholds), now.agreement, now.cut_pct, now.exit_share)
        for j in coarse:
            steps[j] /= 2


def _best_step(
    window: _Window,
    thresholds: list[float],
    steps: list[float],
    movable: Sequence[int],
    now: _Probe,
    max_disagreement: float,
    compat: Compat,
) -> _Step:
    best, best_probe, best_score = None, None, float("inf")
    free: dict[int, _Probe] = {}
    idle = 0
    for j in movable:
        moved = [*thresholds[:j], round(thresholds[j] + steps[j], DECIMALS), *thresholds[j + 1 :]]
        probe = window.probe(moved)
        if not abs(1 - probe.agreement) < max_disagreement:
            continue
        if probe.cut_pct == now.cut_pct:
            idle += 1
        else:
            score = _score(probe, now, compat)
            if score < best_score:
                best, best_probe, best_score = j, probe, score
        if probe.cut_pct == now.cut_pct or probe.agreement == now.agreement:
            free[j] = probe
    # released: compared with all ramps, held ones included, and the first ramp counts as no direction at all
    if idle and idle == (len(thresholds) if compat is Compat.RELEASED else len(movable)):
        return _Step(movable[0] if compat is Compat.FIXED else 0, now, list(free))
    lacks_best = not best if compat is Compat.RELEASED else best is None
    if lacks_best and free:
        first = next(iter(free))
        return _Step(first, free[first], list(free))
    return _Step(best, best_probe, list(free))


def _score(probe: _Probe, now: _Probe, compat: Compat) -> float:
    """Agreement lost for each point of latency gained; lowest is best."""
    lost, gained = now.agreement - probe.agreement, probe.cut_pct - now.cut_pct
    if compat is Compat.RELEASED:  # blind to signs: winning agreement counts as losing it
        return abs(lost) / abs(gained)
    return max(lost, 0.0) / gained if gained > 0 else float("inf")


def most_errors(samples: int, max_disagreement: float) -> int:
    """The most changed answers among N samples whose share is below the budget, as the search compares them."""
    errors = np.arange(samples + 1)
    share = np.round((samples - errors) / samples, AGREEMENT_DECIMALS)
    return int(np.flatnonzero(np.abs(1 - share) < max_disagreement).max(initial=-1))


def tune_exactly(feedback: Feedback, latency: RampLatency, ramps: Sequence[int], max_disagreement: float) -> Tuned:
    """The thresholds of a few ramps that save most latency within the budget.

    An earlier answer is never later and takes no error from elsewhere, so each ramp is as loose as its part of the
    errors allows, and only the ways to part the errors are tried. Time O(N) for each.
    Raises InputError without ramps, for a budget that not even 0 errors keep, and for more than 20,000 ways.
    """
    allowed = most_errors(feedback.samples, max_disagreement)
    if not ramps or allowed < 0 or ways_to_part(allowed, len(ramps)) > MOST_WAYS:
        raise InputError(
            f"{len(ramps)} ramps within a budget of {max_disagreement} of {feedback.samples} samples cannot be tuned "
            "exactly",
            remedy="give fewer ramps or a smaller budget, above 0",
        )
    window = _Window.of(feedback, latency, ramps)
    stays_N = np.ones(feedback.samples, dtype=np.bool_)
    best = min(_parted(window, stays_N, (), allowed), key=lambda thresholds: -window.probe(thresholds).cut_pct)
    probe = window.probe(best)
    return Tuned(tuple(ramps), best, probe.agreement, probe.cut_pct, probe.exit_share)


def ways_to_part(errors: int, ramps: int) -> int:
    """The number of ways to give each ramp but the last its part of the errors, the last one getting the rest.

    >>> ways_to_part(2, 1), ways_to_part(2, 2), ways_to_part(2, 3)
    (1, 3, 6)
    """
    return comb(errors + ramps - 1, ramps - 1)


def _parted(
    window: _Window, stays_N: NDArray[np.bool_], before: tuple[float, ...], allowed: int
) -> Iterator[tuple[float, ...]]:
    """The loosest thresholds for every way to part the errors among the ramps behind those that are set."""
    j = len(before)
    doubt_N, wrong_N = window.doubt_RN[j][stays_N], ~window.agrees_RN[j][stays_N]
    if j == len(window.doubt_RN) - 1:
        yield (*before, _loosest(doubt_N, wrong_N, allowed))
        return
    for errors in range(allowed + 1):
        threshold = _loosest(doubt_N, wrong_N, errors)
        left_N = stays_N & (window.doubt_RN[j] >= threshold)
        yield from _parted(window, left_N, (*before, threshold), allowed - errors)


def _loosest(doubt_N: Floats, wrong_N: NDArray[np.bool_], allowed: int) -> float:
    """The highest threshold at which no more than the allowed number leaves wrongly."""
    wrong_doubt = np.sort(doubt_N[wrong_N])
    if len(wrong_doubt) > allowed:
        return float(wrong_doubt[allowed])  # strictly below it: the next wrong one stays
    return float(np.nextafter(doubt_N.max(initial=0.0), np.inf))
