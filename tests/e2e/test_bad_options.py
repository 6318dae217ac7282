"""Names, quantities and places that make no sense: one sentence, one remedy, nothing written."""

from pathlib import Path

import pytest

from tests.e2e.bad_input import Bad, check, contents, write
from tests.e2e.commands import PLAN, PROFILE, ttamer
from ttamer.exits.catalog import known_names
from ttamer.exits.policies import POLICIES
from ttamer.profiling.machine import allowed_cpus

SIMULATE = ("simulate", "plan.yaml", "--requests", "500")
FIT_NEW = ("fit", "resnet20", "-p", "new")
CPUS = len(allowed_cpus())
MODELS = ", ".join(sorted(known_names()))
KINDS = ", ".join(sorted(POLICIES))


NAMES = [
    Bad(
        name="a model nobody knows",
        command=("profile", "resnet19"),
        says="unknown model 'resnet19'",
        remedy=f"did you mean 'resnet18'? known: {MODELS}, or a local Hugging Face folder",
    ),
    Bad(
        name="a model nobody knows, to be fitted",
        command=("fit", "alexnet", "-p", "new"),
        says="unknown model 'alexnet'",
        remedy=f"known: {MODELS}, or a local Hugging Face folder",
    ),
    Bad(
        name="a model that was not measured",
        command=("plan", "--slo", "1s", "--models", "resnet18"),
        says="unknown model 'resnet18' in profile 'local'",
        remedy="did you mean 'resnet20'? known: resnet20",
    ),
    Bad(
        name="a policy nobody knows",
        command=(*PLAN, "--policies", "dynamic-indices"),
        says="unknown exit policy 'dynamic-indices'",
        remedy=f"did you mean 'dynamic-index'? known: {KINDS}",
    ),
    Bad(
        name="an export target nobody knows",
        command=("export", "plan.yaml", "--to", "helm"),
        says="unknown export target 'helm'",
        remedy="known: kubernetes, parquet, yaml",
    ),
    Bad(
        name="an arrival process nobody knows",
        command=(*SIMULATE, "--arrivals", "weekly"),
        says="unknown arrival process 'weekly'",
        remedy="known: bursty, constant, poisson",
    ),
    Bad(
        name="a kind of head that reads texts",
        command=(*FIT_NEW, "--head", "cls"),
        says="unknown head 'cls' for 'resnet20'",
        remedy="known: gap, pool4",
    ),
    Bad(
        name="a verdict nobody knows",
        command=(*PROFILE, "--remeasure", "busy"),
        says="unknown verdict 'busy'",
        remedy="known: contended, noisy, ok, throttled",
    ),
    Bad(
        name="no policies at all",
        command=(*PLAN, "--policies", ","),
        says="--policies ',' names nothing",
        remedy="write it like dynamic-index,no-recall",
    ),
]

QUANTITIES = [
    Bad(
        name="an SLO without unit",
        command=("plan", "--slo", "200"),
        says="--slo '200' has no unit",
        remedy="write it like 200ms or 1.5s; units: ns, us, ms, s, m, min, h",
    ),
    Bad(
        name="an SLO of an unknown unit",
        command=("plan", "--slo", "200msec"),
        says="--slo '200msec' has the unknown unit 'msec'",
        remedy="write it like 200ms or 1.5s; units: ns, us, ms, s, m, min, h",
    ),
    Bad(
        name="an SLO that is no number",
        command=("plan", "--slo", "fast"),
        says="--slo 'fast' is not a number with a unit",
        remedy="write it like 200ms or 1.5s",
    ),
    Bad(
        name="an SLO of zero",
        command=("plan", "--slo", "0ms"),
        says="--slo '0ms' must be above zero",
        remedy="write it like 200ms or 1.5s",
    ),
    Bad(
        name="an SLO below zero",
        command=("plan", "--slo=-5ms"),
        says="--slo '-5ms' must be above zero",
        remedy="write it like 200ms or 1.5s",
    ),
    Bad(
        name="an SLO without end",
        command=("plan", "--slo", "1e999s"),
        says="--slo '1e999s' is too large",
        remedy="write it like 200ms or 1.5s",
    ),
    Bad(
        name="a rate without unit",
        command=("plan", "--slo", "1s", "--rate", "20"),
        says="--rate '20' has no unit",
        remedy="write it like 20rps; units: rps, /s, rpm, /min",
    ),
    Bad(
        name="a quantile without unit",
        command=("plan", "--slo", "1s", "--quantile", "99"),
        says="--quantile '99' is not a percentage",
        remedy="write it like 99% or 0.999",
    ),
    Bad(
        name="a quantile that nothing reaches",
        command=("plan", "--slo", "1s", "--quantile", "100%"),
        says="--quantile '100%' must lie between 0% and 100%",
        remedy="write it like 99% or 0.999",
    ),
    Bad(
        name="a drop of more than everything",
        command=("plan", "--slo", "1s", "--max-drop", "101%"),
        says="--max-drop '101%' lies outside 0% to 100%",
        remedy="write it like 1% or 0.01",
    ),
    Bad(
        name="a batch of nothing",
        command=("profile", "resnet20", "--batches", "0,1"),
        says="--batches '0,1' must be distinct numbers above zero",
        remedy="write it like 1,2,4,8",
    ),
    Bad(
        name="no batches",
        command=("profile", "resnet20", "--batches", ""),
        says="--batches '' is not a list of whole numbers",
        remedy="write it like 1,2,4,8",
    ),
    Bad(
        name="a model twice",
        command=("profile", "resnet20", "resnet20"),
        says="models resnet20 were given twice",
        remedy="give each once",
    ),
    Bad(
        name="batches that are no numbers",
        command=("profile", "resnet20", "--batches", "one"),
        says="--batches 'one' is not a list of whole numbers",
        remedy="write it like 1,2,4,8",
    ),
    Bad(
        name="more cores than there are",
        command=("profile", "resnet20", "--cores", "4096"),
        says=f"4096 cores were asked for; this process may use 1 to {CPUS}",
        remedy=f"give --cores within 1 to {CPUS}, or allow the process more CPUs",
    ),
    Bad(
        name="the length of texts for a model of images",
        command=("profile", "resnet20", "--tokens", "64"),
        says="'resnet20' reads images",
        remedy="leave --tokens out",
    ),
]

PLACES = [
    Bad(
        name="a plan beneath a file",
        command=(*PLAN, "--out", "plan.parquet/plan.yaml"),
        says="plan.parquet/plan.yaml cannot be written: a part of its path is a file",
        remedy="choose another folder",
    ),
    Bad(
        name="a plan over a folder",
        command=(*PLAN, "--out", "profiles"),
        says="profiles is a folder",
        remedy="give the path of a file",
    ),
    Bad(
        name="a demo in a file",
        command=("demo", "--out", "plan.yaml"),
        says="--out plan.yaml cannot be a folder: File exists",
        remedy="choose another path",
    ),
    Bad(
        name="a plan where its table would lie",
        command=(*PLAN, "--out", "other.parquet"),
        says="other.parquet is where the plan's table would lie",
        remedy="give other.yaml",
    ),
    Bad(
        name="a plan over a profile",
        command=(*PLAN, "--out", "profiles/local/profile.yaml"),
        says="profiles/local/profile.yaml is a ttamer/profile document, which a ttamer/plan must not overwrite",
        remedy="give another path, or remove that file",
    ),
    Bad(
        name="a plan over its service file",
        command=("plan", "service.yaml", "--out", "service.yaml"),
        spoil=write(Path("service.yaml"), b"slo: 2s\nrate: 5rps\n"),
        says="service.yaml is no ttamer document, which a ttamer/plan must not overwrite",
        remedy="give another path, or remove that file",
    ),
    Bad(
        name="a simulation over a profile",
        command=(*SIMULATE, "--out", "profiles/local/profile.yaml"),
        says="profiles/local/profile.yaml is a ttamer/profile document, which a ttamer/simulation must not overwrite",
        remedy="give another path, or remove that file",
    ),
    Bad(
        name="a frontier over measurements",
        command=("frontier", "resnet20", "--out", "profiles/local/latency.parquet"),
        says="profiles/local/latency.parquet is a ttamer/latency document, which a ttamer/policy-frontier must not "
        "overwrite",
        remedy="give another path, or remove that file",
    ),
    Bad(
        name="a profile beneath a file",
        command=("fit", "resnet20", "--size", "8", "--max-fit", "20", "-p", "plan.yaml/new"),
        says="plan.yaml/new/records/resnet20.calibration.parquet cannot be written: a part of its path is a file",
        remedy="choose another folder",
    ),
    Bad(
        name="a simulation over its plan",
        command=(*SIMULATE, "--out", "plan.yaml"),
        says="this would overwrite plan.yaml, which it reads",
        remedy="give another --out",
    ),
    Bad(
        name="an export over its plan",
        command=("export", "plan.yaml", "--out", "."),
        says="this would overwrite plan.yaml, which it reads",
        remedy="give another --out",
    ),
    Bad(
        name="a profile without a name",
        command=(*PROFILE, "-p", ""),
        says="'' names no profile",
        remedy="give a name (local) or a folder (./here/local)",
    ),
    Bad(
        name="the folder above as a profile",
        command=(*PROFILE, "-p", ".."),
        says="'..' names no profile",
        remedy="give a name (local) or a folder (./here/local)",
    ),
]


@pytest.mark.parametrize("bad", [*NAMES, *QUANTITIES, *PLACES], ids=lambda bad: bad.name)
def test_is_refused_plainly_and_nothing_is_written(bad: Bad, here: Path) -> None:
    check(bad, here)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("plan",), "Missing option '--slo'"),
        (("simulate",), "missing argument 'PLAN'"),
        (
            ("plan", "--slo", "1s", "--cores", "0"),
            "invalid value for '--cores' '0': must be greater than or equal to 1",
        ),
        (("plan", "--slo", "1s", "--cores", "1.5"), "invalid value for '--cores' '1.5': must be a valid integer"),
        (("simulate", "plan.yaml", "--requests", "1"), "invalid value for '--requests' '1': must be greater than"),
        (("plan", "--slo", "1s", "--verify-clock", "triton"), "without --verify-by-simulation"),
        (("profile", "--sizes", "8"), "no such option: --sizes"),
        (("plann",), "no such command 'plann'"),
    ],
)
def test_a_command_that_makes_no_sense_exits_with_2(command: tuple[str, ...], complaint: str, here: Path) -> None:
    before = contents(here)
    done = ttamer(*command)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert contents(here) == before
