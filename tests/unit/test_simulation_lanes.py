"""Many lanes at once against one batch after the other: batch by batch the same, whatever the load."""

from collections.abc import MutableSequence

import numpy as np
import pytest
from scipy import stats

from ttamer.planning.simulation import lanes, replica
from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.drawn import DrawnBatches, table_of
from ttamer.planning.simulation.filling import fill
from ttamer.planning.simulation.lanes import run_block
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import BatchService, Curve, ExitCurves, StagedService, WholeService

SIZE = 6
RAW = np.random.default_rng(5)
WHOLE = Curve(
    (1, 2, 6), tuple(np.sort(RAW.lognormal(np.log(s), 0.4, n)) for s, n in ((0.01, 30), (0.014, 20), (0.03, 40)))
)
STAGE = Curve((1, 6), tuple(np.sort(RAW.lognormal(np.log(s), 0.4, 25)) for s in (0.004, 0.011)))
EXITS = ExitCurves((STAGE, STAGE, WHOLE), (STAGE, None, Curve((1, 6), (np.array([0.001]), np.array([0.002])))))


CAPACITY_RPS = {"whole": 190.0, "stops": 150.0, "releases": 90.0}  # of full batches, about


def service(kind: str, stops: MutableSequence[int], seed: int) -> BatchService:
    rng = np.random.default_rng(seed)
    if kind == "whole":
        return WholeService(WHOLE, SIZE, rng)
    return StagedService(EXITS, stops, SIZE, rng, releases=kind == "releases")


def stops_of(count: int) -> list[int]:
    return np.random.default_rng(1).choice(3, count, p=(0.5, 0.2, 0.3)).tolist()


def in_order(
    arrival_s_N: np.ndarray, block: int, free_s: float, batching: Batching, drawn: DrawnBatches
) -> list[tuple[int, int, float, float]]:
    """The batches as they follow one another, each taking what its place says."""
    arrivals_s, first, batches = arrival_s_N[np.isfinite(arrival_s_N)].tolist(), 0, []
    while first < block:
        start_s, last = fill(arrivals_s, first, free_s, batching.size, batching.held_s, batching.from_pickup)
        free_s = start_s + float(drawn.busy_s(np.array([first]), np.array([last - first]))[0])
        batches.append((first, last - first, start_s, free_s))
        first = last
    return batches


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("kind", ["whole", "stops", "releases"])
@pytest.mark.parametrize("load", [0.15, 0.5, 0.65])
@pytest.mark.parametrize("by_search", [3, 99])
def test_lanes_make_the_batches_that_are_made_in_order(
    clock: str, kind: str, load: float, by_search: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "BY_SEARCH", by_search)
    block, rate_rps = 2000, load * CAPACITY_RPS[kind]
    arrival_s_N = np.cumsum(np.random.default_rng(2).exponential(1 / rate_rps, block + SIZE))
    batching = Batching(size=SIZE, timeout_s=0.0137, clock=clock)
    drawn = service(kind, stops_of(block + SIZE), 3).drawn(block + SIZE)
    assert drawn is not None
    found = run_block(arrival_s_N, block, 0.7, SIZE, batching.held_s, batching.from_pickup, drawn)
    expected = in_order(arrival_s_N, block, 0.7, batching, drawn)
    assert found is not None
    assert found.first_J.tolist() == [batch[0] for batch in expected]
    assert found.count_J.tolist() == [batch[1] for batch in expected]
    assert found.start_s_J == pytest.approx([batch[2] for batch in expected], abs=1e-12)
    assert found.end_s_J == pytest.approx([batch[3] for batch in expected], abs=1e-12)


def test_a_server_that_never_catches_up_is_left_to_be_simulated_in_order() -> None:
    arrival_s_N = np.cumsum(np.random.default_rng(2).exponential(1 / 500.0, 20_000 + SIZE))
    drawn = service("whole", [], 3).drawn(20_000 + SIZE)
    assert drawn is not None
    assert run_block(arrival_s_N, 20_000, 0.0, SIZE, 0.01, False, drawn) is None


@pytest.mark.parametrize("kind", ["whole", "stops", "releases"])
@pytest.mark.parametrize("rate_rps", [15.0, 90.0, 400.0])
def test_a_replica_in_lanes_and_one_in_order_do_the_same_by_distribution(
    kind: str, rate_rps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "BLOCK", 8192)
    monkeypatch.setattr(replica, "PIECE", 4096)
    runs = []
    for fewest, seed in ((4096, 1), (10**9, 2)):
        monkeypatch.setattr(replica, "FEWEST_IN_LANES", fewest)
        arrival_s_N = np.cumsum(np.random.default_rng(seed).exponential(1 / rate_rps, 50_000))
        done = run_replica(arrival_s_N, Batching(size=SIZE, timeout_s=0.01), service(kind, stops_of(50_000), seed))
        assert len(done.wait_s_N) == 50_000
        assert done.batch_N.max() <= SIZE
        assert (done.first_J[1:] == done.first_J[:-1] + done.batch_N[done.first_J[:-1]]).all()
        assert (done.start_s_J[1:] >= done.end_s_J[:-1]).all()
        assert (done.wait_s_N >= 0).all()
        runs.append(done)
    if rate_rps < 400:  # where the queue grows there is one sample only
        sojourns = [(done.wait_s_N + done.service_s_N)[1000::60] for done in runs]
        assert stats.ks_2samp(*sojourns).pvalue > 1e-3
    services = [done.service_s_N[::7] for done in runs]
    assert stats.ks_2samp(*services).pvalue > 1e-3


def test_constant_seconds_give_the_same_schedule_in_lanes_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = Curve(tuple(range(1, 7)), tuple(np.array([0.005 + 0.002 * size]) for size in range(1, 7)))
    arrival_s_N = np.cumsum(np.random.default_rng(3).exponential(1 / 180.0, 60_000))
    runs = []
    for fewest in (1000, 10**9):
        monkeypatch.setattr(replica, "FEWEST_IN_LANES", fewest)
        monkeypatch.setattr(replica, "BLOCK", 10_000)
        whole = WholeService(curve, 6, np.random.default_rng(0))
        runs.append(run_replica(arrival_s_N, Batching(size=6, timeout_s=0.01), whole))
    for name in ("first_J", "start_s_J", "end_s_J", "wait_s_N", "service_s_N", "batch_N"):
        assert getattr(runs[0], name) == pytest.approx(getattr(runs[1], name), abs=1e-9)


@pytest.mark.parametrize("counts", [(30, 20, 40), (25, 25, 25), (25, 25, 10), (1, 1, 1)])
def test_a_table_has_the_seconds_of_its_curve(counts: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(8)
    curve = Curve((1, 3, 7), tuple(np.sort(rng.lognormal(size=count)) for count in counts))
    table = table_of(curve.sizes, curve.seconds, 7)
    level_L = np.arange(0.0005, 1, 0.001).astype(np.float32)
    assert (table.seconds(np.zeros(1000, dtype=np.int64), level_L) == 0).all()
    for size in range(1, 8):
        seconds = table.seconds(np.full(1000, size), level_L)
        drawn = curve.draw_s(size, 200_000, rng)
        assert np.quantile(seconds, [0.13, 0.47, 0.83]) == pytest.approx(
            np.quantile(drawn, [0.13, 0.47, 0.83]), rel=0.08
        )
        assert seconds.mean() == pytest.approx(drawn.mean(), rel=0.02)
        assert set(np.round(seconds, 9)) <= set(np.round(drawn, 9))
