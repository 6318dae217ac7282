"""`ttamer simulate --adapt` and `ttamer compare --trace` as a user runs them."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.builders import make_profile_folder
from tests.builders_adaptation import profile_of_three
from tests.e2e.commands import ttamer
from ttamer.profiles.documents import load_yaml
from ttamer.profiles.plan import Plan

SECONDS = [20] * 60 + [40] * 60 + [20] * 60


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a profile, a plan and a trace."""
    folder = tmp_path_factory.mktemp("planned")
    make_profile_folder(folder / "profiles" / "three", profile_of_three(), {})
    with chdir(folder):
        assert ttamer("plan", "--slo", "500ms", "--rate", "20rps", "--cores", "24", "-p", "three").exit_code == 0
    (folder / "load.csv").write_text("rps\n" + "\n".join(map(str, SECONDS)) + "\n")
    return folder


@pytest.fixture
def folder(planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    shutil.copytree(planned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plan_is_adapted_to_a_trace_and_everything_is_written(folder: Path) -> None:
    done = ttamer(
        "simulate",
        "plan.yaml",
        "--arrivals",
        "trace:load.csv",
        "--adapt",
        "ttamer",
        "--load-time",
        "1s",
        "--routing",
        "shared-queue",
    )
    assert done.exit_code == 0, done.output
    assert "ttamer on 4,800 trace load requests in 180 s (seed 0): a decision each 2.00 s" in done.stdout
    assert "at most 1.00 % promised: " in done.stdout
    assert "p99 latency" in done.stdout
    report = load_yaml(folder / "simulation.yaml")
    assert report["format"] == "ttamer/adaptation"
    assert report["controller"] == "ttamer"
    assert report["misses"]["observed"] < 0.05
    assert len(report["changes"]) >= 1
    timeline = pq.read_table(folder / "simulation.timeline.parquet")
    assert timeline.num_rows >= 180
    assert Plan.read(folder / "plan.yaml").service.slo_s == 0.5


def test_a_controller_that_misses_too_much_ends_in_exit_code_4(folder: Path) -> None:
    arguments = ("simulate", "plan.yaml", "--arrivals", "trace:load.csv", "--adapt", "vpa", "--scale", "3")
    done = ttamer(*arguments)
    assert done.exit_code == 4
    assert "of the requests miss the SLO" in done.stderr
    assert ttamer(*arguments, "--no-fail").exit_code == 0


def test_all_controllers_are_compared_on_one_trace_and_written_as_parquet(folder: Path) -> None:
    done = ttamer("compare", "plan.yaml", "--trace", "load.csv", "--load-time", "1s", "--out", "table.parquet")
    assert done.exit_code == 0, done.output
    assert "Controllers for p99 <= 500 ms on load.csv: 4,800 requests in 180 s, 26.7 rps on average" in done.stdout
    for title in ("ttamer", "IPA", "InfAdapter", "Sponge", "MS+", "VPA", "FA2-low", "FA2-high", "static"):
        assert any(line.startswith(title) for line in done.stdout.splitlines()), title
    assert "SLO misses (%)" in done.stdout
    table = pq.read_table(folder / "table.parquet")
    assert {"controller", "misses", "accuracy", "core_seconds", "changes"} <= set(table.column_names)
    assert set(table["requests"].to_pylist()) == {4800}


def test_some_controllers_with_one_predictor_as_json(folder: Path) -> None:
    done = ttamer(
        "compare", "plan.yaml", "--trace", "load.csv", "--controllers", "ipa,static", "--predictor", "ewma",
        "--interval", "5s", "--window", "20s-120s", "--format", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [row["controller"] for row in rows] == ["ipa", "static"]
    assert {row["predictor"] for row in rows} == {"ewma"}
    assert {row["interval_s"] for row in rows} == {5.0}


def test_the_load_before_a_window_is_learned_from(folder: Path) -> None:
    (folder / "long.csv").write_text("rps\n" + "\n".join(["9", "12", "10"] * 1400) + "\n")
    done = ttamer(
        "compare", "plan.yaml", "--trace", "long.csv", "--window", "4000s-4100s", "--controllers", "ttamer",
        "--format", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "learning from 4,000 s of load before the window" in done.stderr
    assert json.loads(done.stdout)["rows"][0]["predictor"] == "quantile"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("simulate", "plan.yaml", "--predictor", "ewma"), "--predictor without --adapt"),
        (("simulate", "plan.yaml", "--adapt", "ipaa"), "unknown controller 'ipaa'"),
        (("simulate", "plan.yaml", "--adapt", "ours"), "vpa, or apparate, which tunes exits"),
        (("simulate", "plan.yaml", "--adapt", "ipa", "--past", "0s-10s"), "a past without a trace"),
        (("simulate", "plan.yaml", "--adapt", "ipa", "--predictor", "ar12"), "too few to learn from"),
        (("simulate", "plan.yaml", "--adapt", "ipa", "--predictor", "oracle"), "unknown predictor 'oracle'"),
        (("simulate", "plan.yaml", "--adapt", "ipa", "--interval", "5"), "has no unit"),
        (("simulate", "plan.yaml", "--adapt", "ttamer", "--level", "100%"), "a level of 100%"),
        (("compare", "plan.yaml", "--trace", "missing.csv"), "missing.csv does not exist"),
        (("compare", "plan.yaml", "--trace", "empty.csv"), "empty.csv holds no rows"),
        (("compare", "plan.yaml", "--trace", "negative.csv"), "rate of -3 rps"),
        (("compare", "plan.yaml", "--trace", "load.csv", "--window", "900s-999s"), "no requests in the window"),
        (("compare", "plan.yaml", "--trace", "load.csv", "--controllers", "ipa,best"), "unknown controller 'best'"),
        (("compare", "--trace", "load.csv"), "nothing to compare"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "empty.csv").write_text("rps\n")
    (folder / "negative.csv").write_text("rps\n3\n-3\n")
    done = ttamer(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert "  try: " in done.stderr


def test_exits_are_tuned_while_they_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = ("plan", "--slo", "200ms", "--rate", "100rps", "-p", "reference", "--models", "resnet20")
    assert ttamer(*plan).exit_code == 0
    done = ttamer("simulate", "plan.yaml", "--adapt", "apparate", "--requests", "4000", "--stream", "sudden")
    assert done.exit_code == 0, done.output
    assert "Apparate in the simulation: 4,000 poisson requests at 100 rps, records sudden (seed 0)" in done.stdout
    assert "without exits" in done.stdout
    content = load_yaml(tmp_path / "simulation.yaml")
    plain, tuned = content["rows"]
    assert tuned["mean_s"] < plain["mean_s"]
    assert tuned["agreement"] > 0.98
    assert len(content["changes"]) > 1
    refused = ttamer("simulate", "plan.yaml", "--adapt", "apparate", "--requests", "4000", "--stream", "backwards")
    assert refused.exit_code == 2
    assert "unknown stream of records 'backwards'" in refused.stderr


def test_a_load_that_nothing_keeps_up_with_is_called_overload(folder: Path) -> None:
    (folder / "flood.csv").write_text("rps\n" + "20\n" * 20 + "5000\n" * 10)
    done = ttamer("simulate", "plan.yaml", "--arrivals", "trace:flood.csv", "--adapt", "ttamer")
    assert done.exit_code == 4
    assert "Note: overload: " in done.stdout
    assert " requests wait when the load ends, more than " in done.stdout
    calm = ttamer("simulate", "plan.yaml", "--adapt", "ttamer", "--requests", "2000")
    assert "overload" not in calm.stdout
