"""Several servers before one queue, and servers for everybody, beside queueing theory and simpy.

A band is Student's interval of independent replications at 99.95 %, or what a test states.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import simpy
from numpy.typing import NDArray
from scipy import stats

from ttamer.planning.simulation.adaptive import AdaptiveRun, Behavior, Setting, Traffic
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.deployment import Answers
from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.replica import run_unlimited
from ttamer.planning.simulation.running import run_adaptive
from ttamer.planning.simulation.service import Curve, WholeService

MEAN_S = 0.01
EXPONENTIAL = Curve((1,), (-MEAN_S * np.log1p(-(np.arange(20_000) + 0.5) / 20_000),))
REPLICATIONS, REQUESTS, WARM_UP = 12, 40_000, 8_000


@dataclass(frozen=True)
class OneBook:
    """Every setting behaves by the same curve."""

    curve: Curve

    def behavior(self, setting: Setting) -> Behavior:
        return Behavior(curve=self.curve, answers=Answers(np.array([0]), np.array([-1])))


def run(curve: Curve, arrival_s_N: NDArray[np.float64], replicas: int, seed: int = 0, **how: object) -> AdaptiveRun:
    traffic = Traffic(arrival_s_N=arrival_s_N, duration_s=float(arrival_s_N[-1]))
    setting = Setting(model="any", replicas=replicas)
    return run_adaptive((setting,), None, OneBook(curve), traffic, slo_s=1.0, seed=seed, **how)  # type: ignore[arg-type]


def band(values: list[float]) -> tuple[float, float]:
    numbers = np.array(values)
    half = stats.t.ppf(0.99975, len(numbers) - 1) * stats.sem(numbers)
    return float(numbers.mean() - half), float(numbers.mean() + half)


def erlang_c(servers: int, offered_load: float) -> float:
    """Kleinrock, Queueing Systems, vol. 1 (1975), sec. 3.5."""
    terms = [offered_load**k / math.factorial(k) for k in range(servers + 1)]
    last = terms[servers] * servers / (servers - offered_load)
    return last / (sum(terms[:servers]) + last)


@pytest.mark.parametrize(("servers", "utilization"), [(2, 0.5), (3, 0.8), (8, 0.9)])
def test_the_probability_of_waiting_and_the_mean_wait_are_erlangs(servers: int, utilization: float) -> None:
    rate_rps = utilization * servers / MEAN_S
    shares, waits_s = [], []
    for seed in range(REPLICATIONS):
        arrival_s_N = ARRIVALS["poisson"](rate_rps, REQUESTS, np.random.default_rng(seed))
        done = run(EXPONENTIAL, arrival_s_N, servers, seed, routing="shared-queue")
        wait_s_N = (done.visits[0].start_s_N - arrival_s_N)[WARM_UP:]
        shares.append(float((wait_s_N > 1e-9).mean()))
        waits_s.append(float(wait_s_N.mean()))
    waiting = erlang_c(servers, rate_rps * MEAN_S)
    low, high = band(shares)
    assert low < waiting < high
    assert high - low < 0.12
    low, high = band(waits_s)
    assert low < waiting * MEAN_S / (servers * (1 - utilization)) < high


def test_a_split_queue_waits_as_separate_servers_do_and_longer_than_a_shared_one() -> None:
    """M/M/1 at each of 4 replicas: mean wait u s / (1 - u)."""
    waits_s: dict[str, list[float]] = {"random": [], "shared-queue": []}
    for seed in range(REPLICATIONS):
        arrival_s_N = ARRIVALS["poisson"](4 * 0.7 / MEAN_S, REQUESTS, np.random.default_rng(100 + seed))
        for routing, each in waits_s.items():
            done = run(EXPONENTIAL, arrival_s_N, 4, seed, routing=routing)
            each.append(float((done.visits[0].start_s_N - arrival_s_N)[WARM_UP:].mean()))
    low, high = band(waits_s["random"])
    assert low < 0.7 * MEAN_S / 0.3 < high
    assert np.mean(waits_s["shared-queue"]) < 0.3 * np.mean(waits_s["random"])


@pytest.mark.parametrize("discipline", [Discipline(), Discipline(limit=1000)])
def test_a_shared_queue_serves_every_request_when_simpys_resource_does(discipline: Discipline) -> None:
    """The same arrivals and constant seconds: the two must agree on every request, not only in distribution."""
    arrival_s_N = ARRIVALS["poisson"](280.0, 4000, np.random.default_rng(5))
    constant = Curve((1,), (np.array([MEAN_S]),))
    done = run(constant, arrival_s_N, 3, routing="shared-queue", discipline=discipline)
    env = simpy.Environment()
    servers, start_s_N = simpy.Resource(env, capacity=3), np.zeros(len(arrival_s_N))

    def request(number: int, at_s: float) -> object:
        yield env.timeout(at_s)
        with servers.request() as turn:
            yield turn
            start_s_N[number] = env.now
            yield env.timeout(MEAN_S)

    for number, at_s in enumerate(arrival_s_N.tolist()):
        env.process(request(number, at_s))  # type: ignore[arg-type]
    env.run()
    assert done.visits[0].start_s_N == pytest.approx(start_s_N, abs=1e-9)


def test_a_finite_queue_loses_what_erlangs_formula_for_it_says() -> None:
    """M/M/1/K with room for 3 to wait: the share that is lost is (1 - u) u^4 / (1 - u^5)."""
    utilization, lost = 0.8, []
    for seed in range(REPLICATIONS):
        arrival_s_N = ARRIVALS["poisson"](utilization / MEAN_S, REQUESTS, np.random.default_rng(200 + seed))
        done = run(EXPONENTIAL, arrival_s_N, 1, seed, discipline=Discipline(limit=3))
        lost.append(float(np.isinf(done.sojourn_s_N[WARM_UP:]).mean()))
    low, high = band(lost)
    assert low < (1 - utilization) * utilization**4 / (1 - utilization**5) < high
    assert high - low < 0.02


def test_littles_law_holds_for_the_answered_where_some_are_dropped() -> None:
    arrival_s_N = ARRIVALS["poisson"](120.0, 60_000, np.random.default_rng(9))
    done = run(EXPONENTIAL, arrival_s_N, 1, discipline=Discipline(limit=5))
    stays_N = np.isfinite(done.sojourn_s_N)
    answer_s_N = np.sort(arrival_s_N[stays_N] + done.sojourn_s_N[stays_N])
    moments_s = np.random.default_rng(1).uniform(0, answer_s_N[-1], 500_000)
    came = np.searchsorted(arrival_s_N[stays_N], moments_s, "right")
    present = came - np.searchsorted(answer_s_N, moments_s, "right")
    rate_rps = stays_N.sum() / answer_s_N[-1]
    assert present.mean() == pytest.approx(rate_rps * done.sojourn_s_N[stays_N].mean(), rel=0.01)


def test_no_server_of_a_shared_queue_is_idle_while_a_request_waits() -> None:
    arrival_s_N = ARRIVALS["poisson"](270.0, 20_000, np.random.default_rng(6))
    done = run(EXPONENTIAL, arrival_s_N, 3, routing="shared-queue")
    start_s_N, answer_s_N = done.visits[0].start_s_N, done.visits[0].answer_s_N
    waits_N = start_s_N > arrival_s_N + 1e-12
    middle_s = (arrival_s_N + start_s_N)[waits_N] / 2
    in_service = np.searchsorted(np.sort(start_s_N), middle_s, "right") - np.searchsorted(
        np.sort(answer_s_N), middle_s, "right"
    )
    assert waits_N.sum() > 1000
    assert (in_service == 3).all()


def test_with_a_server_for_everybody_the_number_present_is_poisson() -> None:
    """M/G/inf: Poisson with the offered load as mean, whatever the law of services."""
    rng = np.random.default_rng(4)
    arrival_s_N = ARRIVALS["poisson"](600.0, 400_000, rng)
    done = run_unlimited(arrival_s_N, WholeService(EXPONENTIAL, 1, rng))
    assert (done.wait_s_N == 0).all()
    moments_s = np.arange(1.0, arrival_s_N[-1] - 1.0, 0.2)  # 20 mean services apart: nearly independent
    left = np.searchsorted(np.sort(done.end_s_J), moments_s, "right")
    present = np.searchsorted(arrival_s_N, moments_s, "right") - left
    assert present.mean() == pytest.approx(6.0, abs=4 * (6.0 / len(moments_s)) ** 0.5)
    assert present.var() == pytest.approx(6.0, rel=0.1)
    observed = np.bincount(present, minlength=15)[:15] / len(present)
    assert np.abs(observed - stats.poisson.pmf(np.arange(15), 6.0)).max() < 4 * (0.25 / len(present)) ** 0.5
