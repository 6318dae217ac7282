"""Whether measurements can be believed: two runs beside each other, busy loops, and where the time goes.

Run on a machine that does nothing else:

    python -m benchmarks.measurements [agreement] [busy] [cost] [--budget BUDGET] [--keep FOLDER]

Without names all three run. On two cores `busy` takes 5 minutes, and `agreement` with `--budget thorough`, which alone
bounds every p99, 50. `cost` speaks of the first run of `agreement`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ttamer.cli import render
from ttamer.profiles.profile import LatencyPoint, PointKey, Profile
from ttamer.profiles.shelf import read_profile
from ttamer.profiling.machine import allowed_cpus

ROOT = Path(__file__).resolve().parent.parent
MODELS, BATCHES, CORES = ("resnet18", "bert-mini"), (1, 4), (1, 2)
MEDIANS, TAILS, COST = 0.03, 0.05, 1.3  # what is demanded, relative
BOUNDING = 299  # samples that bound p99 at 95 %
BUSY = "while True: pass"
ASKED = ("agreement", "busy", "cost")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measurements")
    parser.add_argument("what", nargs="*", choices=[*ASKED, []], default=[])
    parser.add_argument("--budget", choices=("quick", "default", "thorough"), default="default")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    asked = options.what or ASKED
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        budget = options.budget
        if {"agreement", "cost"} & set(asked):
            first = profiled(folder, "first", budget)
        if "agreement" in asked:
            print_agreement(first, profiled(folder, "second", budget), budget)
        if "cost" in asked:
            print_cost(first)
        if "busy" in asked:
            with busy_loops():
                print_busy(profiled(folder, "busy", "quick"))


def profiled(folder: Path, name: str, budget: str) -> Profile:
    """The profile that the command measures; from an earlier run with --keep where there is one."""
    command = [
        sys.executable, "-m", "ttamer", "profile", *MODELS, "--batches", ",".join(map(str, BATCHES)),
        "--cores", ",".join(map(str, cores_here())), *([] if budget == "default" else [f"--{budget}"]), "-p", name,
    ]  # fmt: skip
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True, stdout=subprocess.DEVNULL)
    return read_profile(folder / "profiles" / name)


def cores_here() -> tuple[int, ...]:
    """The core counts that this machine has."""
    return tuple(cores for cores in CORES if cores <= len(allowed_cpus()))


def print_agreement(first: Profile, second: Profile, budget: str) -> None:
    """Medians and p99s of two runs, group by group: how far the points that both call ok lie apart."""
    other = {point.key: point for point in second.latency}
    pairs = [(point, other[point.key]) for point in first.latency if point.key in other]
    rows = []
    for group in dict.fromkeys(_group(one.key) for one, _ in pairs):
        some = [pair for pair in pairs if _group(pair[0].key) == group]
        trusted = [pair for pair in some if _both_ok(pair)]
        tails = [pair for pair in trusted if min(len(one.samples) for one in pair) >= BOUNDING]
        whole = next(pair for pair in some if pair[0].key.part == "whole")
        rows.append((
            group[0], str(group[1]), str(group[2]), f"{len(trusted)} of {len(some)}",
            percent(max(map(_apart, trusted), default=None)), percent(max(map(_apart_raw, trusted), default=None)),
            percent(max(map(_apart_p99, tails), default=None)), str(len(tails)),
            *(render.seconds(one.samples.median_s()) for one in whole), percent(_apart(whole)),
            " / ".join(one.verdict for one in whole),
        ))  # fmt: skip
    columns = (
        "model", "cores", "batch", "ok twice", "medians apart", "as timed", "p99s apart", "with p99",
        "whole", "whole again", "apart", "verdicts",
    )  # fmt: skip
    render.table(columns, rows, title=f"Two runs of ttamer profile {' '.join(MODELS)}, budget {budget}")
    trusted = [pair for pair in pairs if _both_ok(pair)]
    tails = [pair for pair in trusted if min(len(one.samples) for one in pair) >= BOUNDING]
    wrong = [pair for pair in trusted if _apart(pair) > MEDIANS]
    wrong_tails = [pair for pair in tails if _apart_p99(pair) > TAILS]
    print(
        f"{len(trusted)} of {len(pairs)} points are ok in both runs; {len(wrong)} of their medians differ by more than "
        f"{100 * MEDIANS:.0f} %, {len(wrong_tails)} of {len(tails)} p99s by more than {100 * TAILS:.0f} %"
    )
    known = [_apart(pair) for pair in pairs if all(_knows_median(one) for one in pair)]
    print(
        f"whatever their tails, {len(known)} medians are known well enough in both runs; "
        f"{sum(apart > MEDIANS for apart in known)} of them differ by more than {100 * MEDIANS:.0f} %, "
        f"at most {percent(max(known, default=None))}"
    )
    for name, profile in (("first", first), ("second", second)):
        verdicts = Counter(point.verdict for point in profile.latency)
        levels = ", ".join(f"{place} {1e3 * level:.2f} ms" for place, level in profile.settings["reference_s"].items())
        print(f"{name} run: {dict(verdicts)}; level of the reference kernel: {levels or 'none'}")
    for pair in (*wrong, *wrong_tails):
        key = pair[0].key
        print(
            f"  apart: {key.model} {key.part} {key.exit} at batch {key.batch} on {key.cores} cores: median "
            f"{percent(_apart(pair))} of {render.seconds(pair[0].samples.median_s())}, p99 {percent(_apart_p99(pair))}"
        )


def print_busy(profile: Profile) -> None:
    """Verdicts with a busy loop on every core."""
    verdicts = Counter(point.verdict for point in profile.latency)
    seen = [point.evidence for point in profile.latency]
    print(f"\nWith a busy loop on each of {len(allowed_cpus())} CPUs: {dict(verdicts)}; ok: {verdicts['ok']}")
    names = ("running_share", "waited_share", "foreign_share", "pressure_share", "clean_share")
    rows = [
        (name, *(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values))))
        for name in names
        if (values := [evidence[name] for evidence in seen if name in evidence])
    ]
    render.table(("evidence", "least", "median", "most"), rows)


def print_cost(profile: Profile) -> None:
    """Where the time of a profile went."""
    spent_s = dict(profile.settings["spent_s"])
    total_s, processes = spent_s.pop("total"), spent_s.pop("processes")
    known_s = sum(spent_s.values())
    rows = [(name, render.seconds(seconds), f"{100 * seconds / total_s:.1f} %") for name, seconds in spent_s.items()]
    rows += [("not booked", render.seconds(total_s - known_s), f"{100 * (total_s - known_s) / total_s:.1f} %")]
    print()
    render.table(("what", "time", "share"), rows, title=f"Where {render.seconds(total_s)} of a profile went")
    needed_s = sum(spent_s.get(name, 0.0) for name in ("start", "warm_up", "settling", "timed"))
    with_reference_s = needed_s + spent_s.get("reference", 0.0)
    print(
        f"{processes:.0f} processes; total over timed calls, warm-ups and starts: {total_s / needed_s:.2f}, with the "
        f"timed reference kernel among the calls {total_s / with_reference_s:.2f} (demanded: {COST})"
    )


@contextmanager
def busy_loops() -> Iterator[None]:
    """A process on every CPU that does nothing but run, until the block ends."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True) for _ in allowed_cpus()]
    try:
        for loop, cpu in zip(loops, allowed_cpus(), strict=True):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(loop.pid, {cpu})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _group(key: PointKey) -> tuple[str, int, int]:
    return key.model, key.cores, key.batch


def _both_ok(pair: tuple[LatencyPoint, LatencyPoint]) -> bool:
    return all(one.verdict == "ok" for one in pair)


def _knows_median(point: LatencyPoint) -> bool:
    return point.evidence["error"] <= point.evidence["error_allowed"]


def _apart(pair: tuple[LatencyPoint, LatencyPoint]) -> float:
    return _relative(*(one.samples.median_s() for one in pair))


def _apart_raw(pair: tuple[LatencyPoint, LatencyPoint]) -> float:
    return _relative(*(one.samples.raw_median_s() for one in pair))


def _apart_p99(pair: tuple[LatencyPoint, LatencyPoint]) -> float:
    return _relative(*(one.samples.quantile_s(0.99) for one in pair))


def _relative(one: float, other: float) -> float:
    return abs(one - other) / min(one, other)


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
