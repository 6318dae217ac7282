"""The planner's latency bound and utilization against a plain simulation and against exact results.

The band: eight independent runs, the mean of their quantiles within three of its standard errors.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.batching import utilization
from ttamer.planning.queueing import (
    ServiceLaw,
    batch_timeout_s,
    capacity_rps,
    saturation_rps,
    service_level,
    sojourn_s,
)
from ttamer.planning.service_times import Paths, Timings

Q = 0.99
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9)
RUNS, REQUESTS = 8, 6000
Serve = Callable[[int], tuple[float, list[float]]]  # rows -> busy seconds, seconds to each row's answer


def simulate(
    rate_rps: float, batch: int, timeout_s: float, serve: Serve, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Sojourn seconds of each request and the share of time that the server is busy."""
    arrival_s = np.cumsum(rng.exponential(1 / rate_rps, REQUESTS)).tolist()
    sojourn_s_N, first, free_s, busy_s = [], 0, 0.0, 0.0
    while first < REQUESTS:
        behind = min(first + batch, REQUESTS)
        ready_s = arrival_s[first] + timeout_s
        if first + batch <= REQUESTS:
            ready_s = min(ready_s, arrival_s[first + batch - 1])
        start_s = max(free_s, ready_s)
        last = behind if arrival_s[behind - 1] <= start_s else bisect_right(arrival_s, start_s, first + 1, behind)
        taken_s, answered_s = serve(last - first)
        sojourn_s_N += [start_s + each - came for each, came in zip(answered_s, arrival_s[first:last], strict=True)]
        free_s = start_s + taken_s
        busy_s += taken_s
        first = last
    return np.array(sojourn_s_N[REQUESTS // 10 :]), busy_s / free_s


def simulated(rate_rps: float, batch: int, timeout_s: float, serve: Serve) -> tuple[float, float, float]:
    """Mean and standard error of the Q-quantile over the runs, and the mean utilization."""
    runs = [simulate(rate_rps, batch, timeout_s, serve, np.random.default_rng(seed)) for seed in range(RUNS)]
    quantiles = np.array([np.quantile(sojourns, Q) for sojourns, _ in runs])
    return float(quantiles.mean()), float(quantiles.std(ddof=1) / math.sqrt(RUNS)), float(np.mean([u for _, u in runs]))


def whole_batches(timings: Timings, batch: int, seed: int = 0) -> Serve:
    """Services drawn from the measured samples of whole batches."""
    means_s = timings.law(batch).mean_s_B.tolist()
    samples_s = np.array(timings.points(batch, None)[0].samples.seconds)
    noise = cycle(np.random.default_rng(seed).choice(samples_s / samples_s.mean(), 50_000).tolist())

    def serve(rows: int) -> tuple[float, list[float]]:
        taken_s = means_s[rows] * next(noise)
        return taken_s, [taken_s] * rows

    return serve


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("noise", [1e-9, 0.3])
def test_the_latency_bound_holds_and_is_not_far_above_a_simulated_replica(batch: int, noise: float) -> None:
    profile = make_profile(noise=noise, cores=(1,))
    timings = Timings(profile, "toy", "cpu", 1, Q)
    law, ratios = timings.law(batch), []
    for load in LOADS:
        rate_rps = load * saturation_rps(law)
        timeout_s = batch_timeout_s(law, rate_rps, slo_s=math.inf)
        bound_s = sojourn_s(law, rate_rps, timeout_s)
        seen_s, error_s, _ = simulated(rate_rps, batch, timeout_s, whole_batches(timings, batch))
        assert bound_s >= seen_s - 3 * error_s, (load, bound_s, seen_s)
        ratios.append(bound_s / (seen_s + 3 * error_s))
    assert max(ratios) < 1.5, ratios
    assert np.mean(ratios) < 1.3, ratios


@pytest.mark.parametrize("batch", [2, 8])
def test_the_latency_bound_holds_for_short_timeouts_too(batch: int) -> None:
    profile = make_profile(noise=0.1, cores=(1,))
    timings = Timings(profile, "toy", "cpu", 1, Q)
    law = timings.law(batch)
    for load in (0.3, 0.8):
        rate_rps = load * saturation_rps(law)
        for timeout_s in (0.0, 0.3 * (batch - 1) / rate_rps):
            seen_s, error_s, _ = simulated(rate_rps, batch, timeout_s, whole_batches(timings, batch))
            assert sojourn_s(law, rate_rps, timeout_s) >= seen_s - 3 * error_s


@pytest.mark.parametrize("batch", [2, 8])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_expected_utilization_is_within_two_points_of_a_simulated_replica(batch: int, share: float) -> None:
    profile = make_profile(noise=0.1, cores=(1,))
    timings = Timings(profile, "toy", "cpu", 1, Q)
    law = timings.law(batch)
    for load in (0.3, 0.7, 0.9):
        rate_rps = load * saturation_rps(law)
        timeout_s = share * (batch - 1) / rate_rps
        _, _, busy = simulated(rate_rps, batch, timeout_s, whole_batches(timings, batch))
        assert utilization(law, rate_rps, timeout_s) == pytest.approx(busy, abs=0.02)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_bound_holds_when_rows_leave_their_batch_at_exits(batch: int) -> None:
    profile = make_profile([ModelPlan(name="toy", exits=3)], noise=0.1, cores=(1,))
    timings = Timings(profile, "toy", "cpu", 1, Q)
    paths = Paths(stop_share_K=np.array([0.5, 0.3, 0.2]), heads_K=(True, False, True))
    law, rng = timings.law(batch, paths), np.random.default_rng(3)
    stops = cycle(rng.choice(3, size=50_000, p=paths.stop_share_K).tolist())
    noise = cycle(rng.lognormal(0, 0.1, 49_999).tolist())
    curves = {
        (part, exit): profile.curve_s("toy", part, exit, device="cpu", cores=1, up_to=batch).tolist()
        for part in ("stage", "head")
        for exit in range(3)
    }

    def serve(rows: int) -> tuple[float, list[float]]:
        stop = [next(stops) for _ in range(rows)]
        clock_s, answered_s = 0.0, [0.0] * rows
        for exit in range(3):
            staying = sum(each >= exit for each in stop)
            clock_s += curves["stage", exit][staying] * next(noise)
            if paths.heads_K[exit]:
                clock_s += curves["head", exit][staying] * next(noise)
            answered_s = [clock_s if each == exit else known for each, known in zip(stop, answered_s, strict=True)]
            if max(stop) <= exit:
                break
        return clock_s, answered_s

    busy = np.mean([serve(batch)[0] for _ in range(4000)])
    assert law.mean_s == pytest.approx(busy, rel=0.03)
    for load in (0.3, 0.8):
        rate_rps = load * saturation_rps(law)
        timeout_s = batch_timeout_s(law, rate_rps, slo_s=math.inf)
        seen_s, error_s, share = simulated(rate_rps, batch, timeout_s, serve)
        bound_s = sojourn_s(law, rate_rps, timeout_s)
        assert seen_s - 3 * error_s <= bound_s <= 1.6 * (seen_s + 3 * error_s)
        assert utilization(law, rate_rps, timeout_s) == pytest.approx(share, abs=0.03)


def exponential_law(mean_s: float) -> ServiceLaw:
    """Exponential services one at a time."""
    tilt_T = np.linspace(1e-3, 0.999, 3000) / mean_s
    cumulant_T = -np.log1p(-tilt_T * mean_s)
    return ServiceLaw(
        batch=1,
        mean_s_B=np.array([0.0, mean_s]),
        tilt_T=tilt_T,
        busy_cumulant_T=cumulant_T,
        busy_tail_T=2 * cumulant_T,  # E[S e^θS] / E[S] = (1 − θ/μ)^−2
        answer_cumulant_T=cumulant_T,
        answer_s=-mean_s * math.log(1 - service_level(Q)),
        quantile=Q,
    )


@pytest.mark.parametrize("load", LOADS)
def test_the_bound_is_above_the_exact_quantile_of_an_m_m_1_queue_and_close_to_it(load: float) -> None:
    law = exponential_law(0.010)
    exact_s = math.log(1 / (1 - Q)) / ((1 - load) / 0.010)  # Kleinrock, Queueing Systems, vol. 1, sec. 3.2
    assert exact_s <= sojourn_s(law, load / 0.010, 0.0) <= 1.35 * exact_s


@pytest.mark.parametrize("slo_s", [0.06, 0.1, 0.3, 3.0])
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_capacity_is_the_rate_at_which_the_bound_reaches_the_slo(slo_s: float, batch: int) -> None:
    law = Timings(make_profile(cores=(1,)), "toy", "cpu", 1, Q).law(batch)
    capacity = capacity_rps(law, slo_s)
    if slo_s < law.answer_s:
        assert capacity == 0.0
        return
    timeout_s = batch_timeout_s(law, capacity, slo_s)
    assert sojourn_s(law, capacity, timeout_s) <= slo_s * (1 + 1e-9)
    assert sojourn_s(law, capacity * 1.05, batch_timeout_s(law, capacity * 1.05, slo_s)) > slo_s
    assert capacity < saturation_rps(law)
