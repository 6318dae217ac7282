"""The batching server beside a model of the same server written independently in simpy.

Sojourn times of one run depend on each other, so every 40th is compared: by then the queue has forgotten.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.simpy_server import HEAD, SIZE, STAGE, STOP_SHARES, WHOLE, in_simpy, staged_answers, whole_answers
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.checks import latency_check
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import BatchService, Curve, ExitCurves, StagedService, WholeService
from ttamer.profiles.simulation import Check

REQUESTS, WARM_UP, FORGOTTEN = 60_000, 2_000, 40


def ours(arrival_s_N: NDArray[np.float64], batching: Batching, service: BatchService) -> NDArray[np.float64]:
    done = run_replica(arrival_s_N, batching, service)
    return done.wait_s_N + done.service_s_N


@pytest.mark.parametrize("exits", [False, True])
@pytest.mark.parametrize(
    ("rate_rps", "batching"),
    [
        (60.0, Batching(size=1)),
        (60.0, Batching(size=SIZE)),
        (160.0, Batching(size=SIZE, timeout_s=0.015)),
        (120.0, Batching(size=SIZE, timeout_s=0.05)),
        (160.0, Batching(size=SIZE, timeout_s=0.015, clock="ray-serve")),
    ],
)
def test_sojourn_times_are_distributed_as_in_simpy(rate_rps: float, batching: Batching, exits: bool) -> None:
    if batching.size == 1 and exits:
        rate_rps = 50.0
    one, other = np.random.default_rng([round(rate_rps), batching.size, exits]).spawn(2)
    stops = [rng.choice(3, REQUESTS, p=STOP_SHARES).tolist() for rng in (one, other)]
    curves = ExitCurves((STAGE,) * 3, (HEAD, None, HEAD))
    service = StagedService(curves, stops[0], SIZE, one) if exits else WholeService(WHOLE, SIZE, one)
    mine_s = ours(ARRIVALS["poisson"](rate_rps, REQUESTS, one), batching, service)
    answers = staged_answers(other) if exits else whole_answers(other)
    part = REQUESTS // 2  # simpy is slow; at this size distributions 0.09 apart are told apart
    theirs_s = in_simpy(ARRIVALS["poisson"](rate_rps, part, other).tolist(), stops[1], batching, answers)
    test = stats.ks_2samp(mine_s[WARM_UP::FORGOTTEN], theirs_s[WARM_UP::FORGOTTEN])
    assert test.pvalue > 1e-3


def test_the_same_requests_and_seconds_give_the_same_sojourns_one_by_one() -> None:
    """Where chance is taken away the two models must agree on every request, not only in distribution."""
    seconds = {1: 0.010, 2: 0.013, 3: 0.016, 4: 0.019}
    curve = Curve(tuple(seconds), tuple(np.array([s]) for s in seconds.values()))
    arrival_s_N = ARRIVALS["poisson"](130.0, 5000, np.random.default_rng(8))

    def answers(stops: Sequence[int]) -> tuple[float, list[float]]:
        return seconds[len(stops)], [seconds[len(stops)]] * len(stops)

    for clock in ("ideal", "ray-serve"):
        batching = Batching(size=4, timeout_s=0.012, clock=clock)  # type: ignore[arg-type]
        mine_s = ours(arrival_s_N, batching, WholeService(curve, 4, np.random.default_rng(0)))
        assert mine_s == pytest.approx(in_simpy(arrival_s_N.tolist(), [0] * 5000, batching, answers), abs=1e-9)


@pytest.mark.parametrize(("replications", "requests"), [(1, 20_000), (10, 4000)])
def test_the_interval_of_the_latency_covers_the_truth_as_often_as_it_says_although_requests_queue_together(
    replications: int, requests: int
) -> None:
    """At 80 % utilization an interval that took sojourns for independent would cover a quarter of the time."""
    rng = np.random.default_rng(12)
    curve = Curve((1,), (np.array([0.01]),))

    def sojourn_s(requests: int) -> NDArray[np.float64]:
        arrival_s_N = ARRIVALS["poisson"](80.0, requests, rng)
        return ours(arrival_s_N, Batching(size=1), WholeService(curve, 1, rng))[WARM_UP:]

    def check() -> Check:
        return latency_check([sojourn_s(WARM_UP + requests) for _ in range(replications)], 0.99, 1.0)

    truth_s = float(np.quantile(sojourn_s(6_000_000), 0.99))
    checks = [check() for _ in range(200)]
    covered = np.mean([(check.low or 0.0) <= truth_s <= (check.high or np.inf) for check in checks])
    assert covered > 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5
