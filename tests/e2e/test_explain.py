"""`explain`, `compare` and `plan --pareto` on a profile made up for it: what people read, to the letter."""

import json
import re
import shutil
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.builders import ModelPlan, make_profile, make_profile_folder
from tests.e2e.commands import ttamer
from ttamer.profiles.documents import CREATED, load_yaml, read_table, write_yaml

MODELS = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="medium", whole_s=0.010, accuracy=0.88),
    ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a profile written three days ago and a plan on it."""
    folder = tmp_path_factory.mktemp("made")
    profile = folder / "profiles" / "local"
    make_profile_folder(profile, make_profile(MODELS, verdicts={"large": "noisy"}), {})
    header = load_yaml(profile / "profile.yaml")
    header["created"] = (datetime.now(UTC) - timedelta(days=3, hours=1)).strftime(CREATED)
    write_yaml(profile / "profile.yaml", header)
    with chdir(folder):
        assert ttamer("plan", "--slo", "200ms", "--rate", "150rps", "--cores", "3").exit_code == 0
    return folder


@pytest.fixture
def made(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blank(text: str) -> str:
    """Text with its dates and numbers masked, blanks squeezed."""
    text = re.sub(r"\(20\d\d-\S+Z\)", "(DATE)", text)
    return re.sub(r" +", " ", re.sub(r"[+-]?\d[\d.,]*", "#", text))


def test_explain_says_what_binds_what_more_buys_what_comes_second_and_how_old_it_is(made: Path) -> None:
    done = ttamer("explain", "plan.yaml")
    assert done.exit_code == 0
    text = done.stdout
    assert blank(text.split("\n\n")[0]).startswith("Plan for p# <= # ms at # rps: optimal, objective #\nBinding: ")
    assert re.search(r"^core budget +3 cores +3 cores +0 cores +yes$", text, re.MULTILINE)
    assert re.search(r"^SLO +\S+ ms +200 ms +\S+ \S+ +(yes|no)$", text, re.MULTILINE)
    assert re.search(r"^this plan +0\.\d{4} +\d\d\.\d % +3 +\S+ ms$", text, re.MULTILINE)
    assert re.search(r"^SLO 220 ms +(\+0\.\d{4}|same) ", text, re.MULTILINE)
    assert re.search(r"^rate 165 rps +(-0\.\d{4}|same|no plan) ", text, re.MULTILINE)
    assert re.search(r"^core budget 4 cores +(\+0\.\d{4}|same) ", text, re.MULTILINE)
    assert re.search(r"^every setting of large +", text, re.MULTILINE)
    assert "Measurements: profile made-up of machine made-up, written 3 days ago (" in text
    assert re.search(r"^large/last-exit +\d+ +noisy +300 +299$", text, re.MULTILINE)


def test_explain_in_json_and_yaml_say_the_same(made: Path) -> None:
    one = json.loads(ttamer("explain", "plan.yaml", "--format", "json").stdout)
    other = yaml.safe_load(ttamer("explain", "plan.yaml", "--format", "yaml").stdout)
    for content in (one, other):
        content["source"].pop("age_s")
    assert one == other
    assert [change["demand"] for change in one["changes"]] == ["SLO", "rate", "core budget"]


def test_explain_refuses_a_plan_for_another_profile_and_a_forged_one(made: Path) -> None:
    make_profile_folder(Path("profiles/other"), make_profile(MODELS, seed=5), {})
    for command in ("explain", "compare"):
        done = ttamer(command, "plan.yaml", "-p", "other")
        assert done.exit_code == 2
        assert "ttamer: this is a plan for another profile: it was made from 'made-up'" in done.stderr
        assert "  try: give the profile it was made from, or plan anew" in done.stderr
    content = load_yaml(Path("plan.yaml"))
    content["promise"]["latency_s"] = 0.001
    write_yaml(Path("plan.yaml"), content)
    for command in ("explain", "compare"):
        done = ttamer(command, "plan.yaml")
        assert done.exit_code == 4
        assert done.stderr.startswith("ttamer: the plan does not hold: promise: latency_s is stated as 0.001, the ")


def test_a_plan_and_its_profile_may_move_together(made: Path) -> None:
    Path("elsewhere").mkdir()
    for name in ("plan.yaml", "profiles"):
        Path(name).rename(Path("elsewhere") / name)
    for command in ("explain", "compare"):
        assert ttamer(command, "elsewhere/plan.yaml").exit_code == 0


def test_compare_sets_the_plan_beside_every_baseline(made: Path) -> None:
    done = ttamer("compare", "plan.yaml", "--out", "beside.parquet")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Planners for p99 <= 200 ms at 150 rps"
    assert lines[1].split() == ["planner", "feasible", "objective", "accuracy", "cores", "latency", "what", "runs"]
    named = [line.split()[0] for line in lines[3:10]]
    assert named == ["ttamer", "FA2-low", "FA2-high", "RIM", "MS+", "VPA+", "static"]
    assert re.fullmatch(r"FA2-high is infeasible: core budget \d+ cores where 3 cores are allowed", lines[10])
    assert done.stderr == "wrote beside.parquet\n"
    table, header = read_table(Path("beside.parquet"), "comparison", 1)
    assert (header["slo_s"], table.column("planner").to_pylist()) == (0.2, named)


def test_no_feasible_baseline_is_better_than_the_plan(made: Path) -> None:
    rows = json.loads(ttamer("compare", "plan.yaml", "--format", "json").stdout)["rows"]
    plan, *others = rows
    assert plan["feasible"]
    feasible = [row for row in others if row["feasible"]]
    assert feasible
    assert all(row["objective"] <= plan["objective"] + 1e-9 for row in feasible)
    assert all(row["latency_s"] <= 0.2 for row in feasible)


@pytest.mark.parametrize("axis", ["slo", "cost"])
def test_pareto_prints_a_table_and_a_plot_and_writes_parquet(axis: str, made: Path) -> None:
    before = Path("plan.yaml").stat().st_mtime_ns
    done = ttamer("plan", "--slo", "200ms", "--rate", "150rps", "--cores", "3", "--pareto", axis)
    assert done.exit_code == 0
    assert done.stdout.startswith("Plans for 150 rps at p99 that no other beats\n")
    assert "accuracy (%)" in done.stdout
    assert done.stderr.startswith("wrote plan.pareto.parquet; ")
    table, header = read_table(Path("plan.pareto.parquet"), "pareto", 1)
    assert header["axis"] == axis
    assert table.num_rows > 1
    assert Path("plan.yaml").stat().st_mtime_ns == before


def test_pareto_in_json_is_plans(made: Path) -> None:
    arguments = ("plan", "--slo", "200ms", "--rate", "150rps", "--cores", "3", "--pareto", "cost", "--format", "json")
    content = json.loads(ttamer(*arguments).stdout)
    assert content["axis"] == "cost"
    assert all(plan["promise"]["cores"] <= 3 for plan in content["plans"])


def test_an_infeasible_service_says_what_conflicts_and_what_would_do(made: Path) -> None:
    done = ttamer("plan", "--slo", "200ms", "--rate", "2000rps", "--cores", "2")
    assert done.exit_code == 3
    assert blank(done.stderr) == (
        "ttamer: no plan serves #rps within #ms at p#: that takes # cores and the budget is #\n"
        " try: lower the rate to #rps or allow # cores\n"
    )
    for pareto in ("slo", "cost"):
        assert ttamer("plan", "--slo", "1ms", "--rate", "2000rps", "--cores", "1", "--pareto", pareto).exit_code == 3


def test_a_floor_in_conflict_is_named(made: Path) -> None:
    done = ttamer("plan", "--slo", "200ms", "--rate", "150rps", "--cores", "1", "--accuracy-floor", "92%")
    assert done.exit_code == 3
    assert "with an accuracy of at least 92%: that takes " in done.stderr
    assert "lower the accuracy floor to 8" in done.stderr
