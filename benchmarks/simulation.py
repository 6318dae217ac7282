"""Requests simulated per CPU second, beside simpy on the same model of the same server, in one run.

Run from the repository root: python -m benchmarks.simulation
"""

import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import simpy

from tests.simpy_server import HEAD, SIZE, STAGE, STOP_SHARES, WHOLE, in_simpy, staged_answers, whole_answers
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import BatchService, ExitCurves, StagedService, WholeService

RUNS = 5
OURS, SIMPY = 400_000, 10_000
CASES = {
    "one at a time, last exit": (60.0, Batching(size=1), False),
    "one at a time, exits": (50.0, Batching(size=1), True),
    "batches of 6, last exit": (160.0, Batching(size=SIZE, timeout_s=0.015), False),
    "batches of 6, exits": (160.0, Batching(size=SIZE, timeout_s=0.015), True),
    "batches of 6, idle, exits": (20.0, Batching(size=SIZE), True),
}


def per_second(count: int, run: Callable[[np.random.Generator], object]) -> list[float]:
    """Requests per CPU second of several runs of `count` requests."""
    rates = []
    for seed in range(RUNS):
        start_s = time.process_time()
        run(np.random.default_rng(seed))
        rates.append(count / (time.process_time() - start_s))
    return rates


def main() -> None:
    print(
        f"numpy {np.__version__}, simpy {simpy.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
    )
    print(f"requests per CPU second, median (min to max) of {RUNS} runs")
    print(f"{'server':28} {'ttamer':>34} {'simpy':>26} {'ratio':>7}")
    for name, (rate_rps, batching, exits) in CASES.items():

        def ours(
            rng: np.random.Generator, rate_rps: float = rate_rps, batching: Batching = batching, exits: bool = exits
        ) -> None:
            stops = rng.choice(len(STOP_SHARES), OURS, p=STOP_SHARES).tolist()
            curves = ExitCurves((STAGE,) * 3, (HEAD, None, HEAD))
            service: BatchService = (
                StagedService(curves, stops, SIZE, rng) if exits else WholeService(WHOLE, SIZE, rng)
            )  # fmt: skip
            run_replica(ARRIVALS["poisson"](rate_rps, OURS, rng), batching, service)

        def theirs(
            rng: np.random.Generator, rate_rps: float = rate_rps, batching: Batching = batching, exits: bool = exits
        ) -> None:
            stops = rng.choice(len(STOP_SHARES), SIMPY, p=STOP_SHARES).tolist()
            answers = staged_answers(rng) if exits else whole_answers(rng)
            in_simpy(ARRIVALS["poisson"](rate_rps, SIMPY, rng).tolist(), stops, batching, answers)

        fast, slow = per_second(OURS, ours), per_second(SIMPY, theirs)
        ratio = statistics.median(fast) / statistics.median(slow)
        print(f"{name:28} {spread(fast):>34} {spread(slow):>26} {ratio:6.0f}x")


def spread(rates: list[float]) -> str:
    """Median with the extremes."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


if __name__ == "__main__":
    main()
