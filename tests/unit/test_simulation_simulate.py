from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.builders_simulation import EARLY, LAST_EXIT, MODEL, group_of, plan_of, profile_of, records_of, simulated
from ttamer.planning.simulation import requests
from ttamer.planning.simulation.conditions import default_requests
from ttamer.planning.simulation.requests import UNKNOWN
from ttamer.planning.simulation.simulate import read_records
from ttamer.profiles.documents import read_table
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.shelf import records_path, write_profile
from ttamer.profiles.simulation import SimulationReport

PROFILE = profile_of(jitter=(0.9, 1.0, 1.2))
RECORDS = {MODEL: records_of([True, False, True, False])}


def test_a_plan_with_room_to_spare_keeps_its_promise() -> None:
    report, table = simulated(plan_of(PROFILE), PROFILE, {}, requests=10_000, seed=1)
    assert report.verdict == "kept"
    assert {check.name: check.verdict for check in report.checks} == {
        "latency at p99": "kept", "SLO misses": "kept", "drops": "kept", "accuracy": "undecided", "utilization": "kept",
        "cost": "kept",
    }  # fmt: skip
    assert report.warm_up_requests == 1000
    assert report.slo_misses == 0
    assert table.requests == 10_000


def test_a_promise_of_less_latency_than_a_single_service_is_broken() -> None:
    report, _ = simulated(plan_of(PROFILE, latency_s=0.005, slo_s=0.005), PROFILE, {}, requests=10_000, seed=1)
    latency, misses = report.checks[:2]
    assert (latency.verdict, misses.verdict, report.verdict) == ("broken", "broken", "broken")
    assert latency.low is not None
    assert latency.low > 0.005
    assert report.slo_misses == 1


def test_what_the_network_takes_of_the_slo_is_not_there_to_wait_in() -> None:
    plan = plan_of(PROFILE, slo_s=0.1)
    far = plan.model_copy(update={"service": plan.service.model_copy(update={"network_s": 0.095})})
    near, _ = simulated(plan, PROFILE, {}, requests=2000, seed=1)
    report, _ = simulated(far, PROFILE, {}, requests=2000, seed=1)
    assert near.slo_misses == 0
    assert (report.slo_misses, report.slo_s) == (1, pytest.approx(0.005))


def test_a_promise_inside_the_interval_of_what_was_observed_is_undecided() -> None:
    observed = simulated(plan_of(PROFILE), PROFILE, {}, requests=10_000, seed=1)[0].checks[0].observed
    report, _ = simulated(plan_of(PROFILE, latency_s=observed or 0.0), PROFILE, {}, requests=10_000, seed=1)
    assert report.checks[0].verdict == report.verdict == "undecided"
    assert "simulate more requests" in report.notes[-1]


def test_too_few_requests_for_the_quantile_leave_the_latency_without_an_upper_end() -> None:
    report, _ = simulated(plan_of(PROFILE), PROFILE, {}, requests=200, seed=1)
    assert report.checks[0].high is None
    assert report.checks[0].verdict == "undecided"


@pytest.mark.parametrize("policy", ["last-exit", "early"])
@pytest.mark.parametrize("routing", ["random", "shortest-queue"])
def test_the_same_seed_gives_the_same_report_and_another_one_another(policy: str, routing: str) -> None:
    plan = plan_of(PROFILE, group_of(policy, batch=4, batch_timeout_s=0.01, replicas=2))
    one, same, other = (
        simulated(plan, PROFILE, RECORDS, requests=2000, seed=seed, routing=routing)[0] for seed in (3, 3, 4)
    )
    assert one == same
    assert one != other


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    simulated(plan_of(PROFILE), PROFILE, {}, requests=500, seed=1)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]  # noqa: NPY002


def test_early_exits_answer_sooner_and_keep_servers_less_busy() -> None:
    last, early = (
        simulated(plan_of(PROFILE, group_of(policy, batch=4)), PROFILE, RECORDS, requests=10_000, seed=1)
        for policy in ("last-exit", "early")
    )
    assert early[0].groups[0].utilization < last[0].groups[0].utilization
    assert early[1].end_to_end_s().mean() < 0.9 * last[1].end_to_end_s().mean()
    stops = early[1].visits[0].stop_exit_N
    assert set(stops.tolist()) == {0, 1}
    served_s = [early[1].visits[0].service_s_N[stops == stop].mean() for stop in (0, 1)]
    assert served_s[0] < served_s[1]


def test_utilization_is_rate_times_mean_service_when_requests_are_served_alone() -> None:
    report, _ = simulated(plan_of(PROFILE), PROFILE, {}, requests=100_000, seed=2)
    expected = 50.0 * 0.011 * np.mean([0.9, 1.0, 1.2])
    assert report.groups[0].utilization == pytest.approx(expected, rel=0.02)
    assert report.groups[0].mean_batch == 1


def test_utilization_may_exceed_its_estimate_a_little_but_not_much() -> None:
    busy = 50.0 * 0.011 * np.mean([0.9, 1.0, 1.2])
    verdicts = [
        simulated(plan_of(PROFILE, utilization=busy / over), PROFILE, {}, requests=100_000, seed=2)[0].checks[4].verdict
        for over in (0.99, 1.03, 1.10)
    ]
    assert verdicts == ["kept", "kept", "broken"]


def test_load_is_shared_as_planned_and_groups_are_reported_in_the_plans_order() -> None:
    profile = profile_of(models=(MODEL, "other"))
    groups = (group_of(share=0.75, replicas=2), group_of(model="other", policy="theirs", share=0.25, batch=2))
    policies = {"last-exit": LAST_EXIT, "theirs": LAST_EXIT.model_copy(update={"model": "other"})}
    report, table = simulated(plan_of(profile, *groups, policies=policies), profile, {}, requests=20_000, seed=1)
    assert [group.model for group in report.groups] == [MODEL, "other"]
    assert report.groups[0].requests == pytest.approx(0.75 * 18_000, abs=4 * (18_000 * 3 / 16) ** 0.5)
    assert sum(group.requests for group in report.groups) == 18_000
    assert (table.visits[0].group_N == 0).mean() == pytest.approx(0.75, abs=0.02)


def test_a_pipeline_hands_answers_on_and_its_latency_is_the_sum() -> None:
    profile = profile_of()
    groups = (group_of(stage="first"), group_of("early", stage="second", batch=2, batch_timeout_s=0.003))
    report, table = simulated(plan_of(profile, *groups), profile, RECORDS, requests=5000, seed=1)
    first, second = table.visits
    assert table.arrival_s(1) == pytest.approx(table.arrival_s_N + first.sojourn_s())
    assert table.end_to_end_s() == pytest.approx((first.sojourn_s() + second.sojourn_s())[500:])
    assert [group.requests for group in report.groups] == [4500, 4500]


def test_accuracy_is_that_of_the_records_not_of_the_draws() -> None:
    records = records_of([True] * 50 + [False] * 50, right_early=[False] * 10 + [True] * 90)
    plan = plan_of(PROFILE, group_of("early"), accuracy_low=0.9, dataset="toy")
    check = simulated(plan, PROFILE, {MODEL: records}, requests=2000, seed=1)[0].checks[3]
    assert (check.name, check.kind, check.observed, check.promised) == ("accuracy", "at_least", 0.9, 0.9)
    assert check.low == pytest.approx(0.8256, abs=1e-4)
    assert check.verdict == "kept"


@pytest.mark.parametrize(("promised", "verdict"), [(0.91, "undecided"), (0.96, "broken")])
def test_accuracy_below_the_promise_is_broken_only_beyond_its_interval(promised: float, verdict: str) -> None:
    records = records_of([True] * 50 + [False] * 50, right_early=[False] * 10 + [True] * 90)
    plan = plan_of(PROFILE, group_of("early"), accuracy_low=promised, dataset="toy")
    report, _ = simulated(plan, PROFILE, {MODEL: records}, requests=10_000, seed=1)
    assert report.checks[3].verdict == report.verdict == verdict
    assert any("too few to tell" in note for note in report.notes) == (verdict == "undecided")


def test_an_accuracy_that_no_records_can_show_is_noted_and_does_not_decide() -> None:
    report, table = simulated(plan_of(PROFILE, accuracy_low=0.7), PROFILE, {}, requests=10_000, seed=1)
    assert report.checks[3].observed is None
    assert report.checks[3].verdict == "undecided"
    assert report.verdict == "kept"
    assert any("accuracy was not checked" in note for note in report.notes)
    assert set(table.visits[0].correct_N.tolist()) == {UNKNOWN}


def test_records_of_another_data_set_do_not_vouch_for_the_promise() -> None:
    plan = plan_of(PROFILE, accuracy_low=0.7, dataset="imagenet")
    assert simulated(plan, PROFILE, RECORDS, requests=500, seed=1)[0].checks[3].observed is None


@pytest.mark.parametrize("policy", ["last-exit", "early"])
@pytest.mark.parametrize("batch", [1, 4])
def test_overload_is_named_and_broken_however_patient_the_slo(policy: str, batch: int) -> None:
    plan = plan_of(PROFILE, group_of(policy, batch=batch), latency_s=1e6, slo_s=1e6, rate_rps=50)
    report, _ = simulated(plan, PROFILE, RECORDS, requests=3000, seed=1, rate_scale=1e4)
    assert report.verdict == "broken"
    assert report.notes[0].startswith(f"overload: each replica of tiny ({policy}) is offered 5e+05 rps and can answer")
    assert "10000 times the one it is made from" in report.notes[1]
    assert report.groups[0].utilization == pytest.approx(1)


def test_a_load_just_within_capacity_is_no_overload() -> None:
    profile = profile_of(stage_s=(0.005, 0.005), head_s=(1e-9, 1e-9))
    plan = plan_of(profile, group_of(batch=4), rate_rps=399.0)
    assert not any("overload" in note for note in simulated(plan, profile, {}, requests=500, seed=1)[0].notes)
    over = simulated(plan, profile, {}, requests=500, seed=1, rate_scale=1.01)[0]
    assert "can answer 400;" in over.notes[0]


def test_a_plan_for_other_measurements_is_refused() -> None:
    plan = plan_of(PROFILE)
    other = profile_of(jitter=(0.9, 1.0, 1.3))
    with pytest.raises(DocumentError, match=r"made from other measurements of tiny.*plan anew"):
        simulated(plan, other, {}, requests=500, seed=1)


def test_a_plan_for_another_machine_is_refused() -> None:
    other = profile_of(jitter=(0.9, 1.0, 1.2), fingerprint="machine-b")
    with pytest.raises(DocumentError, match=r"for machine machine-a, profile 'test' is of machine-b \(plan anew"):
        simulated(plan_of(PROFILE), other, {}, requests=500, seed=1)


def test_a_plan_for_models_that_were_not_profiled_is_refused() -> None:
    plan = plan_of(profile_of(models=("other",)), group_of(model="other"))
    with pytest.raises(DocumentError, match="uses 'other', which profile 'test' lacks"):
        simulated(plan, PROFILE, {}, requests=500, seed=1)


def test_early_exits_without_test_records_are_refused_with_the_file_and_the_command() -> None:
    with pytest.raises(InputError, match=r"without profiles/test/records/tiny.test.parquet \(ttamer fit tiny"):
        simulated(plan_of(PROFILE, group_of("early")), PROFILE, {}, requests=500, seed=1)


def test_records_that_the_policy_has_seen_or_of_another_split_are_refused() -> None:
    records = RECORDS[MODEL]
    seen = EARLY.model_copy(update={"fitted_on": {"test": records.digest()}})
    plan = plan_of(PROFILE, group_of("early"), policies={"early": seen})
    with pytest.raises(InputError, match="was fitted on these records"):
        simulated(plan, PROFILE, {MODEL: records}, requests=500, seed=1)
    chosen = EARLY.model_copy(update={"chosen_on": {"test": records.digest()}})
    with pytest.raises(InputError, match="was chosen on these records"):
        simulated(
            plan_of(PROFILE, group_of("early"), policies={"early": chosen}), PROFILE, RECORDS, requests=500, seed=1
        )
    validation = records_of([True, False], split="validation")
    with pytest.raises(InputError, match="needs test records of 'tiny', not validation"):
        simulated(plan, PROFILE, {MODEL: validation}, requests=500, seed=1)


def test_records_of_a_model_with_other_exits_are_refused() -> None:
    with pytest.raises(InputError, match="have 3 exits, the profiled model has 2"):
        simulated(plan_of(PROFILE), PROFILE, {MODEL: records_of([True, False], exits=3)}, requests=500, seed=1)


def test_a_batch_beyond_the_measured_ones_is_refused() -> None:
    with pytest.raises(InputError, match="not up to 16"):
        simulated(plan_of(PROFILE, group_of(batch=16)), PROFILE, {}, requests=500, seed=1)


def test_a_plan_that_leaves_load_unserved_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"groups serve 0.9000 of stage 'serve'"):
        simulated(plan_of(PROFILE, group_of(share=0.9)), PROFILE, {}, requests=500, seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"requests": 1}, "too few"),
        ({"warm_up": 1.0}, "warm-up of 1"),
        ({"rate_scale": 0.0}, "0 times"),
        ({"arrivals": "poison"}, "did you mean 'poisson'"),
        ({"routing": "longest"}, "unknown routing"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    given = {"requests": 500, "seed": 1} | arguments
    with pytest.raises(InputError, match=message):
        simulated(plan_of(PROFILE), PROFILE, {}, **given)  # type: ignore[arg-type]


def test_constant_arrivals_at_one_replica_never_wait_below_capacity() -> None:
    profile = profile_of()
    report, table = simulated(plan_of(profile), profile, {}, requests=1000, seed=1, arrivals="constant")
    assert table.visits[0].wait_s_N.max() == pytest.approx(0, abs=1e-9)
    assert report.arrivals == "constant"
    assert report.checks[0].observed == pytest.approx(0.011)


def test_progress_ends_with_every_request_done() -> None:
    seen: list[tuple[int, int]] = []
    simulated(
        plan_of(PROFILE), PROFILE, {}, requests=500, seed=1, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (500, 500)


def test_enough_requests_leave_a_thousand_beyond_the_quantile() -> None:
    assert [default_requests(q) for q in (0.5, 0.95, 0.99, 0.999)] == [50_000, 50_000, 100_000, 1_000_000]


def test_reports_and_requests_are_documents(tmp_path: Path) -> None:
    report, table = simulated(plan_of(PROFILE, group_of("early", batch=2)), PROFILE, RECORDS, requests=500, seed=7)
    report.write(tmp_path / "simulation.yaml", Provenance(seed=7))
    assert SimulationReport.read(tmp_path / "simulation.yaml") == report
    table.write(tmp_path / "requests.parquet", Provenance(seed=7))
    read, header = read_table(tmp_path / "requests.parquet", "requests", 2)
    assert header["provenance"]["seed"] == 7
    assert read.column_names == [
        "request", "warm_up", "arrival_s", "group", "wait_s", "service_s", "sojourn_s", "batch", "stop_exit", "correct",
        "dropped",
    ]  # fmt: skip
    assert read["sojourn_s"].to_numpy() == pytest.approx(table.visits[0].sojourn_s())
    assert set(read["correct"].to_pylist()) == {True}


def test_requests_are_written_in_pieces_stage_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(PROFILE, group_of(stage="first"), group_of(stage="second", batch=2))
    _, table = simulated(plan, PROFILE, RECORDS, requests=500, seed=7)
    monkeypatch.setattr(requests, "ROWS", 200)
    table.write(tmp_path / "requests.parquet", Provenance())
    read, _ = read_table(tmp_path / "requests.parquet", "requests", 2)
    assert read["request"].to_pylist() == [*range(500)] * 2
    assert read["warm_up"].to_pylist() == ([True] * 50 + [False] * 450) * 2
    assert read["group"].to_pylist() == [0] * 500 + [1] * 500
    first, second = table.visits
    assert read["arrival_s"].to_numpy()[500:] == pytest.approx(table.arrival_s_N + first.sojourn_s())
    assert (read["wait_s"].to_numpy() == [*first.wait_s_N, *second.wait_s_N]).all()
    kinds = {str(read.schema.field(name).type) for name in ("arrival_s", "wait_s", "service_s", "sojourn_s")}
    assert (kinds, str(read.schema.field("batch").type)) == ({"double"}, "int32")


def test_answers_without_records_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    _, table = simulated(plan_of(PROFILE), PROFILE, {}, requests=100, seed=7)
    table.write(tmp_path / "requests.parquet", Provenance())
    assert set(pq.read_table(tmp_path / "requests.parquet")["correct"].to_pylist()) == {None}


def test_test_records_are_read_from_the_profiles_folder(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, PROFILE)
    plan = plan_of(profile)
    assert read_records(plan, profile) == {}
    RECORDS[MODEL].write(records_path(tmp_path, MODEL, "test"))
    assert read_records(plan, profile)[MODEL].samples == 4
