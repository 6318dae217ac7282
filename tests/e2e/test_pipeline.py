"""The five commands on a small ResNet and handwritten digits: what they print, write and leave alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.commands import FIT, PLAN, PROFILE, Pipeline, pictures, ttamer
from ttamer.profiles.documents import read_table, read_yaml, write_yaml
from ttamer.profiles.plan import Plan
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import heads_path, journal_path, read_profile, records_path, weights_path, write_profile
from ttamer.profiles.simulation import SimulationReport

LOCAL = Path("profiles/local")
PARTS, BATCHES = 1 + 9 + 9, 2  # the whole, nine stages, nine heads of resnet20; batches 1 and 2
ROOT = Path(__file__).resolve().parents[2]


def promise_more(path: Path, **promises: float) -> None:
    """Edit the promise in a plan as one would by hand."""
    content = yaml.safe_load(path.read_text())
    content["promise"] |= promises
    write_yaml(path, content)


def test_fit_reports_every_exit_and_writes_weights_heads_and_records(pipeline: Pipeline, here: Path) -> None:
    assert pipeline.fit.exit_code == 0
    assert "Backbone resnet20: " in pipeline.fit.stdout
    assert "Exits of resnet20 on digits (268 calibration, 272 validation, 357 test)" in pipeline.fit.stdout
    assert "wrote profiles/local; next: ttamer profile resnet20\n" in pipeline.fit.stderr
    assert weights_path(LOCAL, "resnet20").is_file()
    assert heads_path(LOCAL, "resnet20").is_file()
    test = ExitRecords.read(records_path(LOCAL, "resnet20", "test"))
    assert (test.model, test.dataset, test.split, test.samples, test.exits) == ("resnet20", "digits", "test", 357, 9)
    rows = [row for row in read_profile(LOCAL).accuracy if row.split == "test"]
    assert [row.accuracy for row in rows] == pytest.approx(test.accuracy_K().tolist())


def test_profile_measures_every_part_once_and_keeps_what_fit_wrote(pipeline: Pipeline, here: Path) -> None:
    assert pipeline.profile.exit_code == 0
    assert pipeline.profile.stdout.startswith("Profile 'local' on ")
    assert "wrote profiles/local; next: ttamer plan --slo 200ms\n" in pipeline.profile.stderr
    assert not journal_path(LOCAL).exists()
    profile = read_profile(LOCAL)
    assert len(profile.latency) == BATCHES * PARTS
    assert profile.spec("resnet20").input_shape == (3, 8, 8)
    assert {row.source for row in profile.accuracy} == {"measured"}


def test_plan_needs_nothing_but_an_slo_after_profile(pipeline: Pipeline, here: Path) -> None:
    done = ttamer("plan", "--slo", "2s")
    assert done.exit_code == 0
    assert done.stdout.startswith("Plan for p99 <= 2.00 s at 1 rps on ")
    assert "\nPromise: p99 " in done.stdout
    assert "wrote plan.yaml, plan.parquet; next: ttamer simulate plan.yaml\n" in done.stderr


def test_the_plan_reads_back_with_its_groups_beside_it(pipeline: Pipeline, here: Path) -> None:
    assert pipeline.plan.exit_code == 0
    plan = Plan.read(Path("plan.yaml"))
    assert plan.service.slo_s == 2.0
    assert plan.service.rate_rps == 5.0
    assert plan.promise.latency_s <= 2.0
    assert {group.model for group in plan.groups} == {"resnet20"}
    groups, header = read_table(Path("plan.parquet"), "plan-groups", 1)
    assert groups["policy"].to_pylist() == [group.policy for group in plan.groups]
    assert header["provenance"]["inputs"] == read_yaml(Path("plan.yaml"), "plan", 1)["provenance"]["inputs"]


def test_simulate_sets_promises_beside_observations(here: Path) -> None:
    done = ttamer("simulate", "plan.yaml", "--requests", "2000", "--no-fail")
    assert done.exit_code == 0
    assert done.stdout.startswith("2,000 poisson requests at 5 rps (seed 0)\n")
    assert "latency at p99" in done.stdout
    assert (
        "wrote simulation.yaml, simulation.requests.parquet, simulation.timeline.parquet;"
        " next: ttamer export plan.yaml --to kubernetes" in done.stderr
    )
    report = SimulationReport.read(Path("simulation.yaml"))
    assert report.requests == 2000
    assert {check.name for check in report.checks} >= {"latency at p99", "accuracy"}
    assert len(read_table(Path("simulation.requests.parquet"), "requests", 2)[0]) == 2000


@pytest.mark.parametrize(("target", "expected"), [("yaml", 1), ("parquet", 1), ("kubernetes", 1)])
def test_export_writes_the_files_that_it_names(here: Path, target: str, expected: int) -> None:
    done = ttamer("export", "plan.yaml", "--to", target)
    assert done.exit_code == 0
    assert done.stderr == f"wrote 1 file for {target}\n"
    written = done.stdout.split()
    assert len(written) == expected
    assert sorted(Path("deploy").iterdir()) == sorted(map(Path, written))


def test_an_exported_plan_is_a_plan_and_can_be_simulated_where_it_lies(here: Path) -> None:
    ttamer("export", "plan.yaml", "--to", "yaml", "--out", "some/where")
    exported, original = Plan.read(Path("some/where/plan.yaml")), Plan.read(Path("plan.yaml"))
    assert exported.groups == original.groups
    assert exported.profile.path == "../../profiles/local"
    assert ttamer("simulate", "some/where/plan.yaml", "--requests", "500", "--no-fail").exit_code == 0


def test_kubernetes_manifests_are_valid_yaml(here: Path) -> None:
    (path,) = ttamer("export", "plan.yaml", "--to", "kubernetes").stdout.split()
    kinds = [manifest["kind"] for manifest in yaml.safe_load_all(Path(path).read_text())]
    assert kinds == ["ConfigMap", "Deployment", "Service"]


def test_a_plan_written_elsewhere_names_its_profile_relative_to_itself(here: Path) -> None:
    assert ttamer(*PLAN, "--out", "sub/plan.yaml").exit_code == 0
    assert Plan.read(Path("sub/plan.yaml")).profile.path == "../profiles/local"
    assert ttamer("simulate", "sub/plan.yaml", "--requests", "500", "--no-fail").exit_code == 0


def test_plan_and_profile_can_move_together(here: Path) -> None:
    moved = here.parent / "moved"
    moved.mkdir()
    shutil.move(here / "profiles", moved / "profiles")
    shutil.move(here / "plan.yaml", moved / "plan.yaml")
    done = ttamer("simulate", str(moved / "plan.yaml"), "--requests", "500", "--no-fail")
    assert done.exit_code == 0


def test_a_profile_may_be_named_by_its_folder(here: Path) -> None:
    done = ttamer(*PLAN, "-p", str(here / "profiles" / "local"), "--out", "sub/plan.yaml")
    assert done.exit_code == 0
    assert Plan.read(Path("sub/plan.yaml")).profile.path == "../profiles/local"


def test_the_same_profile_command_measures_nothing_again(pipeline: Pipeline, here: Path) -> None:
    dry = ttamer(*PROFILE, "--dry-run")
    assert dry.exit_code == 0
    first, budget, *table = dry.stdout.splitlines()
    assert first == f"0 points to measure, {BATCHES * PARTS} finished, about 0 s"
    assert budget == "Budget 'quick': 2 processes visit each point"
    assert [line.split() for line in table[2:]] == [
        ["resnet20", "1", str(batch), "0", "0", str(PARTS)] for batch in (1, 2)
    ]
    before = read_profile(LOCAL).latency
    done = ttamer(*PROFILE)
    assert done.exit_code == 0
    assert done.stdout == pipeline.profile.stdout
    assert read_profile(LOCAL).latency == before


def test_points_of_a_bad_verdict_are_measured_again_when_asked(here: Path) -> None:
    profile = read_profile(LOCAL)
    doubted = sum(point.verdict == "noisy" for point in profile.latency)
    dry = ttamer("profile", "resnet20", "--remeasure", "noisy", "--dry-run")
    assert dry.stdout.startswith(f"{doubted} point{'' if doubted == 1 else 's'} to measure, {38 - doubted} finished")


def test_a_plan_on_disturbed_timings_says_how_to_measure_them_again(here: Path) -> None:
    profile = read_profile(LOCAL)
    disturbed = tuple(replace(point, verdict="contended") for point in profile.latency)
    write_profile(LOCAL, replace(profile, latency=disturbed))
    refused = ttamer(*PLAN)
    assert refused.exit_code == 5
    assert refused.stderr == (
        "ttamer: all timings of resnet20 were disturbed (contended): they say more of this machine's other work than "
        "of the models\n  try: when it is quiet: ttamer profile resnet20 --remeasure contended; or plan on them with "
        "--allow-contended\n"
    )
    done = ttamer(*PLAN, "--allow-contended")
    assert done.exit_code == 0
    assert (
        "Note: timings of resnet20 are contended, and the promised latency is as good as they are; "
        "measure again when the machine is quiet: ttamer profile resnet20 --remeasure contended\n"
    ) in done.stdout
    told = ttamer(*PROFILE)
    assert told.stderr.startswith(
        "38 of 38 points contended: other programs used the cores; when the machine is quiet: "
        "ttamer profile resnet20 --remeasure contended\n"
    )
    dry = ttamer("profile", "resnet20", "--remeasure", "contended", "--dry-run")
    assert dry.stdout.startswith("38 points to measure, 0 finished, ")


def test_more_batches_measure_the_new_ones_alone(here: Path) -> None:
    dry = ttamer("profile", "resnet20", "--quick", "--batches", "1,2,4", "--cores", "1", "--dry-run")
    assert dry.stdout.startswith(f"{PARTS} points to measure, {BATCHES * PARTS} finished, about ")


def test_fitting_again_keeps_the_timings(here: Path) -> None:
    before = read_profile(LOCAL).latency
    done = ttamer("fit", "resnet20", "--data", "digits", "--max-fit", "100")
    assert done.exit_code == 0
    assert read_profile(LOCAL).latency == before


def test_fit_says_that_a_random_backbone_has_learned_nothing(here: Path) -> None:
    done = ttamer("fit", "resnet20", "--size", "8", "--max-fit", "50", "-p", "new")
    assert done.exit_code == 0
    assert "Note: the backbone has random weights: give --weights FILE, or --train-backbone\n" in done.stdout
    assert "next: ttamer profile resnet20 -p new\n" in done.stderr


def test_pictures_of_ones_own_train_a_backbone_and_heads(here: Path) -> None:
    pictures("mine", 3, 12)()
    done = ttamer("fit", "resnet20", "--data", "mine", "--size", "8", "--train-backbone", "-p", "own")
    assert done.exit_code == 0
    folder = Path("profiles/own")
    spec = read_profile(folder).spec("resnet20")
    assert (spec.classes, spec.input_shape) == (3, (3, 8, 8))
    assert Path(spec.source) == weights_path(folder, "resnet20").resolve()
    assert sorted(path.name for path in weights_path(folder, "resnet20").parent.iterdir()) == ["resnet20.safetensors"]


def test_a_model_with_trained_weights_is_measured_once(here: Path) -> None:
    weights = ("--weights", "profiles/local/weights/resnet20.safetensors", "--size", "8")
    for named in ((), weights):
        assert ttamer(*PROFILE, *named, "--dry-run").stdout.startswith("0 points to measure, 38 finished")
    before = read_profile(LOCAL).latency
    assert ttamer("fit", "resnet20", "--data", "digits", "--max-fit", "50", *weights).exit_code == 0
    assert read_profile(LOCAL).latency == before
    assert ttamer(*PROFILE, "--dry-run").stdout.startswith("0 points to measure, 38 finished")


def test_a_profile_that_moved_finds_its_weights(here: Path) -> None:
    shutil.move("profiles/local", "elsewhere")
    done = ttamer("profile", "resnet20", "--quick", "--batches", "3", "--cores", "1", "-p", "./elsewhere")
    assert done.exit_code == 0
    assert len(read_profile(Path("elsewhere")).latency) == (BATCHES + 1) * PARTS


FORMATTED = [
    (*FIT[:-1], "-p", "formatted"),
    PROFILE,
    (*PROFILE, "--dry-run"),
    PLAN,
    ("simulate", "plan.yaml", "--requests", "500", "--no-fail"),
]


@pytest.mark.parametrize("command", FORMATTED, ids=lambda command: command[0] + " " + command[-1])
@pytest.mark.parametrize(("name", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_stdout_is_one_document_when_asked(here: Path, command: tuple[str, ...], name: str, parse: Any) -> None:
    done = ttamer(*command, "--format", name)
    assert done.exit_code == 0
    content = parse(done.stdout)
    assert isinstance(content, dict)
    assert content


def test_a_promise_too_good_to_keep_exits_with_4(here: Path) -> None:
    promise_more(Path("plan.yaml"), latency_s=1e-6)
    done = ttamer("simulate", "plan.yaml", "--requests", "1000")
    assert done.exit_code == 4
    assert "broken" in done.stdout
    assert done.stderr.endswith(
        "ttamer: the plan breaks its promise: latency at p99\n"
        "  try: plan with --verify-by-simulation or headroom, or --no-fail\n"
    )
    assert SimulationReport.read(Path("simulation.yaml")).verdict == "broken"


def test_a_broken_promise_is_no_failure_with_no_fail(here: Path) -> None:
    promise_more(Path("plan.yaml"), latency_s=1e-6)
    assert ttamer("simulate", "plan.yaml", "--requests", "1000", "--no-fail").exit_code == 0


def test_the_same_seed_simulates_the_same(here: Path) -> None:
    command = ("simulate", "plan.yaml", "--requests", "1000", "--no-fail", "--format", "json")
    assert ttamer(*command, "--seed", "7").stdout == ttamer(*command, "--seed", "7").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_tables_fit_a_terminal_of_80_columns(here: Path) -> None:
    """In a terminal, tables fit its width, and progress leaves nothing behind in what is printed."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "ttamer", *PLAN], stdout=theirs, stderr=subprocess.PIPE, env=environment, check=True
    )
    os.close(theirs)
    printed = os.read(ours, 1 << 16).decode().splitlines()
    os.close(ours)
    table = printed[: next(number for number, line in enumerate(printed) if line.startswith("Promise"))]
    assert "exit policy" in table[1] or "policy" in table[2]
    assert max(map(len, table)) <= 80
    assert "wrote plan.yaml" in done.stderr.decode()


def test_a_profile_that_was_stopped_is_told_from_none(here: Path) -> None:
    journal_path(Path("profiles/stopped")).parent.mkdir()
    journal_path(Path("profiles/stopped")).touch()
    early = ttamer("plan", "--slo", "1s", "-p", "stopped")
    assert early.exit_code == 2
    assert early.stderr == (
        "ttamer: there is no profile in profiles/stopped (its journal is there: the run was stopped)\n"
        "  try: run the same ttamer profile command again\n"
    )


@pytest.mark.slow
def test_a_killed_profile_goes_on_where_it_was(tmp_path: Path) -> None:
    """Run as users do, in a process of its own, and end it as the kernel does when memory is short."""
    command = [sys.executable, "-m", "ttamer", "profile", "resnet20", "--size", "8", "--quick", "--batches", "1,2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments: dict[str, Any] = {"cwd": tmp_path, "env": environment, "text": True}
    journal = tmp_path / "profiles" / "local" / "journal.jsonl"
    running = subprocess.Popen(
        [*command, "--cores", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **arguments
    )
    deadline = time.monotonic() + 120
    while visits_in(journal) < PARTS and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = visits_in(journal)
    assert kept >= PARTS
    early = subprocess.run([*command[:3], "plan", "--slo", "1s"], capture_output=True, **arguments)
    assert early.stderr == (
        "ttamer: there is no profile in profiles/local (its journal is there: the run was stopped)\n"
        "  try: run the same ttamer profile command again\n"
    )
    dry = subprocess.run([*command, "--cores", "1", "--dry-run"], capture_output=True, check=True, **arguments)
    finished = max(0, kept - 2 * PARTS)  # by both of their processes
    assert dry.stdout.startswith(f"{2 * PARTS - finished} points to measure, {finished} finished, about ")
    lines = journal.read_text().splitlines()
    seconds = [json.loads(line)["row"]["seconds"] for line in lines if '"visit"' in line]
    subprocess.run([*command, "--cores", "1"], capture_output=True, check=True, **arguments)
    profile = read_profile(tmp_path / "profiles" / "local")
    assert len(profile.latency) == 2 * PARTS
    measured = {second for point in profile.latency for second in point.samples.raw_seconds}
    kept_well = [point for point in profile.latency if len(point.samples.counts) == point.evidence["visits"]]
    assert all(set(one) <= measured for one in seconds[: kept - 1]) or len(kept_well) < len(profile.latency)
    assert not journal.exists()


def visits_in(journal: Path) -> int:
    """Finished visits in a journal, a torn last line left out."""
    return journal.read_bytes().count(b'{"kind": "visit"') if journal.is_file() else 0
