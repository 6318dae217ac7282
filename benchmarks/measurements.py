"""Whether measurements can be believed: two runs beside each other, busy loops, other tools, and where the time goes.

Run on a machine that does nothing else:

    python -m benchmarks.measurements [agreement] [busy] [peers] [paired] [cost] [--budget BUDGET] [--keep FOLDER]

Without names all run; `paired` is the second table of `peers` alone. On two cores `peers` takes 25 minutes, `paired` 3,
`busy` 5, and `agreement` with `--budget thorough`, which alone bounds every p99, 50.
`cost` speaks of the first run of `agreement`. LoadGen needs the extra `bench` (mlcommons-loadgen); without it its column says so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ttamer.cli import render
from ttamer.profiles.intervals import quantile_interval
from ttamer.profiles.profile import LatencyPoint, PointKey, Profile
from ttamer.profiles.shelf import read_profile
from ttamer.profiling.child import child_environment
from ttamer.profiling.machine import allowed_cpus

Setting = tuple[str, int, int]  # model, cores, batch

ROOT = Path(__file__).resolve().parent.parent
MODELS, BATCHES, CORES = ("resnet18", "bert-mini"), (1, 4), (1, 2)
MEDIANS, TAILS, P90S, COST = 0.03, 0.05, 0.05, 1.3  # what is demanded, relative
BOUNDING = 299  # samples that bound p99 at 95 %
BUSY = "while True: pass"
# Of which tool and whose what stands beside ours.
COMPARED = (
    ("torch", "median_s", "ttamer", "median_s"), ("loop", "median_s", "ttamer", "median_s"),
    ("loop", "p90_s", "ttamer", "p90_s"), ("loadgen", "p90_s", "ttamer", "p90_s"),
    ("loadgen", "p90_s", "loadgen", "between_p90_s"), ("loadgen", "p90_s", "loadgen", "watched_p90_s"),
)  # fmt: skip
CALLS = 20  # of a tool in a turn
ASKED = ("agreement", "busy", "peers", "cost")
PAIRED = "paired"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measurements")
    parser.add_argument("what", nargs="*", choices=[*ASKED, PAIRED, []], default=[])
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
        if "peers" in asked:
            print_peers(turns=4 if budget == "quick" else 20, least_s=0 if budget == "quick" else 100)
        elif PAIRED in asked:
            print_paired({setting: by_peers(*setting, turns=0, least_s=0) for setting in settings_here()})


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
            _percent(max(map(_apart, trusted), default=None)), _percent(max(map(_apart_raw, trusted), default=None)),
            _percent(max(map(_apart_p99, tails), default=None)), str(len(tails)),
            *(render.seconds(one.samples.median_s()) for one in whole), _percent(_apart(whole)),
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
        f"at most {_percent(max(known, default=None))}"
    )
    for name, profile in (("first", first), ("second", second)):
        verdicts = Counter(point.verdict for point in profile.latency)
        levels = ", ".join(f"{place} {1e3 * level:.2f} ms" for place, level in profile.settings["reference_s"].items())
        print(f"{name} run: {dict(verdicts)}; level of the reference kernel: {levels or 'none'}")
    for pair in (*wrong, *wrong_tails):
        key = pair[0].key
        print(
            f"  apart: {key.model} {key.part} {key.exit} at batch {key.batch} on {key.cores} cores: median "
            f"{_percent(_apart(pair))} of {render.seconds(pair[0].samples.median_s())}, p99 {_percent(_apart_p99(pair))}"
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


def settings_here() -> list[Setting]:
    """Model, cores and batch of every comparison with other tools."""
    return [(model, cores, batch) for model in MODELS for cores in cores_here() for batch in BATCHES]


def print_paired(found: Mapping[Setting, dict[str, Any]]) -> None:
    """Single calls of other tools, each beside the call of ours before it."""
    rows, apart = [], list[float]()
    for (model, cores, batch), told in found.items():
        own_s = told["in_turn"]["ttamer"]
        more = [_difference(told["in_turn"][name], own_s) for name in ("torch", "loop")]
        apart += [abs(one.middle) for one in more]
        rows.append((model, str(cores), str(batch), render.seconds(statistics.median(own_s)), *map(str, more)))
    columns = ("model", "cores", "batch", "median", "torch.utils.benchmark", "plain loop")
    print()
    render.table(
        columns, rows, title="Single calls in turn: the median of how much more another tool finds (95 % intervals)"
    )
    print(f"medians within {_percent(max(apart))} (demanded: {100 * MEDIANS:.0f} %)")


def print_peers(turns: int, least_s: int) -> None:
    """Other tools on the same points in the same minutes; differences are medians over turns with their intervals."""
    rows, apart = [], list[list[Difference | None]]()
    everything = {setting: by_peers(*setting, turns, least_s) for setting in settings_here()}
    for (model, cores, batch), found in everything.items():
        told = found["turns"]
        apart.append([_beside(told, *one) for one in COMPARED])
        cells = ["not installed" if one is None else str(one) for one in apart[-1]]
        ours_s = [render.seconds(_middle(told["ttamer"], what)) for what in ("median_s", "p90_s")]
        machine = "contended" if found["contended"] else "ok"
        rows.append((model, str(cores), str(batch), ours_s[0], *cells[:2], ours_s[1], *cells[2:], machine))
    columns = (
        "model", "cores", "batch", "median", "torch.utils.benchmark", "plain loop", "p90", "plain loop p90",
        "LoadGen p90", "of calls in turn", "of the same calls", "machine",
    )  # fmt: skip
    print()
    render.table(
        columns, rows, title=f"Other tools beside ttamer, {turns} turns or more of {CALLS} calls each (95 % intervals)"
    )
    for what, places, demanded in (
        ("medians", (0, 1), MEDIANS),
        ("LoadGen's p90 of turns of its own", (3,), P90S),
        ("LoadGen's p90 of calls in turn with ours", (4,), P90S),
        ("LoadGen's p90 of the same calls", (5,), P90S),
    ):
        known = [found for one in apart for place in places if (found := one[place]) is not None]
        if not known:
            continue
        print(
            f"{what} within {_percent(max(abs(one.middle) for one in known))} as seen and "
            f"{_percent(max(one.certain for one in known))} beyond their intervals (demanded: {100 * demanded:.0f} %)"
        )
    print_paired(everything)


def by_peers(model: str, cores: int, batch: int, turns: int, least_s: int) -> dict[str, Any]:
    """What a fresh process finds in which all tools take turns."""
    command = [sys.executable, "-m", "benchmarks.timing_peers", model, *map(str, (cores, batch, CALLS, turns, least_s))]
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment(os.environ, cores), check=True, capture_output=True, text=True
    )
    print(f"{model}, batch {batch}, {cores} cores: compared", file=sys.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more another tool found, relative: the median over turns, and its 95 % interval."""

    middle: float
    low: float
    high: float

    @property
    def certain(self) -> float:
        """The least difference that the interval allows; 0 where it holds none at all."""
        return max(self.low, -self.high, 0.0)

    def __str__(self) -> str:
        return f"{100 * self.middle:+.1f} % ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def _beside(
    told: dict[str, list[dict[str, float]]], name: str, what: str, other: str, others: str
) -> Difference | None:
    """What a tool found beside what another did, turn by turn; None if it was not there."""
    if name not in told:
        return None
    return _difference([turn[what] for turn in told[name]], [turn[others] for turn in told[other]])


def _difference(theirs: Sequence[float], ours: Sequence[float]) -> Difference:
    more = [one / own - 1 for one, own in zip(theirs, ours, strict=True)]
    return Difference(statistics.median(more), *quantile_interval(more, 0.5))


def _middle(turns: Sequence[dict[str, float]], what: str) -> float:
    return statistics.median(turn[what] for turn in turns)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
