"""Laws of every queue, whatever its arrivals and service: Little's, work conservation, timetables by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.replica import Batching, Schedule, run_replica
from ttamer.planning.simulation.service import Curve, WholeService


def curve_of(*seconds_by_size: float) -> Curve:
    """A curve whose batches of 1, 2, ... take exactly these seconds."""
    return Curve(tuple(range(1, len(seconds_by_size) + 1)), tuple(np.array([s]) for s in seconds_by_size))


def run(arrival_s: list[float] | NDArray[np.float64], batching: Batching, curve: Curve) -> Schedule:
    """One replica under these arrivals."""
    rng = np.random.default_rng(1)
    return run_replica(np.asarray(arrival_s, dtype=float), batching, WholeService(curve, batching.size, rng))


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("timeout_s", [0.0, 0.02])
def test_the_mean_number_present_is_rate_times_mean_sojourn(size: int, timeout_s: float) -> None:
    """Little's law, its left side counted at a million moments rather than integrated from the sojourns."""
    rng = np.random.default_rng(size)
    arrival_s_N = ARRIVALS["poisson"](80.0, 50_000, rng)
    done = run(arrival_s_N, Batching(size=size, timeout_s=timeout_s), curve_of(0.01, 0.011, 0.012, 0.013))
    sojourn_s_N = done.wait_s_N + done.service_s_N
    answer_s_N = np.sort(arrival_s_N + sojourn_s_N)
    moments_s = rng.uniform(0, answer_s_N[-1], 1_000_000)
    present = np.searchsorted(arrival_s_N, moments_s, "right") - np.searchsorted(answer_s_N, moments_s, "right")
    rate_rps = len(arrival_s_N) / answer_s_N[-1]
    error = 5 * present.std() / 1000
    assert present.mean() == pytest.approx(rate_rps * sojourn_s_N.mean(), abs=error)
    assert error < 0.02 * present.mean()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_server_without_timeout_is_never_idle_while_a_request_waits(size: int) -> None:
    arrival_s_N = ARRIVALS["poisson"](90.0, 20_000, np.random.default_rng(5))
    done = run(arrival_s_N, Batching(size=size), curve_of(*[0.01] * size))
    free_s_J = np.concatenate([[0.0], done.end_s_J[:-1]])
    assert np.allclose(done.start_s_J, np.maximum(free_s_J, arrival_s_N[done.first_J]), rtol=0, atol=1e-9)
    assert (done.end_s_J - done.start_s_J).sum() == pytest.approx(0.01 * len(done.first_J))


def test_constant_arrivals_slower_than_constant_service_never_wait() -> None:
    done = run(ARRIVALS["constant"](99.0, 5000, np.random.default_rng(0)), Batching(size=1), curve_of(0.01))
    assert done.wait_s_N.max() == pytest.approx(0, abs=1e-9)
    assert done.service_s_N == pytest.approx(0.01)


def test_constant_arrivals_faster_than_constant_service_wait_ever_longer() -> None:
    done = run(ARRIVALS["constant"](200.0, 100, np.random.default_rng(0)), Batching(size=1), curve_of(0.01))
    assert done.wait_s_N == pytest.approx(np.arange(100) * 0.005)


def test_batches_fill_or_time_out_as_computed_by_hand() -> None:
    """Size 2, timeout 1 s, a batch takes 3 s: see the comments for the timetable."""
    arrival_s = [1.0, 1.5, 2.0, 10.0, 20.0, 21.0]
    done = run(arrival_s, Batching(size=2, timeout_s=1.0), curve_of(3.0, 3.0))
    # 1.5: full with {1, 1.5}, busy to 4.5. {2}: timed out at 3, starts when free at 4.5. {10} at its timeout, 11.
    # {20, 21}: the second arrives at the moment of the timeout and is taken along.
    assert done.start_s_J.tolist() == [1.5, 4.5, 11.0, 21.0]
    assert done.batch_N.tolist() == [2, 2, 1, 1, 2, 2]
    assert done.wait_s_N.tolist() == [0.5, 0.0, 2.5, 1.0, 1.0, 0.0]


def test_constant_arrivals_fill_every_batch_and_the_first_waits_longest() -> None:
    """D/D/1 with batches of 4 at 4 rps: the rows of a full batch wait 0.75, 0.5, 0.25 and 0 s."""
    done = run(
        ARRIVALS["constant"](4.0, 400, np.random.default_rng(0)),
        Batching(size=4, timeout_s=1.0),
        curve_of(0.2, 0.3, 0.4, 0.5),
    )
    assert set(done.batch_N.tolist()) == {4}
    assert done.wait_s_N == pytest.approx(np.tile([0.75, 0.5, 0.25, 0.0], 100))
    assert done.service_s_N == pytest.approx(0.5)


def test_a_clock_that_starts_at_pickup_waits_again_after_a_busy_server() -> None:
    arrival_s = [1.0, 1.5, 2.0, 10.0]
    done = run(arrival_s, Batching(size=2, timeout_s=1.0, clock="ray-serve"), curve_of(3.0, 3.0))
    # {2} is picked up at 4.5, when the server is free, and waits until 5.5 for a second request.
    assert done.start_s_J.tolist() == [1.5, 5.5, 11.0]
