"""What is wrong is said in one sentence with a remedy and an exit code, and nothing is written."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from tests.e2e.commands import PLAN, PROFILE, pictures, ttamer
from ttamer.exits.catalog import known_names
from ttamer.exits.policies import POLICIES
from ttamer.profiles.shelf import read_profile, records_path, write_profile
from ttamer.profiling.machine import allowed_cpus

LOCAL = Path("profiles/local")
LATENCY = LOCAL / "latency.parquet"
PLAN_FILE = Path("plan.yaml")
FIT_NEW = ("fit", "resnet20", "-p", "new")
SIMULATE = ("simulate", "plan.yaml", "--requests", "500")
CPUS = len(allowed_cpus())
MODELS = ", ".join(sorted(known_names()))
SOURCES = (
    "cifar10, cifar100, digits, fashionmnist, kmnist, mnist, or a Parquet or CSV file, or a folder of class folders"
)
KINDS = ", ".join(sorted(POLICIES))


def nothing() -> None:
    """Spoil nothing."""


def remove(path: Path) -> Callable[[], None]:
    return path.unlink


def write(path: Path, content: bytes) -> Callable[[], None]:
    def spoil() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return spoil


def cut_in_half(path: Path) -> Callable[[], None]:
    return lambda: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> Callable[[], None]:
    """Change a YAML document as one would by hand."""

    def spoil() -> None:
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return spoil


def inside(*keys: str, **values: object) -> Callable[[dict[str, object]], object]:
    """Set values in a nested mapping."""

    def change(content: dict[str, object]) -> None:
        for key in keys:
            content = content[key]  # type: ignore[assignment]
        content |= values

    return change


def torn_picture() -> None:
    pictures("torn", 10, 32)()
    Path("torn/class0/7.png").write_bytes(b"torn")


def picture_table(path: str, **columns: list[object]) -> Callable[[], None]:
    """A Parquet file of equal pictures and these columns."""

    def spoil() -> None:
        stream = io.BytesIO()
        Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(stream, "PNG")
        rows = max((len(values) for values in columns.values()), default=40)
        pq.write_table(pa.table({"image": [stream.getvalue()] * rows, **columns}), path)

    return spoil


def damaged_seconds() -> None:
    """A latency table of the right form whose first point took no time at all."""
    table = pq.read_table(LATENCY)
    seconds = [[0.0], *table["seconds"].to_pylist()[1:]]
    column = pa.array(seconds, type=table.schema.field("seconds").type)
    pq.write_table(table.set_column(table.schema.get_field_index("seconds"), "seconds", column), LATENCY)


def nan_confidence() -> None:
    path = records_path(LOCAL, "resnet20", "calibration")
    table = pq.read_table(path)
    values = table["confidence"].to_pylist()
    values[0][0] = float("nan")
    column = pa.array(values, type=table.schema.field("confidence").type)
    pq.write_table(table.set_column(table.schema.get_field_index("confidence"), "confidence", column), path)


def measured_again() -> None:
    """The profile with other timings, as after deleting and measuring it again."""
    profile = read_profile(LOCAL)
    slower = tuple(
        replace(point, samples=replace(point.samples, seconds=tuple(2 * s for s in point.samples.seconds)))
        for point in profile.latency
    )
    write_profile(LOCAL, replace(profile, latency=slower))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A command, what is wrong with the folder it runs in, and what it must say."""

    name: str
    command: tuple[str, ...]
    says: str
    remedy: str
    spoil: Callable[[], None] = nothing
    exit_code: int = 2


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
        command=(*SIMULATE, "--arrivals", "bursty"),
        says="unknown arrival process 'bursty'",
        remedy="known: constant, poisson",
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
        says="profiles cannot be written: Is a directory",
        remedy="free some space, or choose another path",
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
        says="this would overwrite the plan plan.yaml",
        remedy="give another --out",
    ),
    Bad(
        name="an export over its plan",
        command=("export", "plan.yaml", "--out", "."),
        says="this would overwrite the plan plan.yaml",
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

WEIGHTS = [
    Bad(
        name="a weights file that is not there",
        command=("profile", "resnet20", "--weights", "absent.safetensors"),
        says="there is no weights file absent.safetensors",
        remedy="give a .safetensors or .pth file, or DEFAULT",
    ),
    Bad(
        name="weights for two models",
        command=("profile", "resnet20", "resnet32", "--weights", "DEFAULT"),
        says="--weights belongs to one model",
        remedy="name that model and profile the others by themselves",
    ),
    Bad(
        name="weights beside training",
        command=(*FIT_NEW, "--train-backbone", "--weights", "profiles/local/weights/resnet20.safetensors"),
        says="--train-backbone makes weights of its own",
        remedy="leave --weights out",
    ),
    Bad(
        name="the weights of another architecture",
        command=("fit", "resnet32", "-p", "new", "--weights", "profiles/local/weights/resnet20.safetensors"),
        says="the weights lack 'layer1.3.bn1.bias' of 'resnet32'",
        remedy="give the weights of this very model",
    ),
    Bad(
        name="weights that are no weights",
        command=("profile", "resnet20", "-p", "new", "--weights", "notes.txt"),
        spoil=write(Path("notes.txt"), b"hello"),
        says="notes.txt is no weights file",
        remedy="allowed endings: .safetensors, .pth, .pt, .bin, .th",
    ),
    Bad(
        name="a pickle that would run code",
        command=("profile", "resnet20", "-p", "new", "--weights", "evil.pth"),
        spoil=write(Path("evil.pth"), b"cos\nsystem\n(S'touch owned'\ntR."),
        says="evil.pth cannot be read as weights: ",
        remedy="store plain tensors",
    ),
    Bad(
        name="a folder without config.json",
        command=("profile", "bert"),
        spoil=write(Path("bert/readme.md"), b"no model here"),
        says="bert is no Hugging Face model folder",
        remedy="give a folder that holds config.json, or one of: " + ", ".join(known_names()),
    ),
    Bad(
        name="a model too large to train",
        command=("fit", "resnet18", "-p", "new", "--train-backbone"),
        says="'resnet18' is too large to be trained here",
        remedy="train one of: resnet20, resnet32, resnet44, resnet56, resnet110",
    ),
]

DATA = [
    Bad(
        name="data nobody knows",
        command=(*FIT_NEW, "--data", "./pictures"),
        says="unknown data source './pictures'",
        remedy=f"known: {SOURCES}",
    ),
    Bad(
        name="a CSV file that is not there",
        command=(*FIT_NEW, "--data", "absent.csv"),
        says="absent.csv does not exist",
        remedy="check the path",
    ),
    Bad(
        name="an empty folder",
        command=(*FIT_NEW, "--data", "empty"),
        spoil=lambda: Path("empty").mkdir(),
        says="empty holds no class folders with images",
        remedy="put images into empty/CLASS/ or empty/train/CLASS/ and empty/test/CLASS/",
    ),
    Bad(
        name="pictures of another size",
        command=(*FIT_NEW, "--data", "small"),
        spoil=pictures("small", 10, 8),
        says="images of 'small' are 8x8 but 'resnet20' takes 32x32",
        remedy="pass --resize to scale them, or --size 8 to take them as they are",
    ),
    Bad(
        name="one class",
        command=(*FIT_NEW, "--data", "alike"),
        spoil=pictures("alike", 1, 32),
        says="'alike' holds one class only",
        remedy="give samples of at least two classes",
    ),
    Bad(
        name="other classes than the model's",
        command=(*FIT_NEW, "--data", "three"),
        spoil=pictures("three", 3, 32),
        says="'three' has 3 classes but 'resnet20' tells 10 apart",
        remedy="give the weights of a model of 3 classes, or train one here (--train-backbone)",
    ),
    Bad(
        name="a picture that is none",
        command=(*FIT_NEW, "--data", "torn"),
        spoil=torn_picture,
        says="image 17 of 'torn' cannot be decoded: cannot identify image file",
        remedy="remove it",
    ),
    Bad(
        name="texts for a model of images",
        command=(*FIT_NEW, "--data", "words.csv"),
        spoil=write(Path("words.csv"), b"text,label\n" + b"good,1\nbad,0\n" * 40),
        says="'resnet20' reads images but 'words' holds texts",
        remedy="give a source of images",
    ),
    Bad(
        name="images for a model of texts",
        command=("fit", "bert-tiny", "-p", "new", "--data", "digits"),
        says="'bert-tiny' reads texts but 'digits' holds images",
        remedy="give a source of texts",
    ),
    Bad(
        name="a missing label in CSV",
        command=(*FIT_NEW, "--data", "gaps.csv"),
        spoil=write(Path("gaps.csv"), b"text,label\n" + b"good,1\nbad,0\n" * 40 + b"which,NaN\n"),
        says="sample 80 of 'gaps' has no label",
        remedy="remove it or fill it in",
    ),
    Bad(
        name="a missing label in Parquet",
        command=(*FIT_NEW, "--data", "gaps.parquet"),
        spoil=picture_table("gaps.parquet", label=[0.0, 1.0, float("nan")]),
        says="sample 2 of 'gaps' has no label",
        remedy="remove it or fill it in",
    ),
    Bad(
        name="no label column in CSV",
        command=(*FIT_NEW, "--data", "bare.csv"),
        spoil=write(Path("bare.csv"), b"text,mood\ngood,1\n"),
        says="bare.csv has no label column",
        remedy="name one of its columns 'label'",
    ),
    Bad(
        name="no label column in Parquet",
        command=(*FIT_NEW, "--data", "bare.parquet"),
        spoil=picture_table("bare.parquet"),
        says="bare.parquet has no label column",
        remedy="name one of its columns 'label'",
    ),
    Bad(
        name="an expectation that is missed",
        command=("fit", "resnet20", "--size", "8", "-p", "new", "--expect-accuracy", "91.7%"),
        says="backbone resnet20 measures 10.1% on digits (357 samples) but 91.7% was expected",
        remedy="its weights are random: give --weights FILE",
    ),
    Bad(
        name="an expectation that a fresh backbone misses",
        command=("fit", "resnet20", "--train-backbone", "--size", "8", "--max-fit", "20", "--expect-accuracy", "99.9%"),
        says="backbone resnet20 measures ",
        remedy="check the weights, the normalisation and the image format (JPEG copies lose accuracy)",
    ),
]

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
        says="plan.yaml is not valid YAML at line 4",
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
        says="plan.yaml: promise.latency_s = nan: input should be a finite number",
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
        says="profiles/local/profile.yaml is not valid YAML at line 4",
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


def contents(folder: Path) -> dict[str, str]:
    """Every file in a folder and the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("bad", [*NAMES, *QUANTITIES, *PLACES, *WEIGHTS, *DATA, *DOCUMENTS], ids=lambda bad: bad.name)
def test_is_refused_plainly_and_nothing_is_written(bad: Bad, here: Path) -> None:
    bad.spoil()
    before = contents(here)
    done = ttamer(*bad.command)
    said, _, remedy = done.stderr.removeprefix("ttamer: ").partition("\n  try: ")
    assert (said if len(said) == len(bad.says) else said[: len(bad.says)]) == bad.says
    assert remedy == f"{bad.remedy}\n"
    assert "\n" not in said
    assert done.exit_code == bad.exit_code
    assert done.stdout == ""
    assert contents(here) == before


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("plan",), "Missing option '--slo'"),
        (("simulate",), "Missing argument 'PLAN'"),
        (("plan", "--slo", "1s", "--cores", "0"), "Invalid value for '--cores'"),
        (("simulate", "plan.yaml", "--requests", "1"), "Invalid value for '--requests'"),
        (("profile", "--sizes", "8"), "No such option: --sizes"),
        (("plann",), "No such command 'plann'"),
    ],
)
def test_a_command_that_makes_no_sense_exits_with_2(command: tuple[str, ...], complaint: str, here: Path) -> None:
    before = contents(here)
    done = ttamer(*command)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert contents(here) == before


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
