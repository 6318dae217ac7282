"""How long a request may spend at a replica: quantiles of wait and service together, from above.

A replica takes requests that arrive as a Poisson process in batches: a batch starts when the server is
free and either `batch` requests wait or the oldest has waited for the timeout. Everything here is an
upper bound that holds for any timeout, so a plan that meets its SLO by it meets it in a simulation.

The argument. Let S be the busy time of a batch, M(θ) = E exp(θS), and let Y be the requests left waiting
when a batch starts. Whatever the timeout, Y follows Lindley's recursion Y' = max(0, Y + A(S) − b), A(S) being
the arrivals during S. With z = 1 + θ/r and M(θ) ≤ z^b, Kingman's inequality gives P(Y ≥ k) ≤ z^−k. A request
that arrives in a service of remaining length R is behind ⌊(Y + arrivals so far)/b⌋ full batches; Wald's identity
bounds the time V until the server is free for it: P(V > x) ≤ u E[S e^θS]/E[S] e^−θx, u being the share of time
that the server is busy. Its wait is at most max(timeout, V). With b = 1 Kingman's P(V > x) ≤ e^−θx holds as well.
Every θ that satisfies M(θ) ≤ z^b gives a valid bound, so searching a grid of them errs on the safe side.

Sources: Kingman, Inequalities in the theory of queues, JRSS B 32 (1970); Kleinrock, Queueing Systems, vol. 2
(1976), sec. 2.3; Neuts, A general class of bulk queues, Ann. Math. Stat. 38 (1967), for the batching rule.

Axes: T tilts (the θ above, 1/s), B batch sizes 0..batch.
"""

import math
from dataclasses import dataclass

import numpy as np

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

SERVICE_SHARE = 0.2  # of the tolerated share 1 − q of late requests, for long services; the rest is for the queue.
# Measured services have few samples and a short tail, the queue has a long one: it costs ln(1/0.8) = 5 % of a tail
# of ln(100) to leave the services a level (99.8 % for q = 99 %) that their samples bound.
ROUNDING = 1e-12  # lets a tilt count at the very rate that it gives as capacity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceLaw:
    """How long batches of up to `batch` requests keep a replica busy, and how soon a request is answered.

    mean_s_B: mean busy seconds of a batch by its size. tilt_T ascends.
    busy_cumulant_T: ln E exp(tilt × busy seconds), busy_tail_T: ln of E[S exp(tilt × S)] / E[S], and
    answer_cumulant_T: ln E exp(tilt × seconds from start to answer); each the largest over sizes 1..batch.
    answer_s: seconds from a batch's start that answer a request with probability `service_level(quantile)`.
    """

    batch: int
    mean_s_B: Floats
    tilt_T: Floats
    busy_cumulant_T: Floats
    busy_tail_T: Floats
    answer_cumulant_T: Floats
    answer_s: float
    quantile: float

    @property
    def mean_s(self) -> float:
        """Mean busy seconds of a full batch."""
        return float(self.mean_s_B[-1])

    @property
    def lone_s(self) -> float:
        """The most busy seconds per request, over batch sizes: no server is busier than rate × this."""
        return float((self.mean_s_B[1:] / np.arange(1, self.batch + 1)).max())


def service_level(quantile: float) -> float:
    """The quantile at which services are bounded so that sojourns are bounded at `quantile`."""
    return 1 - (1 - quantile) * SERVICE_SHARE


def saturation_rps(law: ServiceLaw) -> float:
    """The rate that keeps a replica busy all the time with full batches."""
    return law.batch / law.mean_s


def sojourn_s(law: ServiceLaw, rate_rps: float, timeout_s: float) -> float:
    """An upper bound of the law's quantile of the sojourn time at one replica; inf if it is overloaded.

    Raises InputError unless the rate is above zero and the timeout at least zero.
    """
    if not rate_rps > 0 or not timeout_s >= 0:
        raise InputError(f"rate {rate_rps} rps and batch timeout {timeout_s} s", remedy="rates are above zero")
    is_stable_T = law.busy_cumulant_T <= law.batch * np.log1p(law.tilt_T / rate_rps) + ROUNDING
    if not is_stable_T.any():
        return math.inf
    log_constant_T = math.log(min(1.0, rate_rps * law.lone_s)) + law.busy_tail_T
    if law.batch == 1:
        log_constant_T = np.minimum(log_constant_T, 0.0)
    queue_s_T = (log_constant_T + law.answer_cumulant_T - _log_queue_share(law)) / law.tilt_T
    return max(timeout_s + law.answer_s, float(queue_s_T[is_stable_T].min()))


def capacity_rps(law: ServiceLaw, slo_s: float) -> float:
    """The largest rate of one replica at which `sojourn_s` stays within the SLO; 0 if even an idle one misses it.

    In closed form: for each tilt the bound holds up to the rate at which it ceases to be stable, and, unless
    its constant is 1 anyway, up to the busy share at which the tail reaches the tolerated share.
    """
    if slo_s < law.answer_s:
        return 0.0
    with np.errstate(over="ignore"):  # an infinite one bounds the rate by zero
        stable_rps_T = law.tilt_T / np.expm1(law.busy_cumulant_T / law.batch)
    room_T = _log_queue_share(law) + law.tilt_T * slo_s - law.answer_cumulant_T
    busy_room_T = room_T - law.busy_tail_T
    tail_rps_T = np.where(busy_room_T >= 0, np.inf, np.exp(np.minimum(busy_room_T, 0.0)) / law.lone_s)
    if law.batch == 1:
        tail_rps_T = np.where(room_T >= 0, np.inf, tail_rps_T)
    return float(np.minimum(stable_rps_T, tail_rps_T).max())


def batch_timeout_s(law: ServiceLaw, rate_rps: float, slo_s: float) -> float:
    """The wait for b − 1 more requests at this rate, or what the SLO leaves beside the service if that is less.

    Source of the wait: IPA (JSys 2024), q(b) = (b − 1)/λ.
    """
    return max(0.0, min((law.batch - 1) / rate_rps, slo_s - law.answer_s))


def _log_queue_share(law: ServiceLaw) -> float:
    return math.log((1 - law.quantile) * (1 - SERVICE_SHARE))
