from collections.abc import MutableSequence

import numpy as np
import pytest

from ttamer.planning.simulation.replica import Batching, joined
from ttamer.planning.simulation.routing import ROUTINGS, Part
from ttamer.planning.simulation.service import BatchService, Curve, ExitCurves, StagedService, WholeService

CURVE = Curve((1, 8), (np.array([0.8, 1.0, 1.3]), np.array([1.5, 2.0, 2.2])))


def whole(stops: MutableSequence[int], rng: np.random.Generator) -> BatchService:
    return WholeService(CURVE, 8, rng)


def with_exits(stops: MutableSequence[int], rng: np.random.Generator) -> BatchService:
    return StagedService(ExitCurves((CURVE, CURVE), (None, CURVE)), stops, 8, rng)


def run_by(
    name: str, arrival_s_N: np.ndarray, stop_N: np.ndarray, replicas: int, batching: Batching, make: object, seed: int
) -> list[Part]:
    """What every replica did, its pieces joined."""
    pieces = list(ROUTINGS[name](arrival_s_N, stop_N, replicas, batching, make, np.random.default_rng(seed)))  # type: ignore[arg-type]
    everybody = np.arange(len(arrival_s_N))
    parts = []
    for replica in range(replicas):
        own = [piece for piece in pieces if piece.replica == replica]
        positions = [np.empty(0, dtype=np.int64), *(everybody[piece.position_N] for piece in own)]
        parts.append(Part(replica, np.concatenate(positions), joined([piece.schedule for piece in own])))
    return parts


def load(count: int, rate_rps: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(1 / rate_rps, count)), rng.integers(0, 2, count)


@pytest.mark.parametrize("name", ROUTINGS)
@pytest.mark.parametrize("make", [whole, with_exits])
def test_every_request_is_served_once_and_none_before_it_arrives(name: str, make: object) -> None:
    arrival_s_N, stop_N = load(2000, 3.0)
    parts = run_by(name, arrival_s_N, stop_N, 3, Batching(size=4, timeout_s=0.3), make, seed=1)
    assert np.sort(np.concatenate([part.position_N for part in parts])).tolist() == list(range(2000))
    assert all((part.schedule.wait_s_N >= 0).all() for part in parts)
    for part in parts:
        assert (part.schedule.start_s_J[1:] >= part.schedule.end_s_J[:-1]).all()


@pytest.mark.parametrize("make", [whole, with_exits])
@pytest.mark.parametrize(
    "batching", [Batching(size=4, timeout_s=0.7), Batching(size=8), Batching(size=3, timeout_s=9.0)]
)
def test_one_replica_serves_the_same_however_it_was_chosen(make: object, batching: Batching) -> None:
    """The queue that learns of its arrivals one by one makes the same batches as the one that knows them all."""
    arrival_s_N, stop_N = load(3000, 2.0)
    one, other = (run_by(name, arrival_s_N, stop_N, 1, batching, make, seed=2)[0].schedule for name in ROUTINGS)
    assert (one.start_s_J == other.start_s_J).all()
    assert (one.wait_s_N == other.wait_s_N).all()
    assert (one.service_s_N == other.service_s_N).all()
    assert (one.batch_N == other.batch_N).all()


def test_arrivals_at_the_same_moment_are_batched_the_same_way_too() -> None:
    arrival_s_N, stop_N = np.repeat(np.arange(1.0, 301.0), 3), np.zeros(900, dtype=np.int64)
    curve = Curve((1, 4), (np.array([1.0]), np.array([1.0])))
    batching = Batching(size=4, timeout_s=1.0)
    schedules = [
        run_by(name, arrival_s_N, stop_N, 1, batching, lambda stops, rng: WholeService(curve, 4, rng), seed=0)[
            0
        ].schedule
        for name in ROUTINGS
    ]
    assert schedules[0].batch_N.tolist() == schedules[1].batch_N.tolist()


def test_the_shortest_queue_keeps_requests_waiting_less_than_a_random_one() -> None:
    arrival_s_N, stop_N = load(20_000, 3.2)
    waits = {}
    for name in ROUTINGS:
        parts = run_by(name, arrival_s_N, stop_N, 4, Batching(size=1), whole, seed=3)
        waits[name] = np.concatenate([part.schedule.wait_s_N for part in parts]).mean()
    assert waits["shortest-queue"] < waits["random"] / 3


def test_a_request_joins_the_replica_with_the_fewest_unanswered_ones() -> None:
    # Two replicas, one second a request: 1.0 -> first, 1.1 -> second, 1.2 -> tie -> first; at 2.05 the first has
    # answered one of two and the second has one left: a tie again; at 2.15 the second is empty.
    arrival_s_N = np.array([1.0, 1.1, 1.2, 2.05, 2.15])
    curve = Curve((1,), (np.array([1.0]),))
    stop_N = np.zeros(5, dtype=np.int64)
    parts = run_by(
        "shortest-queue",
        arrival_s_N,
        stop_N,
        2,
        Batching(size=1),
        lambda stops, rng: WholeService(curve, 1, rng),
        seed=0,
    )
    assert [part.position_N.tolist() for part in parts] == [[0, 2, 3], [1, 4]]


def test_a_random_split_is_even() -> None:
    arrival_s_N, stop_N = load(30_000, 3.0)
    parts = run_by("random", arrival_s_N, stop_N, 5, Batching(size=1), whole, seed=0)
    assert [len(part.position_N) for part in parts] == pytest.approx([6000] * 5, abs=5 * 6000**0.5)


def test_more_replicas_than_requests_leave_some_idle() -> None:
    arrival_s_N, stop_N = load(3, 1.0)
    for name in ROUTINGS:
        parts = run_by(name, arrival_s_N, stop_N, 10, Batching(size=2), whole, seed=0)
        assert sum(len(part.position_N) for part in parts) == 3
        assert len(parts) == 10
