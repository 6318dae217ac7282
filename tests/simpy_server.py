"""The batching server written independently in simpy, for tests and benchmarks to compare with.

Its waiting rule is a process that sleeps until something happens, its exits are sets of rows, and its draws are
plain order statistics: nothing is shared with the simulation but the measured seconds and the batching's numbers.
"""

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from ttamer.planning.simulation.replica import Batching
from ttamer.planning.simulation.service import Curve

SIZE = 6
RAW = np.random.default_rng(99)
WHOLE = Curve((1, 2, 6), tuple(np.sort(RAW.lognormal(np.log(s), 0.3, 50)) for s in (0.010, 0.014, 0.024)))
STAGE = Curve((1, 2, 6), tuple(np.sort(RAW.lognormal(np.log(s), 0.3, 50)) for s in (0.005, 0.007, 0.012)))
HEAD = Curve((1, 6), (np.array([0.001]), np.array([0.0015])))
STOP_SHARES = (0.5, 0.2, 0.3)

Answers = Callable[[Sequence[int]], tuple[float, list[float]]]


def draw(curve: Curve, size: int, rng: np.random.Generator) -> float:
    """Seconds of one batch: the same quantile of every measured size, interpolated between them."""
    level = 1 - rng.random()  # above 0, where the least sample would be the 0th
    at = [seconds[math.ceil(level * len(seconds)) - 1] for seconds in curve.seconds]
    return float(np.interp(size, curve.sizes, at))


def whole_answers(rng: np.random.Generator) -> Answers:
    def answer(stops: Sequence[int]) -> tuple[float, list[float]]:
        busy_s = draw(WHOLE, len(stops), rng)
        return busy_s, [busy_s] * len(stops)

    return answer


def staged_answers(rng: np.random.Generator) -> Answers:
    def answer(stops: Sequence[int]) -> tuple[float, list[float]]:
        clock_s, answers_s = 0.0, [0.0] * len(stops)
        for k in range(len(STOP_SHARES)):
            alive = [row for row, stop in enumerate(stops) if stop >= k]
            if alive:
                clock_s += draw(STAGE, len(alive), rng) + (draw(HEAD, len(alive), rng) if k != 1 else 0.0)
            for row in alive:
                if stops[row] == k:
                    answers_s[row] = clock_s
        return clock_s, answers_s

    return answer


def in_simpy(
    arrival_s: Sequence[float], stops: Sequence[int], batching: Batching, answers: Answers
) -> NDArray[np.float64]:
    """Sojourn seconds at a server that sleeps until a batch is full or the oldest request has waited long enough."""
    env = simpy.Environment()
    queue: list[int] = []
    sojourn_s = np.zeros(len(arrival_s))
    changed = env.event()

    def source() -> Generator[Any, Any, None]:
        nonlocal changed
        for request, at_s in enumerate(arrival_s):
            yield env.timeout(max(0.0, at_s - env.now))
            queue.append(request)
            changed.succeed()
            changed = env.event()

    def server() -> Generator[Any, Any, None]:
        while True:
            while not queue:
                yield changed
            opened_s = arrival_s[queue[0]] if batching.clock == "ideal" else env.now
            while len(queue) < batching.size and opened_s + batching.timeout_s - env.now > 1e-12:
                yield changed | env.timeout(opened_s + batching.timeout_s - env.now)
            batch = queue[: batching.size]
            del queue[: batching.size]
            busy_s, answers_s = answers([stops[request] for request in batch])
            for request, answer_s in zip(batch, answers_s, strict=True):
                sojourn_s[request] = env.now + answer_s - arrival_s[request]
            yield env.timeout(busy_s)

    env.process(source())
    env.process(server())
    env.run()
    return sojourn_s
