import numpy as np
import pytest

from tests.builders_simulation import MODEL, profile_of
from ttamer.planning.service_times import Paths
from ttamer.planning.simulation import replica
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import Curve, ExitCurves, StagedService, WholeService
from ttamer.profiles.errors import InputError


def flat(seconds: float, up_to: int = 8) -> Curve:
    """A part that takes the same for any batch."""
    return Curve((1, up_to), (np.array([seconds]), np.array([seconds])))


def by_size(*seconds: float) -> Curve:
    """A part whose batches of 1, 2, ... take these seconds."""
    return Curve(tuple(range(1, len(seconds) + 1)), tuple(np.array([s]) for s in seconds))


def staged(stages: list[Curve], heads: list[Curve | None], stops: list[int], size: int = 4) -> StagedService:
    return StagedService(ExitCurves(tuple(stages), tuple(heads)), stops, size, np.random.default_rng(0))


def test_draws_at_a_measured_batch_are_its_raw_samples_each_as_likely() -> None:
    curve = Curve((1, 4), (np.array([1.0, 2.0, 5.0]), np.array([7.0])))
    seconds = curve.draw_s(1, 90_000, np.random.default_rng(0))
    values, counts = np.unique(seconds, return_counts=True)
    assert values.tolist() == [1.0, 2.0, 5.0]
    assert counts == pytest.approx([30_000] * 3, abs=5 * 30_000**0.5)


def test_draws_between_measured_batches_interpolate_the_quantiles() -> None:
    curve = Curve((1, 3), (np.array([1.0, 3.0]), np.array([2.0, 10.0])))
    assert set(curve.draw_s(2, 1000, np.random.default_rng(0)).tolist()) == {1.5, 6.5}


def test_mean_seconds_are_the_means_of_the_draws() -> None:
    rng = np.random.default_rng(1)
    curve = Curve((1, 2, 6), tuple(np.sort(rng.lognormal(size=30)) * size for size in (1, 2, 6)))
    drawn = [curve.draw_s(size, 200_000, rng).mean() for size in range(1, 7)]
    assert curve.mean_s(6)[1:] == pytest.approx(drawn, rel=0.02)
    assert curve.mean_s(6)[0] == 0


@pytest.mark.parametrize("size", [0, 9])
def test_a_batch_beyond_the_measured_ones_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="outside the measured"):
        flat(1.0).draw_s(size, 1, np.random.default_rng(0))


def test_a_profile_that_was_not_measured_far_enough_is_refused_with_the_command_that_measures_it() -> None:
    with pytest.raises(InputError, match=r"measured at batches \[1, 2, 4, 8\].*ttamer profile tiny"):
        Curve.measured(profile_of(), MODEL, "stage", 0, device="cpu", cores=1, up_to=9)


def test_a_part_that_some_requests_need_is_drawn_for_some() -> None:
    paths = Paths(stop_share_K=np.array([0.5, 0.5]), heads_K=(0.25, 1.0), stages_K=(1.0, 0.0))
    seconds = {("stage", 0): 1.0, ("head", 0): 8.0, ("head", 1): 100.0}
    curves = ExitCurves.of(paths, lambda part, k: flat(seconds[part, k]))
    assert curves.stages[1] is None
    stops = [0, 1] * 20_000
    service = StagedService(curves, stops, 1, np.random.default_rng(0))
    busy_s_N = service.single(len(stops)).busy_s_N
    assert busy_s_N.mean() == pytest.approx(1 + 0.25 * 8 + 0.5 * 100, rel=0.02)
    assert np.mean([service.serve(n, n + 1) for n in range(len(stops))]) == pytest.approx(busy_s_N.mean(), rel=0.02)


def test_a_batch_shrinks_at_each_exit_and_the_rest_runs_on_at_the_smaller_size() -> None:
    # Four rows: two leave at exit 0, one at exit 1, one at exit 2.
    stages = [by_size(1.0, 2.0, 3.0, 4.0), by_size(10.0, 20.0, 30.0, 40.0), by_size(100.0, 200.0, 300.0, 400.0)]
    heads: list[Curve | None] = [by_size(0.1, 0.2, 0.3, 0.4), by_size(0.01, 0.02, 0.03, 0.04), flat(0.5)]
    service = staged(stages, heads, [0, 2, 1, 0])
    busy_s = service.serve(0, 4)
    first_s = 4.0 + 0.4
    second_s = first_s + 20.0 + 0.02
    third_s = second_s + 100.0 + 0.5
    assert busy_s == pytest.approx(third_s)
    assert service.latest_s(0, 4) == pytest.approx([first_s, third_s, second_s, first_s])
    assert service.answered_s(np.array([4])) == pytest.approx([first_s, third_s, second_s, first_s])


def test_a_batch_whose_last_row_has_left_frees_the_server_at_once() -> None:
    service = staged([flat(1.0), flat(50.0)], [flat(0.5), flat(0.5)], [0, 0])
    assert service.serve(0, 2) == pytest.approx(1.5)


def test_a_head_that_the_policy_never_asks_costs_nothing() -> None:
    service = staged([flat(1.0), flat(2.0)], [None, flat(0.25)], [1, 1])
    assert service.serve(0, 2) == pytest.approx(3.25)
    alone = staged([flat(1.0), flat(2.0)], [None, flat(0.25)], [1, 0])
    assert alone.single(2).answered_s_N == pytest.approx([3.25, 1.0])


def test_answers_leave_early_while_the_server_stays_busy_with_the_others() -> None:
    service = staged([flat(1.0), flat(9.0)], [flat(0.0), flat(0.0)], [0, 1, 0])
    done = run_replica(np.array([0.0, 0.0, 2.0]), Batching(size=2), service)
    assert done.service_s_N == pytest.approx([1.0, 10.0, 1.0])
    assert done.wait_s_N == pytest.approx([0.0, 0.0, 8.0])  # the third waits for the second, not for the first
    assert done.end_s_J == pytest.approx([10.0, 11.0])


def test_serving_singly_and_in_batches_of_one_is_the_same_queue() -> None:
    rng = np.random.default_rng(4)
    arrival_s_N, stops = np.cumsum(rng.exponential(1.0, 500)), rng.integers(0, 2, 500).tolist()
    stages, heads = [flat(0.4), flat(0.6)], [flat(0.05), flat(0.1)]
    vector = run_replica(arrival_s_N, Batching(size=1), staged(stages, [*heads], list(stops)))
    # A size of 2 with all arrivals apart in time is the loop, one request at a time, when the timeout is 0.
    apart_s_N = np.arange(500) * 10.0
    loop = run_replica(apart_s_N, Batching(size=2), staged(stages, [*heads], list(stops)))
    assert loop.service_s_N == pytest.approx(vector.service_s_N)
    assert loop.wait_s_N == pytest.approx(0)


@pytest.mark.parametrize("size", [1, 4])
def test_a_replica_without_requests_did_nothing(size: int) -> None:
    whole = WholeService(flat(1.0), size, np.random.default_rng(0))
    done = run_replica(np.array([]), Batching(size=size), whole)
    assert len(done.wait_s_N) == len(done.start_s_J) == 0
    exits = run_replica(np.array([]), Batching(size=size), staged([flat(1.0)], [flat(0.0)], []))
    assert len(exits.service_s_N) == 0


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 2, "timeout_s": -1.0}, {"size": 2, "clock": "wall"}])
def test_an_impossible_batching_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Batching(**wrong)  # type: ignore[arg-type]


def test_an_exit_that_only_releases_saves_its_requests_time_and_the_server_none() -> None:
    curves = ExitCurves((by_size(1.0, 2.0), by_size(10.0, 20.0)), (flat(0.5), flat(0.25)))
    service = StagedService(curves, [0, 1], 2, np.random.default_rng(0), releases=True)
    assert service.serve(0, 2) == pytest.approx(2.0 + 0.5 + 20.0 + 0.25)  # both rows at every stage
    assert service.answered_s(np.array([2])) == pytest.approx([2.5, 22.75])
    alone = StagedService(curves, [0, 1], 1, np.random.default_rng(0), releases=True).single(2)
    assert alone.busy_s_N == pytest.approx([11.75, 11.75])
    assert alone.answered_s_N == pytest.approx([1.5, 11.75])


def test_a_released_answer_does_not_let_the_next_request_start_earlier() -> None:
    curves = ExitCurves((flat(1.0), flat(9.0)), (flat(0.0), flat(0.0)))
    for size in (1, 2):
        service = StagedService(curves, [0, 0], 2, np.random.default_rng(0), releases=True)
        done = run_replica(np.array([0.0, 0.5]), Batching(size=size), service)
        assert done.wait_s_N == pytest.approx([0.0, 9.5])
        assert done.service_s_N == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("batching", [Batching(size=3, timeout_s=0.4), Batching(size=5, clock="ray-serve")])
def test_a_run_in_pieces_is_the_run_in_one_piece(batching: Batching, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival_s_N = np.cumsum(np.random.default_rng(4).exponential(0.2, 500))
    stops = np.random.default_rng(5).integers(0, 2, 500).tolist()
    runs = []
    for piece in (1000, 17):
        monkeypatch.setattr(replica, "PIECE", piece)
        service = staged([by_size(0.2, 0.3, 0.4, 0.5, 0.6)] * 2, [flat(0.01), flat(0.02)], list(stops), size=5)
        runs.append(run_replica(arrival_s_N, batching, service))
    for name in ("first_J", "start_s_J", "end_s_J", "wait_s_N", "service_s_N", "batch_N"):
        assert (getattr(runs[0], name) == getattr(runs[1], name)).all()
