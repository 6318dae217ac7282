"""Documents that are missing, damaged or of something else, and services that cannot be had."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.e2e.bad_input import (
    LATENCY,
    LOCAL,
    Bad,
    change_column,
    check,
    contents,
    cut_in_half,
    damaged_seconds,
    edit,
    inside,
    measured_again,
    nan_confidence,
    records_column,
    remove,
    write,
)
from tests.e2e.commands import PLAN, PROFILE, ttamer
from ttamer.profiles.shelf import read_profile, records_path, write_profile

SIMULATE = ("simulate", "plan.yaml", "--requests", "500")
PLAN_FILE = Path("plan.yaml")


DOCUMENTS = [
    Bad(
        name="no profile",
        command=(*PLAN, "-p", "absent"),
        says="there is no profile in profiles/absent",
        remedy="run: ttamer profile --quick -p absent",
    ),
    Bad(
        name="a profile without timings",
        command=PLAN,
        spoil=lambda: write_profile(LOCAL, replace(read_profile(LOCAL), latency=())) and None,
        says="profile 'local' holds no finished model on cpu",
        remedy="run: ttamer profile resnet20",
    ),
    Bad(
        name="no plan to simulate",
        command=("simulate", "absent.yaml"),
        says="absent.yaml does not exist",
        remedy="check the path",
    ),
    Bad(
        name="no plan to export",
        command=("export", "absent.yaml"),
        says="absent.yaml does not exist",
        remedy="check the path",
    ),
    Bad(
        name="a plan cut short",
        command=SIMULATE,
        spoil=write(PLAN_FILE, b"format: ttamer/plan\nversion: 1\nservice: {slo_s: 0.2,\n"),
        says="plan.yaml is not valid YAML at line 4: expected the node content, but found '<stream end>'",
        remedy="restore it or write it anew",
    ),
    Bad(
        name="a plan of which half is missing",
        command=SIMULATE,
        spoil=edit(PLAN_FILE, lambda content: content.pop("groups")),
        says="plan.yaml: 'groups' is missing",
        remedy="add it or write the document anew",
    ),
    Bad(
        name="a plan that promises NaN",
        command=SIMULATE,
        spoil=edit(PLAN_FILE, inside("promise", latency_s=float("nan"))),
        says="plan.yaml: promise.latency_s = nan: must be a finite number",
        remedy="correct it and try again",
    ),
    Bad(
        name="a plan whose service is a number",
        command=("export", "plan.yaml"),
        spoil=edit(PLAN_FILE, inside(service=7)),
        says="plan.yaml: service = 7: must be a mapping",
        remedy="correct it and try again",
    ),
    Bad(
        name="a plan of half a replica",
        command=("export", "plan.yaml"),
        spoil=edit(PLAN_FILE, lambda content: content["groups"][0].update(replicas=0.5)),
        says="plan.yaml: groups.0.replicas = 0.5: must be a whole number",
        remedy="correct it and try again",
    ),
    Bad(
        name="a plan with an unknown key",
        command=("export", "plan.yaml"),
        spoil=edit(PLAN_FILE, inside("promise", latencys=1)),
        says="plan.yaml: unknown key 'promise.latencys'",
        remedy="did you mean 'latency_s'?",
    ),
    Bad(
        name="a plan of a newer ttamer",
        command=("export", "plan.yaml"),
        spoil=edit(PLAN_FILE, inside(version=99)),
        says="plan.yaml has version 99 of ttamer/plan; this ttamer reads up to 1",
        remedy="install a newer ttamer",
    ),
    Bad(
        name="some other YAML file",
        command=("export", "plan.yaml"),
        spoil=write(PLAN_FILE, b"replicas: 3\n"),
        says="plan.yaml is not a ttamer document",
        remedy="expected format ttamer/plan",
    ),
    Bad(
        name="a document of another kind",
        command=("simulate", "profiles/local/profile.yaml"),
        says="profiles/local/profile.yaml is a ttamer/profile document",
        remedy="give one of format ttamer/plan",
    ),
    Bad(
        name="a profile cut short",
        command=PLAN,
        spoil=write(LOCAL / "profile.yaml", b"format: ttamer/profile\nversion: 1\nname: [local\n"),
        says="profiles/local/profile.yaml is not valid YAML at line 4: expected ',' or ']', but got '<stream end>'",
        remedy="restore it or write it anew",
    ),
    Bad(
        name="latencies cut short",
        command=PLAN,
        spoil=cut_in_half(LATENCY),
        says="profiles/local/latency.parquet is not a readable Parquet file: ",
        remedy="write it anew",
    ),
    Bad(
        name="latencies that are gone",
        command=PROFILE,
        spoil=remove(LATENCY),
        says="profiles/local/latency.parquet does not exist",
        remedy="check the path",
    ),
    Bad(
        name="a latency of nothing",
        command=PLAN,
        spoil=damaged_seconds,
        says="profiles/local/latency.parquet: ",
        remedy="measure the point again",
    ),
    Bad(
        name="latencies whose batches are words",
        command=PLAN,
        spoil=lambda: change_column(LATENCY, "batch", lambda values: ["a"] * len(values), pa.string()),
        says="profiles/local/latency.parquet: column 'batch' holds string, not int32",
        remedy="write it anew",
    ),
    Bad(
        name="latencies on no cores",
        command=PLAN,
        spoil=lambda: change_column(LATENCY, "cores", lambda values: [None] * len(values)),
        says="profiles/local/latency.parquet: column 'cores' has empty cells",
        remedy="write it anew",
    ),
    Bad(
        name="accuracies that are no fractions",
        command=PLAN,
        spoil=lambda: change_column(LOCAL / "accuracy.parquet", "accuracy", lambda values: [1.7, *values[1:]]),
        says="profiles/local/accuracy.parquet: accuracy 1.7 of 'resnet20' at exit 0 lies outside 0 to 1",
        remedy="measure it anew",
    ),
    Bad(
        name="records cut short",
        command=PLAN,
        spoil=cut_in_half(records_path(LOCAL, "resnet20", "validation")),
        says="profiles/local/records/resnet20.validation.parquet is not a readable Parquet file: ",
        remedy="write it anew",
    ),
    Bad(
        name="records that hold NaN",
        command=PLAN,
        spoil=nan_confidence,
        says="exit records of 'resnet20' (calibration): confidence_NK holds NaN or infinity",
        remedy="fit the heads again",
    ),
    Bad(
        name="records without a label",
        command=PLAN,
        spoil=records_column("label", lambda values: [None, *values[1:]]),
        says="profiles/local/records/resnet20.calibration.parquet: column 'label' has empty cells",
        remedy="record every exit of every sample",
    ),
    Bad(
        name="records whose labels are words",
        command=PLAN,
        spoil=records_column("label", lambda values: ["cat"] * len(values), pa.string()),
        says="profiles/local/records/resnet20.calibration.parquet holds other values than records do: ",
        remedy="write it anew",
    ),
    Bad(
        name="records of one class",
        command=PLAN,
        spoil=records_column("label", lambda values: [3] * len(values)),
        says="the calibration records of 'resnet20' hold one class only, 3: any exit may be right by chance",
        remedy="record samples of two classes or more",
    ),
    Bad(
        name="a plan as a service file",
        command=("plan", "plan.yaml"),
        says="plan.yaml is a ttamer/plan document",
        remedy="give a service file: `slo: 200ms` and `rate: 20rps`",
    ),
    Bad(
        name="a table as a service file",
        command=("plan", "plan.parquet"),
        says="plan.parquet is no text in UTF-8: byte ",
        remedy="give a YAML file, saved as UTF-8",
    ),
    Bad(
        name="a service file with a key in the wrong place",
        command=("plan", "service.yaml"),
        spoil=write(Path("service.yaml"), b"slo: 2s\nrate: 5rps\nmodels: [resnet20]\n"),
        says="service.yaml: unknown key 'models'",
        remedy="write it under 'stages'",
    ),
    Bad(
        name="the file of a profile as a profile",
        command=(*PLAN, "-p", "profiles/local/profile.yaml"),
        says="there is no profile in profiles/local/profile.yaml",
        remedy="a profile is a folder: give profiles/local",
    ),
    Bad(
        name="a plan for a profile that was measured again",
        command=SIMULATE,
        spoil=measured_again,
        says="the plan was made from other measurements of resnet20 than profile 'local' holds",
        remedy="plan anew on profile 'local'",
    ),
    Bad(
        name="a plan for another machine",
        command=SIMULATE,
        spoil=edit(PLAN_FILE, inside("profile", machine="0123456789ab")),
        says="the plan was made for machine 0123456789ab, profile 'local' is of ",
        remedy="plan anew on profile 'local'",
    ),
    Bad(
        name="a profile of another machine",
        command=PROFILE,
        spoil=edit(LOCAL / "profile.yaml", inside("machine", fingerprint="0123456789ab")),
        says="profiles/local was measured on machine 0123456789ab (",
        remedy="measure under another name: --profile NAME",
    ),
]


@pytest.mark.parametrize("bad", [*DOCUMENTS], ids=lambda bad: bad.name)
def test_is_refused_plainly_and_nothing_is_written(bad: Bad, here: Path) -> None:
    check(bad, here)


def test_an_impossible_slo_names_the_nearest_possible_one(here: Path) -> None:
    before = contents(here)
    done = ttamer("plan", "--slo", "10us", "--rate", "5rps")
    assert done.exit_code == 3
    assert done.stderr.startswith(
        "ttamer: no plan serves 5rps within 0.01ms at p99: the SLO is too tight for any model, the fastest "
    )
    assert contents(here) == before
    slo = done.stderr.partition("try: raise the SLO to ")[2].split()[0].rstrip(",;")
    assert ttamer("plan", "--slo", slo, "--rate", "5rps").exit_code == 0


def test_an_impossible_rate_names_the_nearest_possible_one(here: Path) -> None:
    before = contents(here)
    command = ("plan", "--slo", "100ms", "--cores", "1", "--rate")
    done = ttamer(*command, "500000rps")
    assert done.exit_code == 3
    assert done.stderr.startswith("ttamer: no plan serves 500000rps within 100ms at p99: ")
    assert contents(here) == before
    rate = done.stderr.partition("lower the rate to ")[2].split()[0].rstrip(",;")
    assert ttamer(*command, rate).exit_code == 0
