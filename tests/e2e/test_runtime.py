"""`ttamer profile MODEL --policy P`: a model that really exits, beside what a plan expects of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.commands import ttamer
from ttamer.exits.evaluate import FittedPolicy
from ttamer.profiles.plan import Plan, PolicySpec
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import records_path

RUN = ("profile", "resnet20", "--data", "digits", "--resize", "--samples", "12", "--quick", "--policy")


def rows(*options: str) -> Any:
    done = ttamer(*RUN, *options, "--format", "json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_kind_of_policy_runs_and_answers_as_its_records_say(here: Path) -> None:
    found = rows("dynamic-index")
    assert [(row["way"], row["batch"]) for row in found["rows"]] == [
        ("exiting", 1), ("whole", 1), ("exiting", 2), ("whole", 2),
    ]  # fmt: skip
    assert all(row["predicted_mean_s"] > 0 and row["measured_mean_s"] > 0 for row in found["rows"])
    assert all(row["measured_p50_s"] <= row["measured_p99_s"] for row in found["rows"])
    first = found["rows"][0]
    assert first["samples"] == 12
    assert first["answers_as_recorded"] >= 11  # a confidence on the edge of a bin may fall to either side
    assert first["stops_as_recorded"] >= 11
    records = ExitRecords.read(records_path(Path("profiles/local"), "resnet20", "test"))
    policy = FittedPolicy.from_spec(PolicySpec.parse(found["policy"], "policy"))
    assert first["recorded_mean_stop"] == pytest.approx(policy.policy.decide(records).stop_N.mean())


def test_predictions_stand_beside_measurements_in_the_table(here: Path) -> None:
    done = ttamer(*RUN, "last-exit", "--batches", "2")
    assert done.exit_code == 0, done.stderr
    title, header, *_ = done.stdout.splitlines()
    assert title == "resnet20 under last-exit on 1 core, per batch of test samples of digits"
    assert "predicted mean" in header
    assert "measured mean" in header
    assert "\nwith exits       2  " in done.stdout
    assert "\nAccuracy: " in done.stdout
    assert "\nAnswers as recorded: 12 of 12; stops as recorded: 12; mean exit 8.00 (records: 8.00)" in done.stdout


def test_the_policy_of_a_plan_is_run(here: Path) -> None:
    plan = Plan.read(Path("plan.yaml"))
    planned = plan.policies[plan.groups[0].policy].model_dump(mode="json")
    run = rows("plan.yaml", "--batches", "1")["policy"]
    assert {**planned, "settings": 0, "assurance": None} == run  # how it was chosen is the plan's to tell


def test_a_policy_in_a_file_of_its_own_is_run(here: Path) -> None:
    Path("policy.yaml").write_text(yaml.safe_dump({"kind": "fixed-exit", "model": "resnet20", "params": {"exit": 3}}))
    assert rows("policy.yaml", "--batches", "1")["rows"][0]["mean_stop"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "resnet20", "--policy", "last-exit"), "a policy is tried out on real samples"),
        (("profile", "--policy", "last-exit"), "--policy last-exit belongs to one model"),
        ((*RUN, "no-recal"), "unknown exit policy 'no-recal'"),
        ((*RUN, "last-exit", "--batches", "4"), "was measured at batches [1, 2] on 1 cpu cores, not up to 4"),
        ((*RUN, "missing.yaml"), "missing.yaml does not exist"),
        ((*RUN, "last-exit", "--samples", "1", "--batches", "2"), "1 samples make no batch of 2"),
    ],
)
def test_what_cannot_be_run_is_said(here: Path, arguments: tuple[str, ...], message: str) -> None:
    done = ttamer(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_policy_without_the_heads_it_was_fitted_on_is_refused(here: Path) -> None:
    Path("profiles/local/heads/resnet20.safetensors").unlink()
    done = ttamer(*RUN, "plan.yaml")
    assert done.exit_code == 2
    assert done.stderr == (
        "ttamer: profiles/local/heads/resnet20.safetensors does not exist, and the policy was fitted on these heads\n"
        "  try: restore it, or fit and plan anew: ttamer fit resnet20\n"
    )


def test_other_data_than_those_of_the_records_are_refused(here: Path) -> None:
    lines = ["text,label", *(f"word{row},{row % 2}" for row in range(40))]
    Path("other.csv").write_text("\n".join(lines))
    done = ttamer("profile", "resnet20", "--data", "other.csv", "--policy", "last-exit")
    assert done.exit_code == 2
    assert "is not the data that the test records of 'resnet20' were made from" in done.stderr
