"""One model timed by ttamer's rounds, by torch.utils.benchmark, by a plain loop and by MLPerf LoadGen, in one process.

All take turns, so that the machine's drift meets them alike; what is compared is taken turn by turn. Raw seconds: nothing
is divided out. Run by benchmarks.peers, in a fresh process bound as a measuring process is.

Run: python -m benchmarks.timing_peers MODEL CORES BATCH CALLS TURNS SECONDS (of turns, at least)
"""

import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ttamer.profiling.clock import time_calls
from ttamer.profiling.worker import bind, check_binding

PAIRS = 60  # single calls of each tool in turn

Call = Callable[[], object]
P90_KEY = "result_90.00_percentile_latency_ns"


def main() -> None:
    model, cores, batch, calls, turns, least_s = sys.argv[1], *map(int, sys.argv[2:])
    cpus = tuple(sorted(os.sched_getaffinity(0)))[-cores:]
    bind(cpus)
    import torch

    torch.set_num_threads(cores)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    with torch.inference_mode():
        found = take_turns(model, batch, calls, turns, least_s, cpus)
    check_binding(cpus, cores, torch.get_num_threads(), torch.get_num_interop_threads())
    print(json.dumps(found))


def take_turns(model: str, batch: int, calls: int, turns: int, least_s: float, cpus: Sequence[int]) -> dict[str, Any]:
    """Medians and p90s of every turn by every tool, and whether others had the cores meanwhile."""
    from ttamer.cli.models import choose_model
    from ttamer.exits.loading import load
    from ttamer.profiling.clock import WaitingClock
    from ttamer.profiling.devices import DEVICES
    from ttamer.profiling.interference import read_interference
    from ttamer.profiling.reference import reference_kernel
    from ttamer.profiling.verdicts import is_contended

    target = load(**choose_model(model, None).arguments, device="cpu")
    example, device = target.example(batch), DEVICES["cpu"]
    reference = reference_kernel("cpu", device.gemm_size, device.moved_bytes)

    def call() -> object:
        return target.run_whole(example)

    call()
    with WaitingClock() as clock:
        tools = {
            "ttamer": lambda: by_rounds(call, reference, calls, clock),
            "torch": lambda: by_torch(call, calls),
            "loop": lambda: by_loop(call, calls),
        }
        if importlib.util.find_spec("mlperf_loadgen"):
            tools["loadgen"] = lambda: by_loadgen(call, calls)
            tools["loadgen in turn"] = lambda: by_loadgen(call, calls, with_ours=True)
        before = read_interference(cpus, clock.counters())
        found: dict[str, list[dict[str, float]]] = {name: [] for name in tools}
        names, began_s = list(tools), time.perf_counter()
        for turn in count():
            if turn >= turns and time.perf_counter() - began_s >= least_s:
                break
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(tools[name]())
        evidence = read_interference(cpus, clock.counters()).evidence_since(before, len(cpus))
    return {"turns": found, "in_turn": in_turn(call, PAIRS), "contended": is_contended(evidence)}


def in_turn(call: Call, calls: int) -> dict[str, list[float]]:
    """Seconds of single calls by ttamer's clock, by torch.utils.benchmark and by a plain loop, one after the other."""
    import torch
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    tools: dict[str, Callable[[], float]] = {
        "ttamer": lambda: time_calls(call, 1).call_s(),
        "torch": lambda: timer.timeit(1).median,
        "loop": lambda: by_loop(call, 1, untimed=0)["median_s"],
    }
    found: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(calls):
        for name, tool in tools.items():
            found[name].append(tool())
    return found


def by_rounds(call: Call, reference: Call, calls: int, clock: Any) -> dict[str, float]:
    """As `ttamer profile` does it: rounds of the reference kernel, an untimed call and a sample."""
    from ttamer.profiling.budgets import Budget
    from ttamer.profiling.rounds import Part, clean_timings, measure_group

    budget = Budget(name="peers", processes=1, min_rounds=calls, group_s=1e-9, half_width=0.01)
    part = Part(part="whole", exit=-1, call=call)
    group = measure_group(
        [part], reference, call, budget, keep=clean_timings, time_calls=clock.time_calls, now=time.perf_counter
    )
    return summed_up(group.parts[0].seconds())


def by_torch(call: Call, calls: int) -> dict[str, float]:
    """By torch.utils.benchmark, which averages over blocks and so has no tail."""
    import torch
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    timer.timeit(2)
    return {"median_s": timer.blocked_autorange(min_run_time=calls * timer.timeit(2).median).median}


def by_loop(call: Call, calls: int, untimed: int = 3) -> dict[str, float]:
    """By a loop around time.perf_counter."""
    for _ in range(untimed):
        call()
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return summed_up(seconds)


def by_loadgen(call: Call, calls: int, *, with_ours: bool = False) -> dict[str, float]:
    """By MLPerf LoadGen's SingleStream scenario: one query after the other, its own clock and its own quantile.

    watched_p90_s is what our clock says of the very same calls; with ours between_p90_s, of a call of our own after each.
    It asks from a thread of its own. The model runs in this one, as for the other tools: a thread that asked torch
    for several cores for the first time would start a second pool of workers, which compete with those of the first.
    """
    loadgen: Any = importlib.import_module("mlperf_loadgen")
    asked, answered = SimpleQueue[Any](), SimpleQueue[None]()
    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.SingleStream, loadgen.TestMode.PerformanceOnly
    settings.min_query_count, settings.max_query_count, settings.min_duration_ms = calls, calls, 0
    with tempfile.TemporaryDirectory() as folder:
        logs = loadgen.LogSettings()
        logs.log_output.outdir = folder
        logs.enable_trace = False
        asking = Thread(target=ask, args=(loadgen, settings, logs, asked, answered))
        call()
        asking.start()
        watched, between = [], []
        while (queries := asked.get()) is not None:
            watched.append(time_calls(call, 1).call_s())
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0) for query in queries])
            if with_ours:
                between.append(time_calls(call, 1).call_s())
            answered.put(None)
        asking.join()
        told = (Path(folder) / "mlperf_log_detail.txt").read_text().splitlines()
    lines = [json.loads(line.removeprefix(":::MLLOG ")) for line in told if P90_KEY in line]
    found = {"p90_s": float(lines[-1]["value"]) / 1e9, "watched_p90_s": summed_up(watched)["p90_s"]}
    return found | ({"between_p90_s": summed_up(between)["p90_s"]} if with_ours else {})


def ask(loadgen: Any, settings: Any, logs: Any, asked: SimpleQueue[Any], answered: SimpleQueue[None]) -> None:
    """Let LoadGen put its queries into a queue, the next once the one before has been dealt with; None behind the last.

    LoadGen's clock stops when a query is completed, so what follows until it may ask again is not in its latency.
    """

    def issue(queries: Any) -> None:
        asked.put(queries)
        answered.get()

    sut = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(1, 1, lambda samples: None, lambda samples: None)
    loadgen.StartTestWithLogSettings(sut, library, settings, logs)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(sut)
    asked.put(None)


def summed_up(seconds: Sequence[float]) -> dict[str, float]:
    """The median and the p90 of a turn."""
    return {"median_s": statistics.median(seconds), "p90_s": sorted(seconds)[int(0.9 * len(seconds))]}


if __name__ == "__main__":
    main()
