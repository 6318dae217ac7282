"""Time the policies: a million records through each kind, fitting, frontiers, Apparate's search. Prints a table.

Run from the repository root: python -m benchmarks.policies

Times are CPU seconds of the best of several runs; of each kind the slowest of three settings. The aims: a million records of twelve
exits through any policy within a second, all corners of a frontier of twelve exits and eight bins within two.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported: more threads only wait for each other here

import argparse
import time
from collections.abc import Callable

import numpy as np

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.tuner import Compat, tune, tune_exactly
from ttamer.exits.confidence_chain import ConfidenceChain
from ttamer.exits.evaluate import evaluate
from ttamer.exits.mixture import KINDS
from ttamer.exits.policies.dynamic_index import promised
from ttamer.exits.sweep import corners

EXITS = 12


def best_s(run: Callable[[], object], runs: int) -> float:
    """CPU seconds of the fastest run, which other work on the machine disturbs least."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


def row(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:<58} {seconds:>9.3f} s  {note}")


def replay(samples: int, runs: int) -> None:
    """The records through one policy of each kind, alone and with what an evaluation counts."""
    calibration, costs = plausible_records(1, 2000, EXITS, split="calibration"), even_costs(EXITS)
    records = plausible_records(2, samples, EXITS, first=10_000)
    for kind, policy_type in KINDS.items():
        started = time.process_time()
        family = list(policy_type.family(calibration, costs))
        fit_s = time.process_time() - started
        some = [family[0], family[len(family) // 2], family[-1]]
        decide_s = max(best_s(lambda policy=policy: policy.decide(records), runs) for policy in some)  # type: ignore[misc]
        row(f"{samples:,} x {EXITS} through {kind}", decide_s, f"fitting {len(family)} took {fit_s:.2f} s")
    row(f"{samples:,} x {EXITS} evaluated under a mixture", best_s(lambda: evaluate(some[1], records, costs), runs))


def random_chain(exits: int, bins: int) -> ConfidenceChain:
    """A chain without structure, which has more corners than any fitted one."""
    rng = np.random.default_rng(0)
    loss = tuple(np.sort(rng.uniform(0.01, 0.6 - 0.04 * a, bins))[::-1] for a in range(exits))
    steps = [rng.dirichlet(np.ones(bins) * 0.7, size=bins) for _ in range(exits - 1)]
    edges = tuple(np.arange(bins - 1.0) for _ in range(exits))
    return ConfidenceChain(tuple(range(exits)), edges, loss, (rng.dirichlet(np.ones(bins))[np.newaxis], *steps))


def frontiers(runs: int) -> None:
    """All corners of the promised frontier."""
    for exits, bins in ((6, 8), (12, 8)):
        chain, share_A = random_chain(exits, bins), np.full(exits, 1 / exits)
        found: list[int] = []

        def run(chain: ConfidenceChain = chain, share_A: np.ndarray = share_A, found: list[int] = found) -> None:
            found.append(len(corners(lambda price: promised(chain.priced(share_A, price), price))))

        row(f"all corners of the frontier, {exits} exits x {bins} bins", best_s(run, runs), f"{found[0]} corners")


def apparate(samples: int, runs: int) -> None:
    """The greedy search and the exact optimum of two ramps."""
    feedback = Feedback.of(plausible_records(1, samples, EXITS))
    latency = RampLatency(0.622 * np.arange(1, EXITS + 1), np.full(EXITS, 0.106))
    for ramps in ((3, 7), (2, 5, 8), tuple(range(EXITS - 1))):
        search_s = best_s(lambda ramps=ramps: tune(feedback, latency, ramps, 0.01, compat=Compat.RELEASED), runs)  # type: ignore[misc]
        row(f"greedy search of {len(ramps)} ramps, {samples} samples", search_s)
    row(
        f"exact optimum of 2 ramps, {samples} samples",
        best_s(lambda: tune_exactly(feedback, latency, (3, 7), 0.01), runs),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    replay(arguments.samples, arguments.runs)
    frontiers(arguments.runs)
    apparate(872, arguments.runs)
