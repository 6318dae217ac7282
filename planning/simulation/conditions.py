"""Under which load, on which servers and by which rules of queueing a plan is simulated."""

import math
from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.adaptive import Traffic
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.discipline import PLAIN, Discipline
from ttamer.planning.simulation.network import traffic_through
from ttamer.planning.simulation.routing import ROUTINGS
from ttamer.planning.simulation.running import SPLITS
from ttamer.planning.simulation.traces import Trace
from ttamer.profiles.errors import InputError
from ttamer.profiles.network_trace import NetworkTrace
from ttamer.profiles.registry import lookup

FEWEST_REQUESTS = 50_000  # so that utilization and mean batch are steady at low quantiles too
BEYOND_THE_QUANTILE = 1000  # requests; a busy queue makes a hundred of them worth as much as one independent one
REPLICATIONS = 10
FEWEST_REPLICATED = 1000  # requests in each replication; fewer are one run
MOST_TRACED = 2_000_000  # requests of a trace in all its replications, by default
BYTES_JUDGED = 16  # of each request of each replication: its latency, and once more in order
WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that are held while requests are simulated: of each one, and of each of its visits to a stage.

    As measured, with a tenth or more to spare: tests/unit/test_simulation_memory.py.
    """

    request: int
    visit: int


BY_PIECES = Footprint(24, 14)
SHORTEST_QUEUE = Footprint(320, 16)
ONE_BY_ONE = Footprint(32, 80)


def default_requests(quantile: float) -> int:
    """Enough requests for a useful interval of the quantile: 1000 beyond it, 50,000 at least.

    >>> default_requests(0.99), default_requests(0.5)
    (100000, 50000)
    """
    return max(FEWEST_REQUESTS, math.ceil(round(BEYOND_THE_QUANTILE / (1 - quantile), 6)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """What a plan is put under.

    arrivals: a name of `arrivals/`, at the plan's rate, or a trace, which has its own. rate_scale multiplies the load.
    warm_up: the fraction of each replication's requests, the first ones, that is not judged; None: a tenth, and
    nothing of a trace. clock: a name of `clocks/`. routing, within a group: `random`, `round-robin`, `shortest-queue`
    or `shared-queue`. releases: exits answer early but compute on. network: what requests go through first.
    Raises InputError on an unknown name or an impossible number.
    """

    arrivals: str | Trace = "poisson"
    rate_scale: float = 1.0
    warm_up: float | None = None
    clock: str = "ideal"
    routing: str = "random"
    discipline: Discipline = PLAIN
    releases: bool = False
    network: NetworkTrace | None = None

    def __post_init__(self) -> None:
        if isinstance(self.arrivals, str):
            lookup(ARRIVALS, self.arrivals, "arrival process")
        lookup(CLOCKS, self.clock, "batching clock")
        lookup(dict.fromkeys((*ROUTINGS, *SPLITS)), self.routing, "routing")
        if self.warm_up is not None and not 0 <= self.warm_up < 1:
            raise InputError(
                f"a warm-up of {self.warm_up:g} of the requests", remedy="give a fraction from 0 to below 1"
            )
        if not 0 < self.rate_scale < math.inf:
            raise InputError(f"a load of {self.rate_scale:g} times the planned one", remedy="give a number above zero")
        if self.routing == "shortest-queue" and self.needs_fleet:
            raise InputError(
                "the shortest queue is simulated for plain queues only",
                remedy=f"give another routing: {', '.join(SPLITS)}; or leave limits, order and network away",
            )

    @property
    def needs_fleet(self) -> bool:
        """Whether requests must be followed one by one: their order, their limits or their way matter."""
        return not self.discipline.is_plain or self.network is not None or self.routing not in ROUTINGS

    @property
    def footprint(self) -> Footprint:
        """What simulating a plan under these conditions takes."""
        if self.needs_fleet:
            return ONE_BY_ONE
        return SHORTEST_QUEUE if self.routing == "shortest-queue" else BY_PIECES

    @property
    def arrivals_name(self) -> str:
        """The process, or the trace, by its name."""
        return self.arrivals if isinstance(self.arrivals, str) else f"trace {self.arrivals.name}"

    def rate_rps(self, planned_rps: float) -> float:
        """The mean load."""
        return self.rate_scale * (planned_rps if isinstance(self.arrivals, str) else self.arrivals.rate_rps)

    def warm_up_of(self, requests: int) -> int:
        """How many of the first requests are not judged."""
        usual = WARM_UP if isinstance(self.arrivals, str) else 0.0
        return int(requests * (usual if self.warm_up is None else self.warm_up))

    def traffic(self, planned_rps: float, requests: int, rng: np.random.Generator) -> Traffic:
        """The requests of one replication; a trace has as many as it has."""
        if isinstance(self.arrivals, str):
            sent_s_N = ARRIVALS[self.arrivals](self.rate_rps(planned_rps), requests, rng)
            duration_s = float(sent_s_N[-1])
        else:
            sent_s_N, duration_s = self.arrivals.scaled(self.rate_scale).arrivals(rng), self.arrivals.duration_s
        if self.network is not None:
            return traffic_through(sent_s_N, duration_s, self.network)
        return Traffic(arrival_s_N=sent_s_N, duration_s=duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is simulated: requests in each of so many independent replications."""

    requests: int
    replications: int

    def check(self, stages: int, footprint: Footprint, memory_bytes: int | None) -> None:
        """Raise InputError if so few tell nothing, or if so many cannot be held in memory."""
        if self.replications < 1 or self.requests < 2:
            each = f"each of {self.replications} replications" if self.replications != 1 else "one run"
            raise InputError(
                f"requests in {each}: {self.requests}, too few to observe anything",
                remedy="give 50000 or more, or a longer trace",
            )
        self.check_memory(stages, footprint, memory_bytes)

    def needed_bytes(self, stages: int, footprint: Footprint) -> int:
        """Memory that simulating so much takes; what the first replication did is kept while another one runs."""
        held = min(2, self.replications) * (footprint.request + footprint.visit * stages)
        return self.requests * (held + BYTES_JUDGED * self.replications)

    def check_memory(self, stages: int, footprint: Footprint, memory_bytes: int | None) -> None:
        """Raise InputError if so many cannot be held in memory."""
        needed = self.needed_bytes(stages, footprint)
        if memory_bytes is not None and needed > memory_bytes:
            raise InputError(
                f"{self.requests:,} requests at once need {needed / 2**30:,.1f} GiB of memory,"
                f" {memory_bytes / 2**30:,.1f} are there",
                remedy="simulate fewer requests, more replications, or a shorter window of the trace",
            )


def size_of(conditions: Conditions, quantile: float, requests: int | None, replications: int | None) -> Size:
    """How much to simulate when `requests` are asked for in all replications together; None leaves it to the quantile.

    A trace has its own number. Raises InputError if another one is asked for.

    >>> size_of(Conditions(), 0.99, None, None)
    Size(requests=10000, replications=10)
    """
    if isinstance(conditions.arrivals, str):
        wanted = requests or default_requests(quantile)
        usual = REPLICATIONS if wanted >= REPLICATIONS * FEWEST_REPLICATED else 1
        several = usual if replications is None else replications
        return Size(requests=wanted // max(1, several), replications=several)
    if requests is not None:
        raise InputError("a trace has its own number of requests", remedy="leave --requests out; cut it by --window")
    each = max(1, round(conditions.arrivals.requests * conditions.rate_scale))
    return Size(requests=each, replications=replications or max(1, min(REPLICATIONS, MOST_TRACED // each)))
