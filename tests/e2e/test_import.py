"""Planning with numbers that somebody has already: the documented commands, and what goes wrong with them."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.e2e.commands import ttamer
from ttamer.profiles.plan import Plan

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "import.md"
POINTS = re.findall(r"<!-- runs: points.csv -->\n```csv\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
COMMANDS = re.findall(r"^\$ ttamer (.+)$", re.findall(r"<!-- runs -->\n```console\n(.*?)```", DOCUMENT.read_text(),
                      re.DOTALL)[0], re.MULTILINE)  # fmt: skip


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with the document's points imported as profile `mine`."""
    monkeypatch.chdir(tmp_path)
    Path("points.csv").write_text(POINTS)
    done = ttamer("profile", "--import", "points.csv", "-p", "mine")
    assert done.exit_code == 0, done.stderr
    return tmp_path


def test_the_documented_commands_run_and_make_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("points.csv").write_text(POINTS)
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        done = ttamer(*shlex.split(command))
        assert done.exit_code == 0, done.stderr
    plan = Plan.read(Path("plan.yaml"))
    assert [group.stage for group in plan.groups] == ["detect", "classify"]
    assert plan.promise.accuracy_source == "imported"
    assert "imported p99 summaries, not samples" in done.stdout
    assert "next: ttamer export plan.yaml" in done.stderr


def test_what_the_import_suggests_next_runs(mine: Path) -> None:
    done = ttamer("profile", "--import", "points.csv", "-p", "other")
    command = done.stderr.partition("next: ttamer ")[2].strip()
    assert ttamer(*shlex.split(command)).exit_code == 0


def test_a_service_file_is_planned_and_options_override_it(mine: Path) -> None:
    Path("service.yaml").write_text(
        "slo: 500ms\nrate: 20rps\nmix: false\naccuracy_floor: 40%\nlimits: {cores: 16}\nprices: {core_hour: 0.05}\n"
    )
    assert ttamer("plan", "service.yaml", "-p", "mine", "--objective", "cost").exit_code == 0
    cheap = Plan.read(Path("plan.yaml"))
    assert ttamer("plan", "service.yaml", "-p", "mine", "--objective", "accuracy", "--rate", "10rps").exit_code == 0
    accurate = Plan.read(Path("plan.yaml"))
    assert (cheap.service.rate_rps, accurate.service.rate_rps) == (20.0, 10.0)
    assert cheap.service.limits.cores == accurate.service.limits.cores == 16
    assert cheap.promise.cores < accurate.promise.cores
    assert cheap.promise.accuracy is not None
    assert accurate.promise.accuracy is not None
    assert 0.4 <= cheap.promise.accuracy < accurate.promise.accuracy


def test_the_config_shown_asks_for_the_same_plan(mine: Path) -> None:
    command = ("plan", "--slo", "500ms", "--rate", "20rps", "--no-mix", "--budget", "9cores", "--headroom", "10%")
    shown = ttamer(*command, "-p", "mine", "--show-config")
    assert shown.exit_code == 0
    assert not Path("plan.yaml").exists()
    assert [stage["name"] for stage in yaml.safe_load(shown.stdout)["stages"]] == ["detect", "classify"]
    Path("shown.yaml").write_text(shown.stdout)
    assert ttamer(*command, "-p", "mine", "--out", "one.yaml").exit_code == 0
    assert ttamer("plan", "shown.yaml", "-p", "mine", "--out", "two.yaml").exit_code == 0
    assert Plan.read(Path("one.yaml")) == Plan.read(Path("two.yaml"))


def test_money_bounds_a_plan_that_has_prices(mine: Path) -> None:
    Path("service.yaml").write_text("slo: 500ms\nrate: 20rps\nmix: false\nprices: {core_hour: 0.5}\n")
    done = ttamer("plan", "service.yaml", "-p", "mine", "--budget", "1.5/h", "--objective", "accuracy")
    assert done.exit_code == 0, done.stderr
    assert Plan.read(Path("plan.yaml")).promise.cores <= 3
    assert "an hour" in done.stdout


def test_what_runs_already_is_kept_where_loading_counts(mine: Path) -> None:
    command = ("plan", "--slo", "500ms", "--no-mix", "-p", "mine", "--cost-weight", "0.02")
    assert ttamer(*command, "--rate", "5rps", "--out", "now.yaml").exit_code == 0
    Path("service.yaml").write_text("slo: 500ms\nrate: 6rps\nmix: false\nweights: {cost: 0, loading: 10}\n")
    done = ttamer("plan", "service.yaml", "-p", "mine", "--current", "now.yaml")
    assert done.exit_code == 0, done.stderr
    now, then = Plan.read(Path("now.yaml")), Plan.read(Path("plan.yaml"))
    assert {(one.model, one.cores) for one in then.groups} == {(one.model, one.cores) for one in now.groups}
    assert then.solve.objective > 0  # nothing is loaded


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--slo", "500ms", "--rate", "20"), 2, "--rate '20' has no unit"),
        (("--slo", "500ms", "--rate", "0rps"), 2, "--rate '0rps' must be above zero"),
        (("--slo", "500ms", "--memory", "4"), 2, "--memory '4' has no unit"),
        (("--slo", "500ms", "--budget", "4"), 2, "--budget '4' is no budget"),
        (("--slo", "500ms", "--budget", "4/h"), 2, "cpu has no price"),
        (("--slo", "500ms", "--memory", "1GiB"), 2, "memory is limited, but that of"),
        (("--slo", "500ms", "--quantile", "99.9%"), 2, "were imported at p99 and bound no p99.9"),
        (("--slo", "500ms", "--models", "small"), 0, "wrote plan.yaml"),
        (("--slo", "500ms", "--models", "smal"), 2, "did you mean 'small'"),
        (("--slo", "500ms", "--device", "cuda"), 2, "no finished model on cuda"),
        (("--slo", "10ms",), 3, "the SLO is too tight"),
        (("--slo", "500ms", "--accuracy-floor", "99%"), 3, "no plan serves"),
        (("--slo", "500ms", "--rate", "1e9rps", "--cores", "4"), 3, "no plan serves"),
        (("--slo", "500ms", "--solver", "high"), 2, "did you mean 'highs'"),
        (("--slo", "500ms", "--current", "points.csv"), 2, "points.csv"),
        (("nowhere.yaml",), 2, "nowhere.yaml does not exist"),
        ((), 2, "Missing option '--slo'"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_says_why_and_writes_nothing(
    mine: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    done = ttamer("plan", *arguments, "-p", "mine")
    assert done.exit_code == exit_code, done.stderr
    assert said in done.stderr
    assert Path("plan.yaml").exists() is (exit_code == 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--import", "nowhere.csv"), "nowhere.csv does not exist"),
        (("--import", "points.csv", "-p", "mine"), "holds a profile already, and an import overwrites nothing"),
        (("--import", "points.csv", "--import-quantile", "99"), "--import-quantile '99' is not a percentage"),
        (("resnet18", "--import", "points.csv"), "--import takes its models from points.csv"),
        (("resnet18", "-p", "mine"), "was measured on machine imported"),
    ],
)
def test_what_cannot_be_imported_says_why_and_overwrites_nothing(
    mine: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    done = ttamer("profile", *(arguments if "-p" in arguments else (*arguments, "-p", "fresh")))
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_imported_plans_are_exported_and_refused_by_the_simulation(mine: Path) -> None:
    assert ttamer("plan", "--slo", "500ms", "-p", "mine").exit_code == 0
    assert ttamer("export", "plan.yaml", "--to", "kubernetes").exit_code == 0
    done = ttamer("simulate", "plan.yaml")
    assert done.exit_code == 2
    assert "a summary has no samples to simulate" in done.stderr
