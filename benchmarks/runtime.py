"""Models that really exit: what a decision costs beside a head, and predicted beside measured time at batch 1 and 8.

Parts and whole batches are timed in turns in one process on one thread, by the CPU time of that thread: on a busy machine
it is nearest to the wall time of a quiet one. What was measured is compared with what the parts of the same round let
expect: the median over rounds, and its 95 % interval. `ttamer profile MODEL --policy P` does the same by wall clock.

Without a folder resnet20 is fitted to digits; with one that holds vision/ and text/, resnet20 to CIFAR-10 and MiniLM to
SST-2. Fits are kept in build/bench/runtime.

Run: python -m benchmarks.runtime [../shared/data/real]
"""

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ttamer.cli.models import choose_model
from ttamer.exits.costs import ExitCosts
from ttamer.exits.deciding import decider_of
from ttamer.exits.evaluate import best_within_drop, evaluate, fit_candidates
from ttamer.exits.mixture import KINDS
from ttamer.exits.signals import classes, confidences, decidedness
from ttamer.exits.trial import prepare_trial
from ttamer.exits.walk import ALONE
from ttamer.exits.walks import MixtureDecider
from ttamer.planning.prediction import QUANTILE
from ttamer.planning.service_times import Paths, Timings, paths_as_seen
from ttamer.profiles.intervals import quantile_interval
from ttamer.profiles.profile import WHOLE, LatencyPoint, PointKey, Profile
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.samples import Samples
from ttamer.profiles.shelf import read_profile, records_path
from ttamer.profiling.passage import Passage
from ttamer.profiling.rounds import loops_for

ROOT = Path(__file__).resolve().parent.parent
SIZES, ROUNDS, SAMPLES = (1, 2, 4, 8), 12, 64
MAX_DROP = 0.01
SIGNALS = {"softmax": confidences, "entropy": decidedness, "class": classes}
IN_PLACE, CALLS = "record-recall", 1000  # the decision that is timed behind its stage too, and how often
COMPARED = ("last-exit", "confidence-threshold", "dynamic-index", "record-recall")


def fitted(name: str, data: str, *options: str) -> tuple[Profile, str]:
    """The profile of a fit, made unless it is there, and the data's path."""
    folder = ROOT / "build" / "bench" / "runtime" / name
    if not (folder / "profile.yaml").is_file():
        command = [sys.executable, "-m", "ttamer", "fit", *options, "--data", data, "-p", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return read_profile(folder), data


def cpu_s(call: Callable[[], object], loops: int = 1) -> float:
    """Seconds of this thread's CPU for one call."""
    began = time.thread_time_ns()
    for _ in range(loops):
        call()
    return (time.thread_time_ns() - began) / loops / 1e9


class Bench:
    """One model, the timings of its parts, and its samples."""

    def __init__(self, profile: Profile, data: str) -> None:
        (self.model,) = profile.models
        self.profile, self.data = profile, data
        folder = profile.require_folder()
        self.records = {
            s: ExitRecords.read(records_path(folder, self.model, s)) for s in ("calibration", "validation", "test")
        }
        self.test = self.records["test"]
        self.drawn_N = np.random.default_rng(0).permutation(self.test.samples)[:SAMPLES]
        self.seconds: dict[tuple[str, int, int], list[float]] = {}
        self.loops: dict[tuple[str, int, int], int] = {}

    def trial(self, policy: Any) -> Any:
        """The model under a policy, with its samples."""
        return prepare_trial(
            models=[choose_model(self.model, self.profile).arguments], policy=policy.to_spec().model_dump(mode="json"),
            data=self.data, samples=self.test.sample_N[self.drawn_N].tolist(), resize=False, device="cpu",
        )  # fmt: skip

    def time_parts(self, trial: Any) -> None:
        """One round of all parts at all sizes, on the first samples."""
        staged = trial._model.staged
        for size in SIZES:
            first = tuple(part[:size] for part in trial._inputs)
            passage = Passage(staged, first)
            staged.run_whole(first)  # the caches hold another size's work
            self._time("whole", WHOLE, size, lambda first=first: staged.run_whole(first))
            for k in range(staged.exits):
                for part, call, behind in (("stage", passage.run_stage, k), ("head", passage.ask_head, k + 1)):
                    passage.come_to(behind)
                    self._time(part, k, size, lambda call=call, k=k: call(k))

    def _time(self, part: str, exit: int, size: int, call: Callable[[], object]) -> None:
        key = part, exit, size
        if key not in self.loops:
            self.loops[key] = loops_for(min(cpu_s(call) for _ in range(3)))
        self.seconds.setdefault(key, []).append(cpu_s(call, self.loops[key]))

    def measured(self, round: int) -> Profile:
        """The parts as one round found them, as a profile."""
        points = tuple(
            LatencyPoint(
                key=PointKey(model=self.model, part=p, exit=k, device="cpu", dtype="float32", batch=b, cores=1),
                samples=Samples(seconds[round : round + 1]), peak_memory_bytes=0, load_time_s=0.0,
            )
            for (p, k, b), seconds in self.seconds.items()
        )  # fmt: skip
        return Profile(name="bench", machine=self.profile.machine, models=self.profile.models, latency=points)

    def costs(self) -> ExitCosts:
        """Mean seconds of every stage and head at batch 1."""
        K = self.test.exits
        mean_s = {part: np.array([np.mean(self.seconds[part, k, 1]) for k in range(K)]) for part in ("stage", "head")}
        return ExitCosts(mean_s["stage"], mean_s["head"])


def compare(bench: Bench) -> None:
    """Print predicted beside measured seconds for the setting of each kind that loses at most MAX_DROP."""
    calibration, validation = bench.records["calibration"], bench.records["validation"]
    first = fit_candidates(["last-exit"], calibration, ExitCosts(*np.ones((2, bench.test.exits))))[0]
    plain = bench.trial(first)
    for _ in range(3):
        bench.time_parts(plain)
    print_decision(bench, plain)
    for kind in COMPARED:
        costs = bench.costs()
        chosen = best_within_drop(fit_candidates([kind], calibration, costs), validation, costs, MAX_DROP).fitted
        print_comparison(bench, chosen.policy, bench.trial(chosen))


def print_comparison(bench: Bench, policy: Any, trial: Any) -> None:
    """Time parts and batches in turns and print what came of it."""
    taken: dict[tuple[str, int], list[float]] = {}
    bench.seconds.clear()
    for _ in range(ROUNDS):
        bench.time_parts(trial)
        for size in (1, 8):
            for way in trial.ways:
                runs = [lambda w=way, s=size, i=i: trial.run(w, s, i) for i in range(trial.batches(size))]
                taken.setdefault((way, size), []).append(statistics.fmean(map(cpu_s, runs)))
    outcome = evaluate(policy, bench.test.taken(bench.drawn_N))
    paths = {"exiting": paths_as_seen(outcome), "whole": None}
    profiles = [bench.measured(round) for round in range(ROUNDS)]
    for (way, size), seen in sorted(taken.items(), key=lambda one: (one[0][1], one[0][0])):
        expected = [mean_s(profile, bench.model, size, paths[way]) for profile in profiles]
        more = [seen_s / expected_s - 1 for seen_s, expected_s in zip(seen, expected, strict=True)]
        low, high = quantile_interval(more, 0.5)
        print(
            f"{bench.model:15} {policy.kind:21} {way:8} {size:5} {1e3 * statistics.median(expected):10.3f} "
            f"{1e3 * statistics.median(seen):10.3f} {100 * statistics.median(more):+9.1f} % "
            f"({100 * low:+.1f} to {100 * high:+.1f})"
        )


def mean_s(profile: Profile, model: str, batch: int, paths: Paths | None) -> float:
    """Seconds that a plan expects of a batch, without the caution for what is not known of its parts."""
    timings = Timings(profile, model, "cpu", 1, QUANTILE, is_cautious=False)
    return float(timings.law(batch, paths).mean_s_B[batch])


def print_decision(bench: Bench, trial: Any) -> None:
    """What reading and deciding cost a row beside a head at batch 1, for every kind: each in a loop, from warm caches.

    A step reads the head's logits, reduces them to a signal and decides on it; the decision is what it takes beyond
    reading. For one kind the same is told behind the first stage, from whatever caches that leaves.
    """
    staged = trial._model.staged
    inputs = tuple(part[:1] for part in trial._inputs)
    state = staged.run_stage(0, inputs)
    logits = staged.run_head(0, state)
    head_s = median_s(lambda: staged.run_head(0, state), 20)
    print(f"{bench.model:15} {'head 0 at batch 1':31} {1e6 * head_s:8.2f} us")
    for name, signal in SIGNALS.items():
        print_share(bench, f"reading and {name}", median_s(lambda signal=signal: signal(logits), 50), head_s)
    calibration, costs = bench.records["calibration"], bench.costs()
    deciders = {}
    for kind in KINDS:
        family = [
            one.policy for one in fit_candidates([kind], calibration, costs) if one.policy.heads_K(staged.exits)[0]
        ]
        if family:
            decider = decider_of(family[len(family) // 2], staged.exits)
            deciders[kind] = decider.of(0) if isinstance(decider, MixtureDecider) else decider
            print_share(bench, f"decision of {kind}", decision_s(deciders[kind], logits), head_s)
    readings, steps = [], []
    for _ in range(CALLS):
        one, other = (deciders[IN_PLACE].walk([0]) for _ in range(2))
        readings.append(behind_stage_s(staged, inputs, partial(one.read, 0, ALONE)))
        steps.append(behind_stage_s(staged, inputs, partial(other.alone, 0)))
    (head_s, read_s), (_, step_s) = np.median(readings, axis=0), np.median(steps, axis=0)
    print(f"{bench.model:15} {'head 0 behind its stage':31} {1e6 * head_s:8.2f} us")
    print_share(bench, "reading and softmax", read_s, head_s)
    print_share(bench, f"decision of {IN_PLACE}", step_s - read_s, head_s)


def decision_s(decider: Any, logits: Any) -> float:
    """Seconds of a step of one row beyond reading, each called on walks of its own: the median of 50 turns."""
    return statistics.median(turn_s(decider, logits, 50) for _ in range(50))


def turn_s(decider: Any, logits: Any, loops: int) -> float:
    """What a step takes more than reading, in a turn of as many calls of both."""
    steps, readings = (iter([decider.walk([0]) for _ in range(loops)]) for _ in range(2))
    step_s = cpu_s(lambda: next(steps).alone(0, logits), loops)
    return step_s - cpu_s(lambda: next(readings).read(0, ALONE, logits), loops)


def behind_stage_s(staged: Any, inputs: Any, call: Callable[[Any], object]) -> tuple[float, float]:
    """Seconds of the first head right behind its stage, and of a call on its logits behind that."""
    state = staged.run_stage(0, inputs)
    began_ns = time.perf_counter_ns()
    logits = staged.run_head(0, state)
    answered_ns = time.perf_counter_ns()
    call(logits)
    return (answered_ns - began_ns) / 1e9, (time.perf_counter_ns() - answered_ns) / 1e9


def print_share(bench: Bench, what: str, seconds: float, head_s: float) -> None:
    """A line with seconds and their share of a head's."""
    print(f"{bench.model:15} {what:31} {1e6 * seconds:8.2f} us {100 * seconds / head_s:6.1f} % of a head")


def median_s(call: Callable[[], object], loops: int) -> float:
    """The median of 50 timings."""
    return statistics.median(cpu_s(call, loops) for _ in range(50))


def benches(arguments: Sequence[str]) -> list[tuple[Profile, str]]:
    """The fits to compare."""
    if not arguments:
        return [fitted("digits", "digits", "resnet20", "--size", "16", "--train-backbone")]
    real = Path(arguments[0]).resolve()
    weights = ("--weights", str(real / "vision/resnet20_cifar10.safetensors"), "--max-fit", "3000")
    return [
        fitted("cifar", str(real / "vision/cifar10.parquet"), "resnet20", *weights),
        fitted(
            "sst2",
            str(real / "text/sst2.parquet"),
            str(real / "text/minilm_l6_sst2"),
            "--max-fit",
            "1000",
            "--tokens",
            "64",
        ),
    ]


def main() -> None:
    """Print decision costs and comparisons of every fit."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found = benches(sys.argv[1:])
    gc.disable()
    print(f"load average {os.getloadavg()[0]:.1f} before; CPU seconds of one thread")
    print(
        f"{'model':15} {'policy':21} {'run':8} {'batch':>5} {'predicted':>10} {'measured':>10} {'difference':>11}   ms"
    )
    with torch.inference_mode():
        for profile, data in found:
            compare(Bench(profile, data))
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
