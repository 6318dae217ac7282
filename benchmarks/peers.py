"""Other tools beside ttamer on the same models in the same minutes: torch.utils.benchmark, a plain loop, MLPerf LoadGen.

Every tool takes turns of several calls, in a process of its own for each setting (`timing_peers.py`); what is compared
is taken turn by turn. Then single calls take turns, which leaves no time for the machine to change between two of them.

Run on a machine that does nothing else (on two cores half an hour, with `--turns 0` the single calls alone, 3):

    python -m benchmarks.peers [--turns TURNS] [--seconds SECONDS]

LoadGen needs the extra `bench` (mlcommons-loadgen); without it its columns say so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.measurements import BATCHES, MEDIANS, MODELS, ROOT, cores_here, percent
from ttamer.cli import render
from ttamer.profiles.intervals import quantile_interval
from ttamer.profiling.child import child_environment

Setting = tuple[str, int, int]  # model, cores, batch

P90S = 0.05  # what is demanded, relative
# Of which tool and whose what stands beside ours.
COMPARED = (
    ("torch", "median_s", "ttamer", "median_s"), ("loop", "median_s", "ttamer", "median_s"),
    ("loop", "p90_s", "ttamer", "p90_s"), ("loadgen", "p90_s", "ttamer", "p90_s"),
    ("loadgen in turn", "p90_s", "loadgen in turn", "between_p90_s"), ("loadgen", "p90_s", "loadgen", "watched_p90_s"),
)  # fmt: skip
CALLS = 20  # of a tool in a turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--turns", type=int, default=20, help="of each tool, at least")
    parser.add_argument("--seconds", type=int, default=100, help="of turns, at least")
    options = parser.parse_args()
    seconds = options.seconds if options.turns else 0
    found = {setting: by_peers(*setting, options.turns, seconds) for setting in settings_here()}
    if options.turns:
        print_turns(found, options.turns)
    print_single_calls(found)


def settings_here() -> list[Setting]:
    """Model, cores and batch of every comparison with other tools."""
    return [(model, cores, batch) for model in MODELS for cores in cores_here() for batch in BATCHES]


def print_single_calls(found: Mapping[Setting, dict[str, Any]]) -> None:
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
    print(f"medians within {percent(max(apart))} (demanded: {100 * MEDIANS:.0f} %)")


def print_turns(everything: Mapping[Setting, dict[str, Any]], turns: int) -> None:
    """Turns of all tools; differences are medians over turns with their intervals."""
    rows, apart = [], list[list[Difference | None]]()
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
            f"{what} within {percent(max(abs(one.middle) for one in known))} as seen and "
            f"{percent(max(one.certain for one in known))} beyond their intervals (demanded: {100 * demanded:.0f} %)"
        )


def by_peers(model: str, cores: int, batch: int, turns: int, least_s: int) -> dict[str, Any]:
    """What a fresh process finds in which all tools take turns."""
    command = [sys.executable, "-m", "benchmarks.timing_peers", model, *map(str, (cores, batch, CALLS, turns, least_s))]
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment(os.environ, cores), check=True, capture_output=True, text=True
    )
    print(f"{model}, batch {batch}, {cores} cores: compared", file=sys.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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


if __name__ == "__main__":
    main()
