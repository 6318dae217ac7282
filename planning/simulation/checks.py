"""Holding what was observed against what was promised, with intervals that admit how little was seen.

Axes: N requests in order of arrival, R replicas, W windows of time.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.intervals import Z_95, quantile_interval, wilson_interval
from ttamer.profiles.records import Floats
from ttamer.profiles.simulation import Check, Verdict

BATCHES = 30  # of consecutive requests, whose means are nearly independent
ESTIMATED = 1.05  # times the promised utilization: it is an expected value, made from other records of exits


def effective_requests(exceeds_N: NDArray[np.bool_]) -> int:
    """How many independent requests would tell as much about the share of True as these do.

    Requests that queue together are late together, so an interval that took them for independent would
    be too narrow. The variance of the share is estimated from means of consecutive batches.
    Source: Schmeiser, Batch size effects in the analysis of simulation output (1982).
    """
    count = len(exceeds_N)
    length = count // BATCHES
    if length == 0:
        return count
    means = exceeds_N[: length * BATCHES].reshape(BATCHES, length).mean(axis=1)
    variance = float(means.var(ddof=1)) / BATCHES
    share = float(means.mean())
    if variance == 0:
        return count
    return max(1, min(count, round(share * (1 - share) / variance)))


def latency_check(sojourn_s_N: Floats, quantile: float, promised_s: float) -> Check:
    """The sojourn time at a quantile; its interval rests on order statistics of the effective requests."""
    observed_s = float(np.quantile(sojourn_s_N, quantile, method="higher"))
    effective = effective_requests(sojourn_s_N > observed_s)
    ranks = ((np.arange(effective) + 0.5) * len(sojourn_s_N) / effective).astype(np.int64)
    low, high = quantile_interval(np.sort(sojourn_s_N)[ranks], quantile)
    return Check(
        name=f"latency at p{100 * quantile:g}",
        unit="s",
        kind="at_most",
        promised=promised_s,
        observed=observed_s,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        verdict=verdict_of_limit(promised_s, low, high),
    )


def miss_check(sojourn_s_N: Floats, quantile: float, slo_s: float) -> Check:
    """The share of requests later than the SLO, which grants 1 - quantile; a Wilson interval of the effective ones."""
    missed_N, tolerated = sojourn_s_N > slo_s, round(1 - quantile, 12)
    observed = float(missed_N.mean())
    effective = effective_requests(missed_N)
    low, high = wilson_interval(round(observed * effective), effective)
    return Check(
        name="SLO misses",
        unit="fraction",
        kind="at_most",
        promised=tolerated,
        observed=observed,
        low=min(low, observed),
        high=max(high, observed),
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


def utilization_check(promised: float | None, busy_W: Floats) -> Check:
    """Mean utilization over windows of time, with a normal interval of their mean.

    The promise is an expected value, which a good simulation meets from both sides: it is kept unless the
    whole interval lies above it by more than an estimate may be wrong.
    """
    observed = float(busy_W.mean())
    half = Z_95 * float(busy_W.std(ddof=1)) / math.sqrt(len(busy_W))
    low, high = max(0.0, observed - half), min(1.0, observed + half)
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


def overall(checks: tuple[Check, ...]) -> Verdict:
    """The worst verdict of the checks that promise something which could be observed."""
    verdicts = {check.verdict for check in checks if check.promised is not None and check.observed is not None}
    return "broken" if "broken" in verdicts else "undecided" if "undecided" in verdicts else "kept"
