"""How full the batches of a replica get, and so how busy it is: a Markov chain over the starts of batches.

Source of the chain: Neuts, A general class of bulk queues, Ann. Math. Stat. 38 (1967); with a timeout, the age of
the oldest waiting request when the server becomes free takes the place of his minimum batch, at its mean.

Axes: B batch sizes 0..batch, A arrivals or waiting requests, Y states.
"""

import math

import numpy as np

from ttamer.planning.queueing import ServiceLaw
from ttamer.profiles.records import Floats

LEFT_OUT = 1e-6  # probability of longer queues than the chain has states for
MOST_WAITING = 600  # states; a queue this long on average is at 99.9 % of saturation


def utilization(law: ServiceLaw, rate_rps: float, timeout_s: float) -> float:
    """Expected share of time that a replica is busy; 1 if it is overloaded.

    Partly filled batches cost more a request than full ones, so this lies above rate × mean / batch.
    """
    full = rate_rps * law.mean_s / law.batch
    if full >= 1 or law.batch == 1:
        return min(1.0, full)
    size_share_B = _batch_size_share_B(law, rate_rps, timeout_s, full)
    requests = float(size_share_B @ np.arange(law.batch + 1))
    busy = rate_rps * float(size_share_B @ law.mean_s_B) / requests
    return busy if busy < 1 else full  # the chain is cut short where batches are practically always full


def _batch_size_share_B(law: ServiceLaw, rate_rps: float, timeout_s: float, full: float) -> Floats:
    """Share of batches of each size."""
    b, waiting = law.batch, _most_waiting(full, law.batch)
    # States: the batch that just started had 1..b requests and left none behind (0..b-1), or b and left 1..waiting.
    states = b + waiting
    step_YY = np.zeros((states, states))
    for state in range(states):
        size, left = (state + 1, 0) if state < b else (b, state - b + 1)
        service_s = float(law.mean_s_B[size])
        arrival_share_A = _poisson_A(rate_rps * service_s, waiting + b)
        for arrivals in np.flatnonzero(arrival_share_A > LEFT_OUT / states):
            queued = left + int(arrivals)
            if queued > b:
                step_YY[state, min(b + queued - b - 1, states - 1)] += arrival_share_A[arrivals]
            else:
                age_s = service_s + left / rate_rps if left else service_s * arrivals / (arrivals + 1)
                late_A = _late_arrivals_A(queued, b, rate_rps, timeout_s - age_s if queued else timeout_s)
                step_YY[state, :b] += arrival_share_A[arrivals] * late_A
    stationary_Y = _stationary(step_YY / step_YY.sum(axis=1, keepdims=True))
    share_B = np.zeros(b + 1)
    share_B[1:] = stationary_Y[:b]
    share_B[b] += stationary_Y[b:].sum()
    return share_B


def _late_arrivals_A(queued: int, batch: int, rate_rps: float, remaining_s: float) -> Floats:
    """Probability of batches of 1..batch when `queued` wait and the oldest still has some time to wait for more."""
    present = max(queued, 1)
    size_share = np.zeros(batch)
    more_A = _poisson_A(rate_rps * max(0.0, remaining_s), batch - present)
    more_A[-1] += max(0.0, 1 - more_A.sum())
    size_share[present - 1 :] = more_A
    return size_share


def _most_waiting(full: float, batch: int) -> int:
    """Queue length that is exceeded with probability below LEFT_OUT, by the diffusion limit of the bulk queue."""
    decay = 2 * (1 - full) / full if full > 0 else math.inf  # ln z ≈ 2(1 − ρ)/ρ for deterministic services
    return min(MOST_WAITING, batch + math.ceil(-math.log(LEFT_OUT) / decay))


def _poisson_A(mean: float, most: int) -> Floats:
    """Poisson probabilities of 0..most."""
    count_A = np.arange(most + 1)
    if mean <= 0:
        return np.asarray(count_A == 0, dtype=np.float64)
    log_factorial_A = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    return np.asarray(np.exp(count_A * math.log(mean) - mean - log_factorial_A))


def _stationary(step_YY: Floats) -> Floats:
    """The distribution π = πP of a chain with one closed class."""
    balance = step_YY.T - np.eye(len(step_YY))
    balance[-1] = 1.0
    unit = np.zeros(len(step_YY))
    unit[-1] = 1.0
    share = np.clip(np.linalg.solve(balance, unit), 0.0, None)
    return np.asarray(share / share.sum())
