from dataclasses import replace

import numpy as np
import pytest

from tests.adaptive_builders import HandBook, Script
from ttamer.planning.simulation import running
from ttamer.planning.simulation.adaptive import AdaptiveRun, Configuration, Controller, Delays, Setting, Traffic
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.running import SPLITS, run_adaptive
from ttamer.planning.simulation.service import Curve, WholeService
from ttamer.profiles.errors import InputError

SLOW, FAST = Setting(model="slow"), Setting(model="fast")


def every(gap_s: float, until_s: float) -> Traffic:
    """A request every so often, the first after one gap."""
    return Traffic(arrival_s_N=np.arange(1, round(until_s / gap_s)) * gap_s, duration_s=until_s)


def run(
    start: Configuration, controller: Controller | None, traffic: Traffic, slo_s: float = 2.0, **how: object
) -> AdaptiveRun:
    return run_adaptive(start, controller, HandBook(), traffic, slo_s=slo_s, **how)  # type: ignore[arg-type]


def cores_at(done: AdaptiveRun, at_s: float) -> int:
    return int(done.paid_cores_A[np.searchsorted(done.paid_s_A, at_s, side="right") - 1])


@pytest.mark.parametrize("size", [1, 4])
def test_one_replica_that_never_changes_is_the_replica_of_the_plain_simulation(size: int) -> None:
    arrival_s_N = ARRIVALS["poisson"](0.9 * size, 3000, np.random.default_rng(2))
    each_s = np.array([1.0])
    expected = run_replica(
        arrival_s_N,
        Batching(size=size, timeout_s=0.3),
        WholeService(Curve((1, 64), (each_s, each_s)), size, np.random.default_rng(0)),
    )
    traffic = Traffic(arrival_s_N=arrival_s_N, duration_s=arrival_s_N[-1])
    for routing in SPLITS:
        done = run((replace(SLOW, batch=size, batch_timeout_s=0.3),), None, traffic, routing=routing)
        assert done.sojourn_s_N == pytest.approx(expected.wait_s_N + expected.service_s_N, abs=1e-9)
        assert (done.visits[0].batch_N == expected.batch_N).all()


@pytest.mark.parametrize("routing", SPLITS)
def test_it_does_not_matter_how_a_run_is_cut_into_moments(routing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Observed 60 times or not at all, taken in one piece or in forty: request by request the same."""
    arrival_s_N = ARRIVALS["poisson"](8.0, 800, np.random.default_rng(4))
    traffic = Traffic(arrival_s_N=arrival_s_N, duration_s=arrival_s_N[-1])
    start = (
        replace(FAST, stage="one", batch=3, batch_timeout_s=0.2),
        replace(SLOW, stage="two", batch=16, batch_timeout_s=0.4),
    )
    whole = run(start, None, traffic, routing=routing)
    watched = run(start, Script({}, interval_s=1.7), traffic, routing=routing)
    monkeypatch.setattr(running, "CHUNK", 20)
    cut = run(start, None, traffic, routing=routing)
    assert (watched.sojourn_s_N == whole.sojourn_s_N).all()
    assert (cut.sojourn_s_N == whole.sojourn_s_N).all()


def test_a_request_reaches_the_next_stage_when_the_last_has_answered_it() -> None:
    start = (replace(FAST, stage="one"), replace(SLOW, stage="two"))
    done = run(start, None, every(2.0, 100.0))
    assert done.sojourn_s_N == pytest.approx(1.1)
    assert done.accuracy == pytest.approx(0.7 * 0.9)
    assert (done.visits[1].arrival_s_N == done.visits[0].answer_s_N).all()


def test_more_replicas_serve_only_when_they_are_loaded_and_are_paid_for_from_the_wish_on() -> None:
    script = Script({10.0: (replace(SLOW, replicas=2),)})
    done = run((SLOW,), script, every(0.6, 60.0), routing="shared-queue", delays=Delays(decision_s=2.0))
    assert [cores_at(done, at_s) for at_s in (0.0, 11.9, 12.1, 30.0)] == [1, 1, 2, 2]
    start_s_N = done.visits[0].start_s_N
    in_service = [((start_s_N <= at_s) & (at_s < start_s_N + 1)).sum() for at_s in (16.9, 17.1, 18.5)]
    assert in_service == [1, 2, 2]  # 10 + 2 to act + 5 to load
    assert script.seen[15].running[0].replicas == 1
    assert script.seen[17].running[0].replicas == 2
    assert script.seen[15].wished[0].replicas == 2


def test_a_new_model_takes_over_when_it_is_loaded_and_the_old_one_answers_what_it_has() -> None:
    done = run((SLOW,), Script({10.0: (FAST,)}), every(0.9, 30.0))
    group_N, arrival_s_N = done.visits[0].group_N, done.arrival_s_N
    assert (group_N[arrival_s_N < 15.0] == 0).all()
    assert (group_N[arrival_s_N >= 15.0] == 1).all()
    assert not np.isnan(done.visits[0].answer_s_N).any()
    last_old_s = done.visits[0].answer_s_N[group_N == 0].max()
    assert last_old_s > 15.0
    assert [cores_at(done, at_s) for at_s in (9.9, 10.1, last_old_s - 0.01, last_old_s + 0.01)] == [1, 2, 2, 1]
    assert done.core_seconds == pytest.approx(30.0 + last_old_s - 10.0)


def test_while_a_group_loads_the_load_is_split_by_what_is_ready() -> None:
    start = (replace(SLOW, replicas=4),)
    wish = (replace(SLOW, replicas=1, share=0.2), replace(FAST, replicas=2, share=0.8))
    script = Script({10.0: wish})
    done = run(start, script, every(0.05, 40.0), slo_s=50.0)
    assert script.seen[12].running == (replace(SLOW, replicas=4),)
    assert [one.replicas for one in script.seen[16].running] == [1, 2]
    late_N = done.visits[0].group_N[done.arrival_s_N > 16]
    assert (late_N == 1).mean() == pytest.approx(0.8, abs=0.06)


def test_cores_change_in_place_after_the_delay_for_the_batches_that_start_then() -> None:
    done = run((SLOW,), Script({10.0: (replace(SLOW, cores=4),)}), every(1.5, 30.0), delays=Delays(resize_s=3.0))
    assert done.sojourn_s_N[done.arrival_s_N < 13.0] == pytest.approx(1.0)
    assert done.sojourn_s_N[done.arrival_s_N > 13.0] == pytest.approx(0.25)
    assert [cores_at(done, at_s) for at_s in (9.9, 10.1, 20.0)] == [1, 4, 4]


def test_fewer_cores_are_paid_for_until_the_resize_is_done() -> None:
    script = Script({10.0: (SLOW,)})
    done = run((replace(SLOW, cores=4),), script, every(1.5, 30.0), delays=Delays(resize_s=3.0))
    assert [cores_at(done, at_s) for at_s in (10.1, 12.9, 13.1)] == [4, 4, 1]


def test_cores_are_taken_from_replicas_only_when_what_is_wished_for_beside_them_is_ready() -> None:
    script = Script({10.0: (replace(SLOW, cores=2, replicas=2),)})
    done = run((replace(SLOW, cores=4),), script, every(0.3, 30.0), routing="shared-queue")
    assert [cores_at(done, at_s) for at_s in (9.0, 12.0, 14.9, 15.1)] == [4, 6, 6, 4]
    assert done.sojourn_s_N[done.arrival_s_N < 14.5] == pytest.approx(0.25)
    assert done.sojourn_s_N[done.arrival_s_N > 16.0] == pytest.approx(0.5)


def test_a_wish_for_fewer_cores_that_is_taken_back_while_others_load_changes_nothing() -> None:
    start = (replace(SLOW, cores=4),)
    script = Script({10.0: (replace(SLOW, cores=2, replicas=2),), 12.0: start})
    done = run(start, script, every(0.3, 30.0), routing="shared-queue")
    assert [cores_at(done, at_s) for at_s in (9.0, 11.0, 12.1, 20.0)] == [4, 6, 4, 4]
    assert done.sojourn_s_N == pytest.approx(0.25)


def test_where_cores_cannot_change_in_place_new_replicas_replace_the_old_ones() -> None:
    script = Script({10.0: (replace(SLOW, cores=4),)})
    done = run((SLOW,), script, every(1.5, 30.0), delays=Delays(in_place=False))
    assert done.sojourn_s_N[done.arrival_s_N < 15.0] == pytest.approx(1.0)
    assert done.sojourn_s_N[done.arrival_s_N >= 15.0] == pytest.approx(0.25)
    assert [cores_at(done, at_s) for at_s in (9.9, 10.1, 14.9, 17.0)] == [1, 5, 5, 4]


def test_a_wish_taken_back_gives_up_the_replicas_that_still_load() -> None:
    script = Script({10.0: (replace(SLOW, replicas=3),), 12.0: (SLOW,)})
    done = run((SLOW,), script, every(1.5, 30.0))
    assert [cores_at(done, at_s) for at_s in (9.9, 10.1, 11.9, 12.1, 16.0)] == [1, 3, 3, 1, 1]


def test_fewer_replicas_drain_and_nothing_they_hold_is_lost() -> None:
    start = (replace(SLOW, replicas=5),)
    done = run(start, Script({10.0: (SLOW,)}), every(0.1, 20.0), slo_s=100.0)
    assert cores_at(done, 9.9) == 5
    assert cores_at(done, 200.0) == 1
    assert not np.isnan(done.visits[0].answer_s_N).any()


def test_a_policy_changes_at_once_under_a_name_and_by_another_group_without() -> None:
    for name, changes_s in (("tuned", 10.0), (None, 15.0)):
        start, wish = (
            replace(SLOW, policy="early", name=name, batch=2),
            replace(SLOW, policy="late", name=name, batch=2),
        )
        script = Script({10.0: (wish,)})
        run((start,), script, every(1.5, 30.0))
        policies = {seen.now_s: [one.policy for one in seen.running] for seen in script.seen}
        assert policies[changes_s - 1] == ["early"]
        assert policies[changes_s + 1] == ["late"]


def test_an_observation_tells_the_past_and_nothing_else() -> None:
    script = Script({}, interval_s=4.0)
    network_s = 0.5
    arrivals = every(1.0, 21.0)
    traffic = Traffic(
        arrival_s_N=arrivals.arrival_s_N, duration_s=21.0, network_s_N=np.full(len(arrivals.arrival_s_N), network_s)
    )
    run((SLOW,), script, traffic, slo_s=1.2)
    first, second = script.seen[:2]
    assert first.arrivals_T.tolist() == [0, 1, 1, 1]
    assert first.sojourn_s_N == pytest.approx([1.5, 1.5])  # sent at 0.5, answered at 2; the answer at 4 is not before 4
    assert first.missed == 2
    assert first.remaining_slo_s_N == pytest.approx([0.7] * 3)
    assert first.rate_rps == 0.75
    assert first.utilization["serve"] == pytest.approx(0.75)
    assert first.waiting == {"serve": 0}
    assert second.utilization["serve"] == pytest.approx(1.0)
    assert second.remaining_slo_s_N == pytest.approx([0.7] * 4)


def test_requests_that_are_dropped_go_no_further_and_count_as_missed() -> None:
    start = (replace(SLOW, stage="one"), replace(FAST, stage="two"))
    script = Script({}, interval_s=10.0)
    done = run(start, script, every(0.5, 60.0), slo_s=9.0, discipline=Discipline(limit=3))
    assert 0.4 < done.drops < 0.55
    assert done.misses == pytest.approx(done.drops)
    lost_N = np.isinf(done.sojourn_s_N)
    assert np.isnan(done.visits[1].arrival_s_N[lost_N]).all()
    assert not np.isnan(done.visits[1].answer_s_N[~lost_N]).any()
    assert sum(seen.dropped for seen in script.seen) <= lost_N.sum()
    assert done.accuracy == pytest.approx(0.63)


def test_overload_ends_and_is_seen_as_a_queue_that_grows() -> None:
    script = Script({}, interval_s=10.0)
    done = run((SLOW,), script, every(0.1, 100.0))
    waiting = [seen.waiting["serve"] for seen in script.seen]
    assert waiting == sorted(waiting)
    assert waiting[-1] > 700
    assert done.misses > 0.9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((), "without a group"),
        ((SLOW, SLOW), "names a group twice"),
        ((replace(SLOW, share=0.5),), "add up to 0.5"),
    ],
)
def test_an_impossible_configuration_is_refused(wrong: Configuration, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(wrong, None, every(1.0, 10.0))


def test_a_controller_that_forgets_a_stage_is_told_so() -> None:
    start = (replace(SLOW, stage="one"), replace(FAST, stage="two"))
    with pytest.raises(InputError, match="stage 'two'"):
        run(start, Script({3.0: start[:1]}), every(1.0, 10.0))


@pytest.mark.parametrize(
    ("arrival_s", "message"),
    [([], "without requests"), ([-1.0, 2.0], "negative"), ([2.0, 1.0], "unsorted"), ([1.0, 99.0], "99 s in a run")],
)
def test_impossible_traffic_is_refused(arrival_s: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run((SLOW,), None, Traffic(arrival_s_N=np.array(arrival_s), duration_s=50.0))
