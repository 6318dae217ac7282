"""Median times of the exact exploration solvers on random lines, forests and skippable lines.

Run from the repository root: python -m benchmarks.exploration
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported: more threads only wait for each other here

import statistics
import time
from collections.abc import Callable

import numpy as np

from ttamer.exits import exploration as ex

BUDGET_S = 2.0
FEWEST_RUNS = 3
MOST_RUNS = 50


def random_node(rng: np.random.Generator, parent: int, rows: int, states: int, shared: bool) -> ex.Node:
    """A node whose row mass lies near the parent's state, with its own losses or those of shared bins."""
    loss_S = (np.arange(states) + 0.5) / states if shared else np.sort(rng.random(states))
    centre_P = np.linspace(0, 1, rows)[:, np.newaxis]
    weight_PS = rng.gamma(1.0, size=(rows, states)) * np.exp(-8 * np.abs(centre_P - np.linspace(0, 1, states)))
    cost = float(rng.uniform(0.002, 0.02))
    return ex.Node(parent, cost, loss_S, weight_PS / weight_PS.sum(axis=1, keepdims=True))


def random_lines(rng: np.random.Generator, lines: int, exits: int, states: int, shared: bool) -> ex.Forest:
    """Independent lines of random exits; one line is a Chain."""
    nodes: list[ex.Node] = []
    for _ in range(lines):
        for k in range(exits):
            nodes.append(random_node(rng, len(nodes) - 1 if k else -1, states if k else 1, states, shared))
    return (ex.Chain if lines == 1 else ex.Forest)(tuple(nodes))


def random_tree(rng: np.random.Generator, size: int, states: int) -> ex.Forest:
    """A tree where each node hangs below a uniformly drawn earlier one."""
    nodes = [random_node(rng, -1, 1, states, shared=False)]
    for i in range(1, size):
        nodes.append(random_node(rng, int(rng.integers(i)), states, states, shared=False))
    return ex.Forest(tuple(nodes))


def median_s(work: Callable[[], object]) -> tuple[float, int]:
    """Median seconds of one call, and over how many calls."""
    times_s: list[float] = []
    while len(times_s) < FEWEST_RUNS or (sum(times_s) < BUDGET_S and len(times_s) < MOST_RUNS):
        start = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - start)
    return statistics.median(times_s), len(times_s)


def jobs(rng: np.random.Generator) -> list[tuple[str, str, Callable[[], object]]]:
    """Each row of the table: the instance, the solver, and the call."""
    table: list[tuple[str, str, Callable[[], object]]] = []
    for exits, states in ((12, 16), (48, 32), (200, 64)):
        for shared in (False, True):
            chain = random_lines(rng, 1, exits, states, shared)
            name = f"line {exits}x{states} {'shared' if shared else 'distinct'}"
            table += [
                (name, "grid program", lambda c=chain: ex.solve_on_grid(c)),
                (name, "index", lambda c=chain: ex.solve_forest(c)),
                (name, "index and split", lambda c=chain: ex.split_value(c)),
                (name, "no recall", lambda c=chain: ex.no_recall_value(c)),
            ]
    for shared in (False, True):
        several = random_lines(rng, 8, 24, 32, shared)
        name = f"8 lines 24x32 {'shared' if shared else 'distinct'}"
        table += [
            (name, "index", lambda f=several: ex.solve_forest(f)),
            (name, "index and split", lambda f=several: ex.split_value(f)),
        ]
    for states in (8, 16, 32):
        tree = random_tree(rng, 500, states)
        table += [
            (f"tree 500x{states} distinct", "index", lambda f=tree: ex.solve_forest(f)),
            (f"tree 500x{states} distinct", "index and split", lambda f=tree: ex.split_value(f)),
        ]
    for exits, states in ((12, 16), (48, 32)):
        chain = random_lines(rng, 1, exits, states, shared=False)
        problem = ex.SkippableChain(chain, np.array([node.cost / 4 for node in chain.nodes]))
        table.append((f"skippable {exits}x{states} distinct", "program", lambda p=problem: ex.solve_skippable(p)))
    return table


def main() -> None:
    """Print the table."""
    print(f"{'instance':28} {'solver':18} {'median_ms':>10} {'runs':>5}")
    for instance, solver, work in jobs(np.random.default_rng(20250929)):
        seconds, runs = median_s(work)
        print(f"{instance:28} {solver:18} {seconds * 1e3:10.2f} {runs:5d}", flush=True)


if __name__ == "__main__":
    main()
