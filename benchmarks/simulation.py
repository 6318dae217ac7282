"""Requests simulated per CPU second and memory a request, each beside simpy on the same model, in one run.

Run from the repository root: python -m benchmarks.simulation
"""

import os
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray

from tests.simpy_server import HEAD, SIZE, STAGE, STOP_SHARES, WHOLE, draw, in_simpy, staged_answers, whole_answers
from ttamer.planning.simulation.adaptive import Behavior, Setting, Traffic
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.deployment import Answers, Deployed
from ttamer.planning.simulation.replica import Batching, run_replica, run_unlimited
from ttamer.planning.simulation.routing import ROUTINGS
from ttamer.planning.simulation.run import run_stages
from ttamer.planning.simulation.running import run_adaptive
from ttamer.planning.simulation.service import BatchService, ExitCurves, StagedService, WholeService
from ttamer.profiles.plan import Group

RUNS = 5
OURS, SIMPY, HELD = 400_000, 10_000, 1_600_000
LONE, BATCHES = Batching(size=1), Batching(size=SIZE, timeout_s=0.015)
CURVES = ExitCurves((STAGE,) * 3, (HEAD, None, HEAD))
ANSWERS = Answers(np.repeat([0, 1, 2], [50, 20, 30]), np.ones(100, dtype=np.int64))
LAST = Answers(np.array([0]), np.array([1]))


@dataclass(frozen=True)
class Case:
    """One model: its load, the least requests a second that the project asks for, and how both simulate it."""

    name: str
    rate_rps: float
    gate_rps: float | None
    ours: Callable[[NDArray[np.float64], np.random.Generator], object]
    theirs: Callable[[list[float], np.random.Generator], object]


def one_server(batching: Batching, exits: bool) -> tuple[Callable[..., object], Callable[..., object]]:
    """A server with one queue, in ours and in simpy."""

    def ours(arrival_s_N: NDArray[np.float64], rng: np.random.Generator) -> object:
        service: BatchService = WholeService(WHOLE, SIZE, rng)
        if exits:
            service = StagedService(CURVES, rng.choice(3, len(arrival_s_N), p=STOP_SHARES).tolist(), SIZE, rng)
        return run_replica(arrival_s_N, batching, service)

    def theirs(arrival_s: list[float], rng: np.random.Generator) -> object:
        stops = rng.choice(3, len(arrival_s), p=STOP_SHARES).tolist()
        return in_simpy(arrival_s, stops, batching, staged_answers(rng) if exits else whole_answers(rng))

    return ours, theirs


def unlimited(arrival_s_N: NDArray[np.float64], rng: np.random.Generator) -> object:
    """A server for everybody, ours."""
    return run_unlimited(arrival_s_N, WholeService(WHOLE, 1, rng))


def unlimited_in_simpy(arrival_s: list[float], rng: np.random.Generator) -> object:
    """A server for everybody in simpy."""
    env, sojourns_s = simpy.Environment(), []

    def request(at_s: float) -> object:
        yield env.timeout(at_s)
        yield env.timeout(draw(WHOLE, 1, rng))
        sojourns_s.append(env.now - at_s)

    for at_s in arrival_s:
        env.process(request(at_s))  # type: ignore[arg-type]
    env.run()
    return sojourns_s


def stages(exits: bool) -> list[list[Deployed]]:
    """Three stages of one replica each."""
    group = Group(
        stage="one", model="any", policy="any", device="cpu", cores=1, batch=SIZE, batch_timeout_s=0.015, replicas=1,
        share=1.0, rate_rps=1.0, capacity_rps=1.0, utilization=0.5, service_s=1.0, latency_s=1.0, memory_bytes=0,
        load_time_s=0.0,
    )  # fmt: skip
    curve, answers = (CURVES, ANSWERS) if exits else (WHOLE, LAST)
    return [[Deployed(number, group, BATCHES, curve, answers)] for number in range(3)]


def three_stages(exits: bool) -> tuple[Callable[..., object], Callable[..., object]]:
    """Three servers in a row, in ours with all that a report is made from, and in simpy."""

    def ours(arrival_s_N: NDArray[np.float64], rng: np.random.Generator) -> object:
        return run_stages(stages(exits), arrival_s_N, 0, ROUTINGS["random"], rng.spawn(3), None)

    def theirs(arrival_s: list[float], rng: np.random.Generator) -> object:
        for _ in range(3):
            stops = rng.choice(3, len(arrival_s), p=STOP_SHARES).tolist()
            answers = staged_answers(rng) if exits else whole_answers(rng)
            sojourn_s_N = in_simpy(arrival_s, stops, BATCHES, answers)
            arrival_s = np.sort(np.array(arrival_s) + sojourn_s_N).tolist()
        return arrival_s

    return ours, theirs


class Everything:
    """A book in which every setting behaves alike."""

    def behavior(self, setting: Setting) -> Behavior:
        return Behavior(curve=WHOLE, answers=LAST)


class Silent:
    """A controller that looks every ten seconds and changes nothing."""

    interval_s = 10.0

    def decide(self, seen: object) -> None:
        return None


def watched(arrival_s_N: NDArray[np.float64], rng: np.random.Generator) -> object:
    """The server under a controller's eyes."""
    start = (Setting(model="any", batch=SIZE, batch_timeout_s=0.015),)
    traffic = Traffic(arrival_s_N=arrival_s_N, duration_s=float(arrival_s_N[-1]))
    return run_adaptive(start, Silent(), Everything(), traffic, slo_s=1.0)


CASES = (
    Case("a server for everybody", 60.0, 5e6, unlimited, unlimited_in_simpy),
    Case("one at a time, last exit", 60.0, 5e6, *one_server(LONE, exits=False)),
    Case("one at a time, exits", 50.0, None, *one_server(LONE, exits=True)),
    Case("batches of 6, last exit", 160.0, 4e5, *one_server(BATCHES, exits=False)),
    Case("batches of 6, exits", 160.0, 4e5, *one_server(BATCHES, exits=True)),
    Case("batches of 6, idle, exits", 20.0, 4e5, *one_server(Batching(size=SIZE), exits=True)),
    Case("three stages, last exit", 160.0, 1.2e5, *three_stages(exits=False)),
    Case("three stages, exits", 160.0, 1.2e5, *three_stages(exits=True)),
    Case("batches of 6, watched", 160.0, None, watched, one_server(BATCHES, exits=False)[1]),
)


def per_second(case: Case, run: Callable[..., object], count: int, as_list: bool) -> list[float]:
    """Requests per CPU second of several runs of `count` requests; making the arrivals is not timed."""
    rates = []
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        arrival_s_N = ARRIVALS["poisson"](case.rate_rps, count, rng)
        arrivals = arrival_s_N.tolist() if as_list else arrival_s_N
        start_s = time.process_time()
        run(arrivals, rng)
        rates.append(count / (time.process_time() - start_s))
    return rates


def numbers_a_request(case: Case) -> float:
    """Memory at its highest, in numbers of 8 bytes a request, arrivals included and results kept."""
    rng = np.random.default_rng(0)
    tracemalloc.start()
    kept = case.ours(ARRIVALS["poisson"](case.rate_rps, HELD, rng), rng)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak_bytes / 8 / HELD


def main() -> None:
    print(
        f"numpy {np.__version__}, simpy {simpy.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
    )
    print(f"requests per CPU second, median (min to max) of {RUNS} runs; numbers of memory a request at the peak")
    print(f"{'model':26} {'ttamer':>38} {'asked for':>10} {'simpy':>26} {'ratio':>6} {'numbers':>8}")
    for case in CASES:
        fast = per_second(case, case.ours, OURS, as_list=False)
        slow = per_second(case, case.theirs, SIMPY, as_list=True)
        ratio = statistics.median(fast) / statistics.median(slow)
        gate = f"{case.gate_rps:,.0f}" if case.gate_rps else "-"
        numbers = numbers_a_request(case)
        print(f"{case.name:26} {spread(fast):>38} {gate:>10} {spread(slow):>26} {ratio:5.0f}x {numbers:8.1f}")


def spread(rates: list[float]) -> str:
    """Median with the extremes."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


if __name__ == "__main__":
    main()
