"""The search for the best choice stays small where limits are tight and accuracies multiply."""

from dataclasses import replace

import numpy as np
import pytest

from ttamer.planning import search
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.problem import Problem, SolveLimits
from ttamer.planning.programs import ipa
from ttamer.planning.solve import solve

BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Of 1500 instances those that took the search most labels while it bounded the product as a whole: up to 700 000.
HARD = (398, 412, 826, 1093, 1118)
MOST_LABELS = 60_000


def random_pipeline(seed: int, stages: int = 10, variants: int = 10) -> Problem:
    """Any load, pace, spread, weight and tightness that the seed draws, and perhaps a limit besides."""
    rng = np.random.default_rng(seed)
    rate_rps, pace = float(rng.choice([1, 5, 20, 50, 200])), 0.3 * float(rng.choice([0.2, 1, 3]))
    tightness = float(rng.uniform(0.05, 2.0))
    alpha, beta = float(rng.choice([1, 5, 10, 100, 1000])) * stages, float(rng.choice([0.05, 0.5, 2]))
    is_ordered, noise, is_large = rng.random() < 0.6, float(rng.choice([0.03, 0.1, 0.4])), rng.random() < 0.3
    least = float(rng.choice([0.3, 0.5, 0.8]))
    made = []
    for number in range(stages):
        skill_V = np.sort(rng.random(variants))
        slowness_V = skill_V if is_ordered else rng.random(variants)
        one_s_V = pace * (0.02 + 0.3 * slowness_V * rng.uniform(0.6, 1.4, variants))
        fixed = rng.uniform(0.1, 0.95)
        some = []
        for v in range(variants):
            latency_s_B = [
                float(one_s_V[v] * (fixed + (1 - fixed) * batch) * rng.uniform(1 - noise, 1 + noise))
                for batch in BATCHES
            ]
            some.append(
                ipa.Variant(
                    name=f"variant {v}",
                    accuracy=float(least + (0.98 - least) * skill_V[v]),
                    cores=int(rng.integers(1, 33)) if is_large else int(rng.choice([1, 1, 2, 4, 8])),
                    points=tuple(
                        ipa.Point(batch=batch, latency_s=latency_s, throughput_rps=batch / latency_s)
                        for batch, latency_s in zip(BATCHES, latency_s_B, strict=True)
                    ),
                )
            )
        made.append(ipa.Stage(name=f"stage {number}", variants=tuple(some)))
    points = [[point for one in stage.variants for point in one.points] for stage in made]
    fastest_s = sum(min(point.latency_s + (point.batch - 1) / rate_rps for point in some) for some in points)
    slowest_s = sum(max(point.latency_s for point in some if point.batch == 1) for some in points)
    problem = ipa.problem(
        made, rate_rps=rate_rps, slo_s=fastest_s + tightness**2 / 2 * slowest_s, aggregation="product",
        weights=ipa.Weights(alpha=alpha, beta=beta, delta=1e-6),
    )  # fmt: skip
    kind = rng.random()
    if kind < 0.25:
        return replace(problem, most_cores=int(rng.integers(20, 400)))
    if kind < 0.4:
        return replace(problem, most_replicas=int(rng.integers(10, 120)))
    return replace(problem, least_accuracy=float(rng.uniform(0.3, 0.9)) ** stages) if kind < 0.5 else problem


@pytest.mark.parametrize("seed", HARD)
def test_a_tight_pipeline_whose_accuracies_multiply_takes_few_labels(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [0]
    grow = PartialChoices.grown

    def counted(self: PartialChoices, options: object) -> object:
        grown = grow(self, options)  # type: ignore[arg-type]
        made[0] += len(grown[1])
        return grown

    monkeypatch.setattr(PartialChoices, "grown", counted)
    assert solve(random_pipeline(seed), "labels", SolveLimits(time_s=60.0)).status == "optimal"
    assert made[0] < MOST_LABELS


def test_a_search_that_is_stopped_tells_what_it_found_and_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WIDTHS", (8, None))
    problem = random_pipeline(1093)
    best, stopped = solve(problem, "labels"), solve(problem, "labels", SolveLimits(time_s=0.0))
    assert stopped.status == "time-limited"
    assert stopped.objective <= best.objective + 1e-9 <= stopped.bound + 2e-9
