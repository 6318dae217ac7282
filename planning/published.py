"""Servers known by published numbers alone: one latency and one throughput for a full batch, without samples.

As IPA plans (JSys 2024): the requests of a stage form batches in one queue, the first waits for b − 1 arrivals, so a
batch of b at rate λ is answered after l(b) + (b − 1)/λ, and n replicas carry n·h(b). Nothing is said of requests that
queue behind busy replicas: such a promise is as good as the numbers, and a plan that rests on them says so.
"""

from dataclasses import dataclass

from ttamer.planning.batching import utilization
from ttamer.planning.queueing import ServiceLaw, batch_timeout_s, capacity_rps, saturation_rps, sojourn_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLaw:
    """A batch in numbers: seconds to its answers at `quantile`, and requests/s of a replica with full batches."""

    batch: int
    latency_s: float
    throughput_rps: float
    quantile: float

    @property
    def mean_s(self) -> float:
        """Mean busy seconds of a full batch, as the throughput has it."""
        return self.batch / self.throughput_rps

    @property
    def answer_s(self) -> float:
        """Seconds from a batch's start that answer a request."""
        return self.latency_s

    def wait_s(self, rate_rps: float) -> float:
        """Seconds until b − 1 more requests have arrived at this rate."""
        return (self.batch - 1) / rate_rps


Law = ServiceLaw | PublishedLaw


def most_rps(law: Law, slo_s: float, rate_rps: float) -> float:
    """The largest rate of one replica within the SLO; 0 if none. rate_rps: at which its stage's batches fill."""
    if isinstance(law, PublishedLaw):
        return law.throughput_rps if law.latency_s + law.wait_s(rate_rps) <= slo_s else 0.0
    return capacity_rps(law, slo_s)


def group_timeout_s(law: Law, rate_rps: float, replicas: int, slo_s: float) -> float:
    """The batch timeout of a group at this rate, over all its replicas: exactly the wait that its latency assumes."""
    if isinstance(law, PublishedLaw):
        return law.wait_s(rate_rps)
    return batch_timeout_s(law, rate_rps / replicas, slo_s)


def latency_bound_s(law: Law, each_rps: float, wait_s: float) -> float:
    """The promised latency of a replica at this rate that may wait so long for a batch."""
    if isinstance(law, PublishedLaw):
        return law.latency_s + wait_s
    return sojourn_s(law, each_rps, wait_s)


def busy_share(law: Law, each_rps: float, wait_s: float) -> float:
    """The share of time that a replica is busy at this rate that may wait so long for a batch."""
    if isinstance(law, PublishedLaw):
        return min(1.0, each_rps / law.throughput_rps)
    return utilization(law, each_rps, wait_s)


def is_overloaded(law: Law, each_rps: float) -> bool:
    """Whether a replica cannot keep up with this rate; a published throughput may be used up to the last request."""
    if isinstance(law, PublishedLaw):
        return each_rps > law.throughput_rps * (1 + 1e-9)
    return each_rps >= saturation_rps(law)
