"""Every batching clock: full batches start at once, nobody waits longer than it allows, all are registered."""

from pathlib import Path

import numpy as np
import pytest

from ttamer.planning.simulation import clocks
from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import Curve, WholeService

CURVE = Curve((1, 4), (np.array([0.02]), np.array([0.05])))


def test_every_file_of_the_folder_is_a_registered_clock() -> None:
    files = {path.stem for path in Path(clocks.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in CLOCKS} == files


@pytest.mark.parametrize("name", CLOCKS)
def test_a_full_batch_starts_as_soon_as_a_server_is_free(name: str) -> None:
    assert CLOCKS[name]([1.0, 1.1, 1.2], 0, 0.0, 3, 60.0) == (1.2, 3)
    assert CLOCKS[name]([1.0, 1.1, 1.2, 1.3], 0, 5.0, 3, 60.0) == (5.0, 3)


@pytest.mark.parametrize("name", CLOCKS)
def test_a_lone_request_at_an_idle_server_waits_for_its_timeout(name: str) -> None:
    start_s, last = CLOCKS[name]([1.0, 9.0], 0, 0.0, 3, 0.25)
    assert (round(start_s, 9), last) == (1.25, 1)


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("rate_rps", [5.0, 60.0])
def test_batches_are_in_order_within_their_size_and_wait_for_their_timeout_at_most_when_idle(
    name: str, rate_rps: float
) -> None:
    arrival_s_N = np.cumsum(np.random.default_rng(3).exponential(1 / rate_rps, 4000))
    batching = Batching(size=4, timeout_s=0.03, clock=name)
    done = run_replica(arrival_s_N, batching, WholeService(CURVE, 4, np.random.default_rng(0)))
    assert done.batch_N.max() <= 4
    free_s_J = np.concatenate([[0.0], done.end_s_J[:-1]])
    assert (done.start_s_J >= free_s_J).all()
    opened_s_J = np.maximum(arrival_s_N[done.first_J], free_s_J)
    assert (done.start_s_J - opened_s_J).max() <= 0.03 + 1e-9


def test_the_servers_differ_in_what_a_request_waits_that_arrived_during_a_batch() -> None:
    """The oldest came at 1, the server is free at 5, the timeout is 3 s: see each clock's file for why."""
    starts = {name: clock([1.0, 2.0, 9.0], 0, 5.0, 3, 3.0)[0] for name, clock in CLOCKS.items()}
    assert starts == {"ideal": 5.0, "triton": 5.0, "ray-serve": 8.0, "kserve": 8.0}


def test_the_servers_differ_in_how_finely_they_count() -> None:
    starts = {name: clock([1.0, 9.0], 0, 0.0, 3, 0.0012345678)[0] for name, clock in CLOCKS.items()}
    assert starts["ideal"] == starts["ray-serve"] == pytest.approx(1.0012345678)
    assert starts["triton"] == pytest.approx(1.001235)
    assert starts["kserve"] == pytest.approx(1.002)
    assert CLOCKS["kserve"]([1.0, 9.0], 0, 0.0, 3, 0.0)[0] == pytest.approx(1.001)  # 0 would mean 5 seconds there
