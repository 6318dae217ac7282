"""The simulated replica beside queueing theory.

A band is a Student interval of independent replications at a confidence stated where it is made; it is
wide enough that the whole file fails by chance less than once in a hundred changes of seed.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.replica import Batching, Schedule, run_replica
from ttamer.planning.simulation.service import Curve, WholeService

REPLICATIONS, REQUESTS, WARM_UP = 20, 60_000, 10_000
SERVICE_S = 0.01


def band(values: NDArray[np.float64], confidence: float = 0.9995) -> tuple[float, float]:
    """Student's interval of the mean of independent values."""
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def schedules(seconds: list[float], rate_rps: float, batching: Batching, seed: int) -> list[Schedule]:
    """Independent replications of one replica under Poisson arrivals, every batch size taking the same seconds."""
    curve = Curve((1, batching.size) if batching.size > 1 else (1,), (np.sort(seconds),) * min(2, batching.size))
    runs = []
    for rng in np.random.default_rng(seed).spawn(REPLICATIONS):
        arrival_s_N = ARRIVALS["poisson"](rate_rps, REQUESTS, rng)
        runs.append(run_replica(arrival_s_N, batching, WholeService(curve, batching.size, rng)))
    return runs


@pytest.mark.parametrize("utilization", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_the_mean_wait_of_constant_service_is_pollaczek_and_khinchines(utilization: float) -> None:
    runs = schedules([SERVICE_S], utilization / SERVICE_S, Batching(size=1), seed=int(utilization * 10))
    low, high = band(np.array([run.wait_s_N[WARM_UP:].mean() for run in runs]))
    theory_s = utilization * SERVICE_S / (2 * (1 - utilization))
    assert low < theory_s < high
    assert high - low < 0.2 * theory_s  # a band that proves something


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.85])
def test_the_mean_wait_of_measured_service_is_pollaczek_and_khinchines(utilization: float) -> None:
    seconds = np.random.default_rng(7).lognormal(np.log(SERVICE_S), 0.5, 40)
    rate_rps = utilization / seconds.mean()
    runs = schedules(seconds.tolist(), rate_rps, Batching(size=1), seed=100 + int(utilization * 100))
    low, high = band(np.array([run.wait_s_N[WARM_UP:].mean() for run in runs]))
    assert low < rate_rps * (seconds**2).mean() / (2 * (1 - utilization)) < high


@pytest.mark.parametrize("utilization", [0.3, 0.9])
def test_the_share_of_requests_that_need_not_wait_is_the_idle_share(utilization: float) -> None:
    runs = schedules([SERVICE_S], utilization / SERVICE_S, Batching(size=1), seed=200 + int(utilization * 10))
    low, high = band(np.array([(run.wait_s_N[WARM_UP:] <= 0).mean() for run in runs]))
    assert low < 1 - utilization < high


def test_batches_that_never_wait_serve_an_idle_server_like_an_mg1_queue_with_bulk_service() -> None:
    """Bulk service M/D/1 with unlimited batches: the number left behind by a batch is Poisson.

    With constant seconds d for any batch and no limit, a busy batch holds exactly the arrivals of the
    batch before it; so the chain of batch sizes is max(1, Poisson(rate d)), independent from batch to batch.
    """
    rate_rps = 3.0 / SERVICE_S
    runs = schedules([SERVICE_S], rate_rps, Batching(size=64), seed=3)
    sizes = np.concatenate([np.diff(run.first_J)[1000:] for run in runs[:4]])
    mean = 3.0 + np.exp(-3.0)  # of max(1, Poisson(3))
    low, high = band(sizes.astype(float))
    assert low < mean < high
    expected = stats.poisson.pmf(np.arange(12), 3.0)
    expected[1] += expected[0]
    observed = np.bincount(sizes, minlength=12)[1:12] / len(sizes)
    assert np.abs(observed - expected[1:12]).max() < 4 * np.sqrt(0.25 / len(sizes))
