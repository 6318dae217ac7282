"""Records that others wrote, through the commands: compared, put on the shelf, planned and simulated, or refused."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.e2e.commands import ttamer
from tests.synthetic_records import plausible_records
from ttamer.exits.policies import ORACLES, POLICIES
from ttamer.exits.record_comparison import CHOSEN
from ttamer.profiles.plan import Plan

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "records.md").read_text()
COMMANDS = re.findall(r"^\$ ttamer (.+)$", DOCUMENT, re.MULTILINE)
HEADER = "Sample_ID,Exit,Confidence,Prediction,Label\n"


def long_rows(samples: int = 400, exits: int = 4) -> list[str]:
    records = plausible_records(0, samples, exits)
    return [
        f"{n},{k},{records.confidence_NK[n, k]:.6f},{records.prediction_NK[n, k]},{records.label_N[n]}"
        for n in range(samples)
        for k in range(exits)
    ]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a long CSV file of 400 samples and four exits."""
    monkeypatch.chdir(tmp_path)
    Path("answers.csv").write_text(HEADER + "\n".join(long_rows()))
    return tmp_path


def test_the_documented_commands_compare_plan_and_simulate(answers: Path) -> None:
    assert len(COMMANDS) == 5
    said = []
    for command in COMMANDS:
        done = ttamer(*shlex.split(command))
        assert done.exit_code == 0, done.stderr
        said.append(done)
    assert "Exits of bert12 (160 calibration, 120 validation, 120 test), read as long-csv" in said[1].stdout
    assert "next: ttamer compare --records bert12 -p sst2" in said[1].stderr
    assert "Costs: given: 0.6ms+0.1ms." in said[2].stdout
    assert Plan.read(Path("plan.yaml")).groups[0].model == "bert12"
    policies = [row["policy"] for row in pq.read_table("policies.parquet").to_pylist()]
    assert policies == [*POLICIES, CHOSEN, *ORACLES]


def test_the_table_and_the_plot_show_every_policy_once(answers: Path) -> None:
    done = ttamer("compare", "--records", "answers.csv")
    assert done.exit_code == 0, done.stderr
    assert "uniform, as none were given (--costs): every stage takes 1 ms and its head nothing" in done.stdout
    table = [line for line in done.stdout.splitlines() if re.match(r"[a-z]  [a-z-]+ +\d", line)]
    missing = re.search(r"No setting is sure enough .*: (.*)\.", done.stdout)
    left_out = missing[1].split(", ") if missing else []
    assert {line.split()[1] for line in table} | set(left_out) == {*POLICIES, CHOSEN, *ORACLES}
    assert "mean latency (ms)" in done.stdout
    assert "Chosen: " in done.stdout


def test_json_holds_the_same_comparison_for_the_same_seed(answers: Path) -> None:
    one, other = (ttamer("compare", "--records", "long-csv:answers.csv", "--format", "json") for _ in range(2))
    content = json.loads(one.stdout)
    assert one.stdout == other.stdout
    assert content["samples"] == {"calibration": 160, "validation": 120, "test": 120}
    found = {row["policy"]: row["found"] for row in content["rows"]}
    assert found["last-exit"]["drop"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert (
        json.loads(ttamer("compare", "--records", "answers.csv", "--format", "json", "--seed", "1").stdout) != content
    )


def test_records_of_our_own_are_compared_as_they_are_split(answers: Path) -> None:
    assert ttamer("fit", "toy", "--import", "answers.csv", "-p", "mine").exit_code == 0
    kept = Path("kept")
    Path("profiles/mine/records").rename(kept)
    for place in ("kept", "kept/toy"):
        done = ttamer("compare", "--records", place, "--costs", "2ms,3ms,4ms,5ms", "--format", "json")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["model"] == "toy"


def test_models_of_one_data_set_are_imported_side_by_side(answers: Path) -> None:
    assert ttamer("fit", "all", "--import", "answers.csv", "-p", "two").exit_code == 0
    assert ttamer("fit", "short", "--import", "answers.csv", "--exits", "0,1", "-p", "two").exit_code == 0
    done = ttamer("plan", "--slo", "50ms", "--rate", "10rps", "-p", "two")
    assert done.exit_code == 0, done.stderr
    again = ttamer("fit", "all", "--import", "answers.csv", "-p", "two")
    assert again.exit_code == 2
    assert "holds 'all' already, and an import overwrites nothing" in again.stderr


def test_services_cost_what_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = plausible_records(3, 300, 2)
    Path("services").mkdir()
    Path("services/meta.csv").write_text("Index,name,Cost,label number\n7,dear,15,2\n100,cheap,0.01,2\n")
    for k, index in enumerate(("100", "7")):
        for name, values in (
            ("Confidence", records.confidence_NK[:, k]),
            ("PredictedLabel", records.prediction_NK[:, k]),
            ("TrueLabel", records.label_N),
        ):
            Path(f"services/Model{index}_{name}.txt").write_text("\n".join(map(str, values)))
    done = ttamer("fit", "pair", "--import", "services", "--costs", "prices", "-p", "services", "--format", "json")
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["name"], row["stage_s"], row["head_s"]) for row in rows] == [("cheap", 0, 1e-5), ("dear", 0, 0.015)]
    compared = json.loads(ttamer("compare", "--records", "pair", "-p", "services", "--format", "json").stdout)
    last = next(row for row in compared["rows"] if row["policy"] == "last-exit")
    assert last["found"]["mean_s"]["value"] == pytest.approx(0.015, rel=1e-6)


def test_a_single_exit_is_taken_at_its_word_about_the_costs_of_a_file(answers: Path) -> None:
    Path("costs.csv").write_text("stage_s,head_s\n0.001,0.0001\n0.002,0.0001\n0.003,0.0001\n0.004,0\n")
    done = ttamer("compare", "--records", "answers.csv", "--costs", "costs.csv", "--format", "json")
    last = next(row for row in json.loads(done.stdout)["rows"] if row["policy"] == "last-exit")
    assert last["found"]["p99_s"]["value"] == pytest.approx(0.010)


def spoiled(change: Callable[[list[str]], list[str]]) -> Callable[[], None]:
    return lambda: Path("bad.csv").write_text(HEADER + "\n".join(change(long_rows(40)))) and None


@pytest.mark.parametrize(
    ("spoil", "arguments", "said"),
    [
        (spoiled(lambda rows: ["0,0,nan,1,1", *rows[1:]]), (), "bad.csv: Confidence holds NaN or infinity"),
        (spoiled(lambda rows: [row for row in rows if row.split(",")[1] == "0"]), (), "have one exit"),
        (spoiled(lambda rows: [row[:-1] + "1" for row in rows]), (), "hold one class only, 1"),
        (spoiled(lambda rows: [*rows, rows[0]]), (), "has sample 0 at exit 0 twice"),
        (spoiled(lambda rows: rows[1:]), (), "159 rows for 40 samples and 4 exits"),
        (spoiled(lambda rows: ["0,0,0.5,1,1", "0,1,0.5,1,0", *rows[2:]]), (), "labels sample 0 in two ways"),
        (spoiled(lambda rows: rows), ("--costs", "1ms,2ms"), "costs of 2 stages for 4 exits"),
        (spoiled(lambda rows: rows), ("--costs", "5"), "--costs '5' has no unit"),
        (spoiled(lambda rows: rows), ("--costs", "prices"), "tell no prices"),
        (spoiled(lambda rows: rows), ("--exits", "0,9"), "name some of 0 to 3"),
        (spoiled(lambda rows: rows), ("--exits", "one"), "--exits 'one' is not a list of whole numbers"),
        (spoiled(lambda rows: rows), ("--max-drop", "1"), "--max-drop '1' is not a percentage"),
        (lambda: Path("bad.csv").write_text("a,b\n1,2\n") and None, (), "bad.csv holds records in no known layout"),
    ],
)  # fmt: skip
def test_bad_records_are_refused_by_name(
    answers: Path, spoil: Callable[[], None], arguments: tuple[str, ...], said: str
) -> None:
    spoil()
    done = ttamer("compare", "--records", "bad.csv", *arguments)
    assert done.exit_code == 2, done.stdout
    assert said in done.stderr
    if "--max-drop" not in arguments:
        done = ttamer("fit", "bad", "--import", "bad.csv", *arguments, "-p", "bad")
        assert done.exit_code == 2, done.stdout
        assert said in done.stderr
        assert not Path("profiles").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare",), "nothing to compare"),
        (("compare", "plan.yaml", "--records", "toy"), "plan.yaml and --records toy are two comparisons"),
        (("compare", "--records", "long-cvs:answers.csv"), "did you mean 'long-csv'"),
        (("compare", "--records", "nowhere.csv"), "there is nothing at nowhere.csv"),
        (("compare", "--records", "frugalml:answers.csv"), "cannot be read"),
        (("compare", "--records", "nowhere"), "there is no profile"),
        (("fit", "toy", "--import", "nowhere.csv"), "there is nothing at nowhere.csv"),
        (("fit", "toy", "--import", "long-cvs:answers.csv"), "did you mean 'long-csv'"),
        (("fit", "toy", "--costs", "1ms"), "--costs and --exits are for --import"),
    ],
)
def test_what_cannot_be_compared_or_imported_says_why(answers: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ttamer(*arguments)
    assert done.exit_code == 2, done.stdout
    assert said in done.stderr


def test_splits_that_share_samples_and_splits_of_another_model_are_refused(answers: Path) -> None:
    assert ttamer("fit", "toy", "--import", "answers.csv", "-p", "mine").exit_code == 0
    folder = Path("profiles/mine/records")
    test = plausible_records(0, 50, 4, split="test")
    for records, said in (
        (replace(test, model="toy", dataset="answers"), "share"),
        (
            replace(test, model="other"),
            "'other' with 4 exits and the calibration records of 'toy' with 4 are not of one",
        ),
    ):
        records.write(folder / "toy.test.parquet")
        done = ttamer("compare", "--records", str(folder))
        assert done.exit_code == 2, done.stdout
        assert said in done.stderr, said


@pytest.mark.parametrize(
    "place",
    [
        "no_licence_stated/div290_bert12_sst2dev/df.csv",
        *(f"licensed/frugalml/{name}" for name in ("FERPLUS", "IMDB", "YELP", "AUDIOMNIST")),
        *(
            f"licensed/streaming_model_cascades/{name}.csv"
            for name in ("SST2_68221", "IMDB_50000", "ARXIV_56180", "BOOLQ_P0_12697", "MMLU_5K")
        ),
    ],
)
def test_every_real_set_is_imported_as_it_stands(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = shared / "data" / "exits" / place
    if not path.exists():
        pytest.skip(f"needs {path}")
    monkeypatch.chdir(tmp_path)
    done = ttamer("fit", "real", "--import", str(path), "-p", "real", "--format", "json")
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert len(rows) in (2, 4, 12)
    assert all(np.isfinite(row["accuracy_test"]) for row in rows)
    splits = ("calibration", "validation", "test")
    sizes = [pq.read_metadata(f"profiles/real/records/real.{split}.parquet").num_rows for split in splits]
    assert sum(sizes) > 800


def test_a_plan_with_given_times_says_so_and_names_no_samples(answers: Path) -> None:
    assert ttamer("fit", "toy", "--import", "answers.csv", "-p", "mine").exit_code == 0
    done = ttamer("plan", "--slo", "50ms", "--rate", "10rps", "-p", "mine")
    assert done.exit_code == 0, done.stderr
    assert "times of toy were given, not measured: constants, of which nobody knows the tail" in done.stdout
    assert "samples a point" not in done.stdout
    assert ttamer("explain", "plan.yaml").exit_code == 0
