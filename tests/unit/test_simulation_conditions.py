from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.builders_simulation import MODEL, group_of, plan_of, profile_of, records_of, simulated
from ttamer.planning.simulation.conditions import Conditions, Size, size_of
from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.simulate import simulate
from ttamer.planning.simulation.timeline import timeline_of_plan, width_of
from ttamer.planning.simulation.traces import Trace
from ttamer.profiles.errors import InputError
from ttamer.profiles.network_trace import NetworkTrace
from ttamer.profiles.provenance import Provenance

PROFILE = profile_of(jitter=(0.9, 1.0, 1.2))
RECORDS = {MODEL: records_of([True, False, True, False])}
BUSY = plan_of(PROFILE, group_of("early", batch=4, batch_timeout_s=0.02, replicas=2), rate_rps=150.0)


def trace_of(*rates_rps: float, step_s: float = 10.0) -> Trace:
    edges_s = np.arange(len(rates_rps) + 1) * step_s
    return Trace(name="steps", duration_s=float(edges_s[-1]), edge_s_T=edges_s, rate_rps_T=np.array(rates_rps))


def test_replications_give_intervals_and_are_counted_together() -> None:
    report, table = simulated(BUSY, PROFILE, RECORDS, requests=4000, seed=1, replications=5)
    assert (report.replications, report.requests, report.warm_up_requests) == (5, 20_000, 2000)
    assert table.requests == 4000
    latency = report.checks[0]
    assert latency.low is not None
    assert latency.high is not None
    assert latency.low < (latency.observed or 0.0) < latency.high
    assert sum(group.requests for group in report.groups) == 18_000


def test_more_replications_narrow_the_interval() -> None:
    widths = []
    for replications in (4, 32):
        latency = simulated(BUSY, PROFILE, RECORDS, requests=3000, seed=2, replications=replications)[0].checks[0]
        widths.append((latency.high or 0.0) - (latency.low or 0.0))
    assert widths[1] < 0.6 * widths[0]


def test_requests_followed_one_by_one_meet_what_the_plain_simulation_says() -> None:
    """Round robin goes through the other engine; with constant seconds and one replica nothing may differ."""
    profile = profile_of(per_row_s=0.002)
    plan = plan_of(profile, group_of(batch=4, batch_timeout_s=0.01), group_of(stage="next"), rate_rps=60.0)
    reports, tables = zip(
        *(simulated(plan, profile, {}, requests=5000, seed=3, routing=name) for name in ("random", "round-robin")),
        strict=True,
    )
    assert tables[0].end_to_end_s() == pytest.approx(tables[1].end_to_end_s(), abs=1e-9)
    for one, other in zip(tables[0].visits, tables[1].visits, strict=True):
        assert (one.batch_N == other.batch_N).all()
    for one, other in zip(reports[0].groups, reports[1].groups, strict=True):
        assert one.utilization == pytest.approx(other.utilization, abs=1e-6)
        assert one.mean_batch == pytest.approx(other.mean_batch)


@pytest.mark.parametrize("routing", ["random", "round-robin", "shortest-queue", "shared-queue"])
def test_every_routing_serves_everybody_and_reports_its_load(routing: str) -> None:
    report, table = simulated(BUSY, PROFILE, RECORDS, requests=8000, seed=4, routing=routing)
    assert not np.isnan(table.visits[0].service_s_N).any()
    assert report.groups[0].requests == 7200
    assert 0.2 < report.groups[0].utilization < 0.55  # one queue fills larger batches, which cost less a request
    assert report.routing == routing


def test_a_server_that_starts_its_timeout_late_keeps_requests_longer_in_larger_batches() -> None:
    plan = plan_of(PROFILE, group_of(batch=8, batch_timeout_s=0.05), rate_rps=80.0)
    seen = {
        clock: simulated(plan, PROFILE, {}, requests=20_000, seed=5, clock=clock)[0]
        for clock in ("ideal", "triton", "ray-serve", "kserve")
    }
    batches = {clock: report.groups[0].mean_batch for clock, report in seen.items()}
    assert batches["ray-serve"] > batches["ideal"] + 0.1
    assert batches["triton"] == pytest.approx(batches["ideal"], rel=0.01)
    assert batches["kserve"] == pytest.approx(batches["ray-serve"], rel=0.03)


def test_exits_that_only_release_answer_as_early_and_keep_the_server_busier() -> None:
    plan = plan_of(PROFILE, group_of("early"), rate_rps=20.0)
    stop, release = (
        simulated(plan, PROFILE, RECORDS, requests=20_000, seed=6, releases=releases)[0] for releases in (False, True)
    )
    assert release.exits == "release"
    assert release.groups[0].utilization > 1.3 * stop.groups[0].utilization
    overloaded = simulated(plan, PROFILE, RECORDS, requests=2000, seed=6, releases=True, rate_scale=4.3)[0]
    assert overloaded.notes[0].startswith("overload")  # 86 rps of 11.9 ms: stopping would save it
    assert not simulated(plan, PROFILE, RECORDS, requests=2000, seed=6, rate_scale=4.3)[0].notes[0].startswith("over")


def test_a_full_queue_drops_requests_which_are_misses() -> None:
    plan = plan_of(PROFILE, rate_rps=85.0)
    report, table = simulated(plan, PROFILE, {}, requests=20_000, seed=7, discipline=Discipline(limit=3))
    drops = next(check for check in report.checks if check.name == "drops")
    assert drops.verdict == "broken"
    assert report.drops == pytest.approx(drops.observed or 0.0)
    assert report.slo_misses == pytest.approx(report.drops)
    assert report.verdict == "broken"
    assert np.isnan(table.visits[0].service_s_N).mean() == pytest.approx(report.drops, abs=0.01)


def test_what_the_network_takes_counts_against_the_slo() -> None:
    network = NetworkTrace(np.arange(2.0), np.array([0.0, 0.25]))
    plan = plan_of(PROFILE, slo_s=0.2, rate_rps=10.0)
    report, table = simulated(plan, PROFILE, {}, requests=5000, seed=8, network=network)
    assert report.slo_misses == pytest.approx(0.5, abs=0.02)
    assert report.network
    assert table.network_s_N is not None
    assert set(np.round(table.network_s_N, 9).tolist()) == {0.0, 0.25}
    assert (np.diff(table.arrival_s_N) >= 0).all()


def test_a_trace_has_its_own_load_and_is_judged_from_its_beginning() -> None:
    report, table = simulated(BUSY, PROFILE, RECORDS, requests=1000, seed=9, arrivals=trace_of(20.0, 60.0))
    assert report.requests == table.requests == 800
    assert report.warm_up_requests == 0
    assert report.rate_rps == 40.0
    assert report.arrivals == "trace steps"
    assert "the trace brings 40 rps on average, the plan was made for 150" in report.notes


def test_a_timeline_tells_load_latency_cores_and_accuracy_window_by_window(tmp_path: Path) -> None:
    records = {MODEL: records_of([True, False], right_early=[False, True])}
    _, table = simulated(BUSY, PROFILE, records, requests=800, seed=9, arrivals=trace_of(20.0, 0.0, 60.0))
    timeline = timeline_of_plan(table, BUSY, width_s=10.0)
    assert timeline.rate_rps_W == pytest.approx([20.0, 0.0, 60.0], rel=0.02)
    assert np.isnan(timeline.latency_s_W).tolist() == [False, True, False]
    assert timeline.cores_W.tolist() == [2.0, 2.0, 2.0]
    assert timeline.accuracy_W[2] == pytest.approx(0.5, abs=0.1)
    timeline.write(tmp_path / "timeline.parquet", Provenance())
    read = pq.read_table(tmp_path / "timeline.parquet").to_pydict()
    assert read["start_s"] == [0.0, 10.0, 20.0]
    assert read["latency_s"][1] is None


@pytest.mark.parametrize("duration_s", [0.5, 60.0, 1260.0, 86_400.0, 1e7])
def test_a_timeline_has_at_most_six_hundred_windows(duration_s: float) -> None:
    assert duration_s / width_of(duration_s) <= 600


def test_the_quantile_decides_how_much_is_simulated_and_a_trace_decides_for_itself() -> None:
    assert size_of(Conditions(), 0.5, None, None) == Size(requests=5000, replications=10)
    assert size_of(Conditions(), 0.99, 500, None) == Size(requests=500, replications=1)
    assert size_of(Conditions(), 0.99, 50_000, 4) == Size(requests=12_500, replications=4)
    assert size_of(Conditions(arrivals=trace_of(20.0, 60.0)), 0.99, None, None) == Size(requests=800, replications=10)
    large = Conditions(arrivals=trace_of(20.0, 60.0), rate_scale=1e4)
    assert size_of(large, 0.99, None, None) == Size(requests=8_000_000, replications=1)
    with pytest.raises(InputError, match="its own number"):
        size_of(Conditions(arrivals=trace_of(1.0)), 0.99, 5000, None)


def test_more_requests_than_memory_holds_are_refused_at_once() -> None:
    size = Size(requests=10**12, replications=1)
    with pytest.raises(InputError, match=r"need .* GiB of memory, 1.0 are there"):
        simulate(BUSY, PROFILE, RECORDS, size=size, seed=0, memory_bytes=2**30)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clock": "ray-serv"}, "did you mean 'ray-serve'"),
        ({"routing": "shared"}, "did you mean 'shared-queue'"),
        ({"warm_up": -0.1}, "warm-up of -0.1"),
        ({"routing": "shortest-queue", "discipline": Discipline(limit=9)}, "plain queues only"),
        ({"rate_scale": float("nan")}, "nan times"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Conditions(**wrong)  # type: ignore[arg-type]


def test_a_limit_that_no_batch_fits_is_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match="lets no batch of 4 fill"):
        simulated(BUSY, PROFILE, RECORDS, requests=500, seed=1, discipline=Discipline(limit=3))
