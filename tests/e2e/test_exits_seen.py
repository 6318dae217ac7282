"""What a model's exits can buy, and what becomes of them: `frontier`, `drift`, and `plan` with bounds on policies."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.e2e.commands import ttamer
from tests.synthetic_records import plausible_records
from ttamer.profiles.documents import read_table
from ttamer.profiles.plan import Plan, PolicySpec
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import find_profile, records_path

QUICK = ("--policies", "confidence-threshold,fixed-exit")
ROOMY = ("--tail-budget", "5%")  # a head of so small a model takes more than the usual 2 % of it
DRIFT = ("drift", "resnet20", "-p", "reference", "--batches", "60")
PLAN = ("plan", "-p", "reference", "--models", "resnet20", "--slo", "50ms", "--rate", "900rps", *QUICK)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_frontier_is_shown_and_written_from_fast_to_accurate() -> None:
    done = ttamer("frontier", "resnet20", "-p", "reference", *QUICK)
    assert done.exit_code == 0
    assert "Frontier of resnet20 on digits" in done.stdout
    assert "The last exit: 1.35 ms" in done.stdout
    table, header = read_table(Path("frontier.parquet"), "policy-frontier", 1)
    rows = table.to_pylist()
    assert header["kinds"] == ["confidence-threshold", "fixed-exit"]
    for name in ("validation_mean_s", "validation_accuracy"):
        assert [row[name] for row in rows] == sorted(row[name] for row in rows)
    assert all(PolicySpec.parse(json.loads(row["policy"]), "row").model == "resnet20" for row in rows)


def test_the_frontier_is_printed_as_json() -> None:
    done = ttamer("frontier", "resnet20", "-p", "reference", *QUICK, "--format", "json")
    found = json.loads(done.stdout)
    assert found["last_exit"]["saved"] == 0.0
    assert 2 < len(found["vertices"]) < found["settings"]


@pytest.mark.parametrize("stream", ["steady", "harder", "sudden", "classes"])
@pytest.mark.parametrize("compat", ["fixed", "released"])
def test_a_drift_replay_reports_agreement_cuts_and_ramps_over_time(stream: str, compat: str) -> None:
    done = ttamer(*DRIFT, "--stream", stream, "--compat", compat, "--format", "json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    ways = {(way["name"], way["semantics"]): way for way in report["ways"]}
    assert {name for name, _ in ways} >= {"controller", "skippable heads", "oracle"}
    assert {semantics for name, semantics in ways if name == "controller"} == {"release", "stop"}
    assert report["tail_budget"] == {"fixed": 0.02, "released": 0.05}[compat]
    for way in ways.values():
        assert [window["first_batch"] for window in way["windows"]] == list(range(1, 60, 6))
    assert ways["controller", "release"]["busy_cut_pct"] < 0 < ways["oracle", "stop"]["busy_cut_pct"]
    table, header = read_table(Path("drift.parquet"), "drift", 1)
    assert header["stream"] == stream
    assert table.num_rows == 60 * len(ways)
    assert {"agreement", "cut_pct", "exit_share"} <= set(table.column_names)
    for row in table.to_pylist():
        assert len(row["ramps"]) == len(row["thresholds"]) == len(row["utility_s"])


def test_a_drift_replay_is_printed_with_a_plot_and_repeats_itself() -> None:
    first, again = (ttamer(*DRIFT, *ROOMY, "--seed", "3") for _ in range(2))
    assert first.stdout == again.stdout
    for text in ("Drift replay of resnet20 on digits: 480 arrivals in batches of 8", "The controller over time",
                 "latency saved (%)", "Exits that can be ramps within a tail budget of 5.0 %"):  # fmt: skip
        assert text in first.stdout
    assert "wrote drift.parquet" in first.stderr


def test_a_tail_budget_that_no_exit_keeps_is_said() -> None:
    done = ttamer(*DRIFT, "--tail-budget", "0.1%")
    assert done.exit_code == 0
    assert "No exit keeps a tail budget of 0.1 %: the cheapest ramp adds" in done.stdout
    assert "exact placement" not in done.stdout


def test_records_of_other_data_may_follow() -> None:
    test = ExitRecords.read(records_path(find_profile("reference"), "resnet20", "test"))
    plausible_records(1, 300, test.exits, model="resnet20").write(Path("later.parquet"))
    done = ttamer(*DRIFT, *ROOMY, "--later", "later.parquet", "--stream", "steady", "--format", "json")
    report = json.loads(done.stdout)
    fixed = next(way for way in report["ways"] if way["name"] == "exact placement")
    assert report["dataset"] == "digits, then synthetic"
    assert fixed["windows"][0]["agreement"] > fixed["windows"][-1]["agreement"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drift", "resnet21", "-p", "reference"), "unknown model 'resnet21' in profile 'reference'"),
        (
            ("drift", "resnet18:resnet50", "-p", "reference"),
            "'resnet18:resnet50' is a cascade, not one model",
        ),
        (("drift", "resnet18", "-p", "reference"), "resnet18.calibration.parquet does not exist"),
        ((*DRIFT, "--audit", "2"), "--audit '2' is not a percentage"),
        ((*DRIFT, "--later", "none.parquet"), "none.parquet does not exist"),
        (("frontier", "resnet20", "-p", "reference", "--policies", "fixed"), "unknown exit policy 'fixed'"),
        (("frontier", "resnet50", "-p", "reference"), "resnet50.calibration.parquet does not exist"),
        ((*PLAN, "--risk", "2"), "--risk '2' is not a percentage"),
        ((*PLAN, "--risk", "0%"), "--risk '0%' must lie between 0% and 100%"),
        ((*PLAN, "--risk", "5%", "--confidence", "100%"), "--confidence '100%' must lie between 0% and 100%"),
        ((*PLAN, "--mean-latency", "5"), "--mean-latency '5'"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(arguments: tuple[str, ...], message: str) -> None:
    done = ttamer(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not list(Path().iterdir())


def test_too_few_samples_for_a_guarantee_are_refused_with_the_number_needed() -> None:
    done = ttamer(*PLAN, "--risk", "1%")
    assert done.exit_code == 3
    assert done.stderr.splitlines() == [
        "ttamer: 272 validation samples of 'resnet20' cannot certify a disagreement of at most 1 % with "
        "95 % confidence",
        "  try: at least 299 samples without one failure are needed, 473 with one: record more, allow a higher risk "
        "or ask for less confidence",
    ]
    assert not Path("plan.yaml").exists()


def test_a_guarantee_is_shown_written_and_simulated() -> None:
    done = ttamer(*PLAN, "--risk", "5%", "--confidence", "90%", "--objective", "latency")
    assert done.exit_code == 0
    plan = Plan.read(Path("plan.yaml"))
    (spec,) = plan.policies.values()
    assert spec.assurance is not None
    assert spec.assurance.bound <= 0.05
    assert plan.service.risk == 0.05
    assert f"90 % sure ({spec.assurance.failures} of 272 samples did)" in done.stdout
    assert ttamer("simulate", "plan.yaml", "--requests", "20000").exit_code == 0
    assert ttamer("explain", "plan.yaml").exit_code == 0


def test_a_mean_latency_is_kept_and_shown() -> None:
    done = ttamer(*PLAN, "--mean-latency", "0.5ms")
    assert done.exit_code == 0
    (evidence,) = Plan.read(Path("plan.yaml")).evidence.values()
    assert evidence.validation.mean_s <= 0.0005
    assert "Evidence: resnet20/" in done.stdout
    assert "alone in place of 1.35 ms" in done.stdout


def test_no_policy_within_the_mean_latency_is_infeasible() -> None:
    done = ttamer(*PLAN, "--mean-latency", "0.1ms")
    assert done.exit_code == 3
    assert "no policy of stage 'serve' takes at most 0.1 ms alone in the mean" in done.stderr


def test_a_service_file_may_ask_for_all_of_it() -> None:
    service = {
        "slo": "50ms", "rate": "900rps", "risk": "5%", "confidence": "90%", "risk_of": "harm", "mean_latency": "1ms",
        "stages": [{"name": "serve", "models": ["resnet20"], "policies": ["confidence-threshold"]}],
    }  # fmt: skip
    Path("service.yaml").write_text(yaml.safe_dump(service))
    assert ttamer("plan", "service.yaml", "-p", "reference").exit_code == 0
    planned = Plan.read(Path("plan.yaml")).service
    assert (planned.risk, planned.confidence, planned.risk_of, planned.mean_latency_s) == (0.05, 0.9, "harm", 0.001)
    shown = yaml.safe_load(ttamer("plan", "service.yaml", "-p", "reference", "--show-config").stdout)
    assert {name: shown[name] for name in ("risk", "confidence", "risk_of")} == {
        "risk": "5%", "confidence": "90%", "risk_of": "harm",
    }  # fmt: skip
    assert shown["mean_latency"] == "1ms"


def test_the_batches_of_a_drift_replay_add_up_to_its_report() -> None:
    report = json.loads(ttamer(*DRIFT, "--format", "json").stdout)
    rows = pq.read_table("drift.parquet").to_pylist()
    for way in report["ways"]:
        mine = [row for row in rows if (row["way"], row["semantics"]) == (way["name"], way["semantics"])]
        total = sum(row["samples"] for row in mine)
        assert way["agreement"] == pytest.approx(sum(row["samples"] * row["agreement"] for row in mine) / total)
        assert way["cut_pct"] == pytest.approx(sum(row["samples"] * row["cut_pct"] for row in mine) / total)
