"""Holding what was observed against what was promised, with intervals that admit how little was seen.

Several replications tell by themselves how much chance there was; of a single one, means of consecutive requests do.

Axes: N requests in order of arrival, R replications, W windows of time.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.intervals import Z_95, mean_interval, quantile_ranks, student_t, wilson_interval
from ttamer.profiles.records import Floats
from ttamer.profiles.simulation import Check, Verdict

BATCHES = 30  # of consecutive requests, whose means are nearly independent
ESTIMATED = 1.05  # times the promised utilization: it is an expected value, made from other records of exits
ROUNDING = 1e-9  # of a cost, which is a sum


def effective_requests(exceeds_R: Sequence[NDArray[np.bool_]]) -> int:
    """How many independent requests would tell as much about the share of True as these do.

    Requests that queue together are late together, so an interval that took them for independent would be too narrow.
    The variance of the share is estimated from the shares of the replications; in a single one, from those of
    consecutive batches. Source: Schmeiser, Batch size effects in the analysis of simulation output (1982).
    """
    count = sum(len(exceeds_N) for exceeds_N in exceeds_R)
    parts = list(exceeds_R)
    if len(parts) == 1:
        length = count // BATCHES
        if length == 0:
            return count
        parts = list(parts[0][: length * BATCHES].reshape(BATCHES, length))
    means = np.array([part.mean() for part in parts])
    variance = float(means.var(ddof=1)) / len(means)
    share = float(means.mean())
    if variance == 0:
        return count
    return max(1, min(count, round(share * (1 - share) / variance)))


def latency_check(sojourn_s_R: Sequence[Floats], quantile: float, promised_s: float) -> Check:
    """The sojourn time at a quantile, of the requests that were answered, by replication.

    Observed is the quantile of all replications together, its interval is as wide as Student's of their own quantiles
    (sectioning; Asmussen & Glynn, Stochastic Simulation, 2007, III.5a). The interval of a single replication rests on
    order statistics of its effective requests. An end that so few requests cannot bound is None.
    """
    answered_s_R = [answered_s_N for answered_s_N in map(_answered, sojourn_s_R) if len(answered_s_N)]
    observed_s, low, high = math.nan, -math.inf, math.inf
    if answered_s_R:
        all_s_N = np.concatenate(answered_s_R)
        observed_s = float(np.quantile(all_s_N, quantile, method="higher", overwrite_input=True))
        all_s_N.sort()
        effective = len(all_s_N)
        if len(answered_s_R) == 1:
            effective = effective_requests([answered_s_R[0] > observed_s])
        lower, upper = quantile_ranks(effective, quantile)
        each = len(all_s_N) / effective  # stand for one of the effective ones
        low = -math.inf if lower is None else float(all_s_N[int((lower - 0.5) * each)])
        high = math.inf if upper is None else float(all_s_N[int((upper - 0.5) * each)])
        if len(answered_s_R) > 1:
            own_s_R = np.array([np.quantile(each_s_N, quantile, method="higher") for each_s_N in answered_s_R])
            half_s = student_t(len(own_s_R) - 1) * float(own_s_R.std(ddof=1)) / math.sqrt(len(own_s_R))
            low, high = min(low, observed_s - half_s), max(high, observed_s + half_s)
    return Check(
        name=f"latency at p{100 * quantile:g}",
        unit="s",
        kind="at_most",
        promised=promised_s,
        observed=observed_s if answered_s_R else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        verdict=verdict_of_limit(promised_s, low, high) if answered_s_R else "broken",
    )


def _answered(sojourn_s_N: Floats) -> Floats:
    """Those that are finite; no second copy of them if all are."""
    is_answered_N = np.isfinite(sojourn_s_N)
    return sojourn_s_N if is_answered_N.all() else sojourn_s_N[is_answered_N]


def share_check(name: str, happened_R: Sequence[NDArray[np.bool_]], quantile: float) -> Check:
    """A share of requests that must stay below 1 - quantile; a Wilson interval of the effective ones."""
    tolerated = round(1 - quantile, 12)
    count = sum(len(happened_N) for happened_N in happened_R)
    observed = sum(int(happened_N.sum()) for happened_N in happened_R) / count
    effective = effective_requests(happened_R)
    low, high = wilson_interval(round(observed * effective), effective)
    low, high = min(low, observed), max(high, observed)
    return Check(
        name=name,
        unit="fraction",
        kind="at_most",
        promised=tolerated,
        observed=observed,
        low=low,
        high=high,
        verdict=verdict_of_limit(tolerated, low, high),
    )


def verdict_of_limit(limit: float, low: float, high: float) -> Verdict:
    """Whether a value stays below a limit: its interval decides, and says nothing if the limit lies inside."""
    if high <= limit:
        return "kept"
    return "broken" if low > limit else "undecided"


def accuracy_check(promised: float | None, seen: tuple[float, float, float] | None) -> Check:
    """Accuracy on test records, given as (accuracy, low, high), against the least that was promised.

    The promise is the low end of an interval already and no simulation makes records more numerous, so the
    observed value itself keeps it; it is broken when even the high end lies below.
    """
    observed, low, high = seen or (None, None, None)
    verdict: Verdict = "undecided"
    if promised is not None and observed is not None and high is not None:
        verdict = "kept" if observed >= promised else "broken" if high < promised else "undecided"
    return Check(
        name="accuracy",
        unit="fraction",
        kind="at_least",
        promised=promised,
        observed=observed,
        low=low,
        high=high,
        verdict=verdict,
    )


def utilization_check(promised: float | None, busy_RW: Sequence[Floats]) -> Check:
    """Mean utilization, with an interval of its mean over replications; in a single one, over windows of time.

    The promise is an expected value, which a good simulation meets from both sides: it is kept unless the
    whole interval lies above it by more than an estimate may be wrong.
    """
    if len(busy_RW) > 1:
        low, high = mean_interval([busy_W.mean() for busy_W in busy_RW])
        observed = (low + high) / 2
    else:
        observed = float(busy_RW[0].mean())
        half = Z_95 * float(busy_RW[0].std(ddof=1)) / math.sqrt(len(busy_RW[0]))
        low, high = observed - half, observed + half
    low, high = max(0.0, low), min(1.0, high)
    verdict: Verdict = "undecided" if promised is None else "kept" if low <= promised * ESTIMATED else "broken"
    return Check(
        name="utilization",
        unit="fraction",
        kind="at_most",
        promised=promised,
        observed=observed,
        low=low,
        high=high,
        verdict=verdict,
    )


def cost_check(promised_core_s: float, observed_core_s: float) -> Check:
    """Core-seconds paid for in a replication against those of the promised cores; no chance is in them."""
    return Check(
        name="cost",
        unit="core-seconds",
        kind="at_most",
        promised=promised_core_s,
        observed=observed_core_s,
        verdict="kept" if observed_core_s <= promised_core_s * (1 + ROUNDING) else "broken",
    )


def overall(checks: tuple[Check, ...]) -> Verdict:
    """The worst verdict of the checks that promise something which could be observed."""
    verdicts = {check.verdict for check in checks if check.promised is not None and check.observed is not None}
    return "broken" if "broken" in verdicts else "undecided" if "undecided" in verdicts else "kept"
