"""Exits and cascades by wall clock: real models that really exit, on test samples, beside the best published rule.

Heads are fitted, stages and heads profiled on one core, policies fitted on calibration records and chosen with the
validation records so that they lose at most 1 % of accuracy; then the choice and the best baseline (picked by hindsight
on test, as in benchmarks.records) run on test samples, beside the whole model, in one process a policy.

saves: of the whole model's mean time for one request. loses: accuracy, points, on all test samples (95 %, resampled).
rps: how much more is answered at batch 8 where the answer leaves and computing stops. off: measured mean against the
predicted one, at batch 1 and 8; whole: the same of the whole model, which no exit explains. same: answers as recorded. oracle: saved by leaving at the first right exit.

Fits and profiles are kept in build/bench/measured and made where they are missing.

Run: python -m benchmarks.measured_exits ../shared/data/real [SET ...] [--samples N] [--caution ERRORS] [--remeasure]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records import best_baseline, between, share
from ttamer.exits.careful_choice import CAUTION
from ttamer.exits.comparison_document import Row
from ttamer.exits.record_comparison import CHOSEN, compare_policies
from ttamer.exits.record_sources import JUDGING
from ttamer.planning.exit_choice import measured_costs, read_records
from ttamer.profiles.documents import to_yaml
from ttamer.profiles.profile import Profile
from ttamer.profiles.shelf import read_profile

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "bench" / "measured"
MAX_DROP = 0.01
VISION, TEXT = "vision/cifar10.parquet", "text/sst2.parquet"
CIFAR = ("--head", "pool4", "--target", "soft-teacher")
SST2 = ("--target", "soft-teacher", "--tokens", "64")
MINILM = "minilm_l6_sst2"
ALL_VERDICTS = "ok,noisy,contended,throttled"


@dataclass(frozen=True, slots=True)
class RealSet:
    """A model or cascade on a data set, and the profile that its members share."""

    model: str
    profile: str
    data: str


SETS = {
    "cascade": RealSet("resnet20:resnet56", "cifar", VISION),
    "three": RealSet("resnet20:resnet44:resnet56", "cifar", VISION),
    "resnet56": RealSet("resnet56", "cifar", VISION),
    "resnet20": RealSet("resnet20", "cifar", VISION),
    "text": RealSet(MINILM, "sst2", TEXT),
}


def ttamer(*arguments: str) -> str:
    """What a command prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "ttamer", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def fitted(one: RealSet, real: Path) -> Profile:
    """The profile with the set's models fitted, each unless it is."""
    folder = KEPT / one.profile
    for member in one.model.split(":"):
        if not (folder / "records" / f"{member}.test.parquet").is_file():
            own = (
                (str(real / "text" / member), *SST2)
                if member == MINILM
                else (member, "--weights", str(real / "vision" / f"{member}_cifar10.safetensors"), *CIFAR)
            )
            ttamer("fit", *own, "--data", str(real / one.data), "-p", str(folder))
    return read_profile(folder)


def prepared(one: RealSet, real: Path, *, remeasure: bool) -> Profile:
    """The profile with the set's models fitted, and measured on one core, again if so asked."""
    known, members = fitted(one, real), one.model.split(":")
    again = ("--remeasure", ALL_VERDICTS) if remeasure else ()
    ttamer("profile", *members, "--cores", "1", *again, "-p", str(known.require_folder()))
    return read_profile(known.require_folder())


def measured(one: RealSet, row: Row, real: Path, samples: int) -> Mapping[str, Any]:
    """What a policy takes by wall clock: the rows of `ttamer profile --policy`, by way and batch."""
    assert row.spec is not None
    path = KEPT / f"{one.model.replace(':', '-')}.{row.policy}.yaml"
    path.write_text(to_yaml(row.spec.model_dump(mode="json")))
    told = ttamer(
        "profile", one.model, "--policy", str(path), "--data", str(real / one.data), "--samples", str(samples),
        "--format", "json", "-p", str(KEPT / one.profile),
    )  # fmt: skip
    return {f"{found['way']} {found['batch']}": found for found in json.loads(told)["rows"]}


def report(name: str, one: RealSet, real: Path, given: argparse.Namespace) -> None:
    """Print the rows of a set: the choice, and the best baseline."""
    profile = prepared(one, real, remeasure=given.remeasure)
    splits = {split: read_records(profile, one.model, split) for split in JUDGING}
    compared = compare_policies(
        splits, measured_costs(profile, one.model, "cpu"), max_drop=MAX_DROP, caution=given.caution
    )
    oracle = compared.row("oracle-first-correct").found
    for place, policy in enumerate((CHOSEN, best_baseline([compared], MAX_DROP))):
        row = compared.row(policy)
        if row.found is None or row.spec is None or oracle is None:
            print(f"{name:10}{policy:24}no setting is sure to lose at most {100 * MAX_DROP:g} %")
            continue
        times = measured(one, row, real, given.samples)
        alone, whole = times["exiting 1"], times["whole 1"]
        saved = 1 - alone["measured_mean_s"] / whole["measured_mean_s"]
        gain = times["whole 8"]["measured_mean_s"] / times["exiting 8"]["measured_mean_s"] - 1
        off = [
            100 * (times[f"{way} {batch}"]["measured_mean_s"] / times[f"{way} {batch}"]["predicted_mean_s"] - 1)
            for way in ("exiting", "whole")
            for batch in (1, 8)
        ]
        verdicts = sorted({found["verdict"] for found in times.values()})
        print(
            f"{name if not place else '':10}{label(row):42}{share(row.found.saved.value):>10}{share(saved):>10}  "
            f"{between(row.found.drop):22}{100 * gain:>+6.0f}{off[0]:>+8.1f}{off[1]:>+7.1f}{off[2]:>+9.1f}{off[3]:>+9.1f}"
            f"{alone['answers_as_recorded']:>7}/{alone['samples']}{share(oracle.saved.value):>8}  {', '.join(verdicts)}",
            flush=True,
        )


def label(row: Row) -> str:
    """The policy, and its kinds if it was chosen."""
    assert row.spec is not None
    if row.policy != CHOSEN:
        return f"best baseline: {row.policy}"
    parts = [row.spec.params[part]["kind"] for part in ("first", "second")] if row.spec.kind == "mixture" else []
    return f"chosen: {' + '.join(dict.fromkeys(parts)) or row.spec.kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="the folder real/ of the shared data")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; default: all")
    parser.add_argument("--samples", type=int, default=512, help="test samples that run")
    parser.add_argument("--caution", type=float, default=CAUTION, help="standard errors added to every loss")
    parser.add_argument("--remeasure", action="store_true", help="measure the profiles again, right before the trials")
    given = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    print(
        f"load average {os.getloadavg()[0]:.1f} before; one core; {given.samples} test samples by wall clock;"
        f" {given.caution:g} standard errors of caution"
    )
    print(
        f"{'set':10}{'policy':42}{'predicted':>10}{'measured':>10}  {'loses':22}{'rps':>6}{'off 1':>8}{'off 8':>7}{'whole 1':>9}{'whole 8':>9}"
        f"{'same':>11}{'oracle':>8}  verdicts"
    )
    for name in given.sets or SETS:
        report(name, SETS[name], given.real.resolve(), given)
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
