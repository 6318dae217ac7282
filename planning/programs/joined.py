"""Everything in one program: exits, variants, batches, cores and replicas of every stage, on a mixed fleet.

maximise  α · A − β · Σ n_j price_j − δ · Σ batch_j − latency · Σ latency_s − loading · L, or one of these alone,
subject to every constraint of `ttamer.planning.constraints`: load, capacity, groups, cores and memory of all and of
each pool, money, replicas, end-to-end latency, accuracy floor.

An offer is one way to serve a stage. A model with exits makes one for each exit policy, a device one for each pool
that has it, so exits and mixed fleets are more offers and not another program. `ttamer plan` solves this one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ttamer.planning.problem import Aggregation, Column, Pool, Problem, aimed
from ttamer.profiles.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One replica of a model with an exit policy, a batch size and cores (of a pool of devices: devices).

    latency_s: of the end-to-end latency the part that its stage then needs, waits included. capacity_rps: the most one
    replica takes. replicas: their number if it is not free; a model with such offers then runs in one setting alone.
    """

    stage: str
    model: str
    policy: str = "last-exit"
    pool: str = ""
    cores: int
    batch: int
    latency_s: float
    capacity_rps: float
    accuracy: float
    memory_bytes: int = 0
    load_time_s: float = 0.0
    replicas: int | None = None

    @property
    def setting(self) -> tuple[str, str, str, str, int, int, float]:
        """What tells the offer from others."""
        return (self.stage, self.model, self.policy, self.pool, self.cores, self.batch, self.latency_s)

    @property
    def loaded(self) -> tuple[str, str, str, int]:
        """What is loaded: another exit policy or batch size of it runs without loading anything."""
        return (self.stage, self.model, self.pool, self.cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a plan may use at most, None where there is no limit. cost: an hour, in the unit of the pools' prices.

    replicas: of all stages, stage_replicas: of each.
    """

    latency_s: float | None = None
    cores: int | None = None
    cost: float | None = None
    replicas: int | None = None
    stage_replicas: int | None = None
    memory_bytes: int | None = None
    least_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is aimed at: `accuracy`, `cost` or `latency` alone, or all of them by weight."""

    aim: str = "weighted"
    aggregation: Aggregation = "sum"
    accuracy: float = 1.0
    cost: float = 1e-3
    batch: float = 1e-6
    latency: float = 0.0
    loading: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The pools with their prices and limits, and how many replicas run already, by what is loaded."""

    pools: tuple[Pool, ...] = ()
    running: Mapping[tuple[str, str, str, int], int] = field(default_factory=dict)


def problem(
    offers: Sequence[Offer],
    *,
    stages: Sequence[str],
    rate_rps: float,
    limits: Limits,
    fleet: Fleet | None = None,
    objective: Objective | None = None,
    mix: bool = False,
) -> Problem:
    """The program of all offers. mix: whether several offers may share the load of a stage.

    Raises InputError if two offers are the same, a stage or pool is unknown or the aim is.
    """
    on, aim = fleet or Fleet(), objective or Objective()
    twice = [setting for setting, count in Counter(offer.setting for offer in offers).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]} is offered twice", remedy="offer each setting once")
    return aimed(
        Problem(
            columns=tuple(_column(offer, on.running.get(offer.loaded, 0)) for offer in offers),
            stages=tuple(stages),
            rate_rps=rate_rps,
            pools=on.pools,
            most_cores=limits.cores,
            most_cost=limits.cost,
            most_replicas=limits.replicas,
            most_stage_replicas=limits.stage_replicas,
            most_memory_bytes=limits.memory_bytes,
            most_latency_s=limits.latency_s,
            least_accuracy=limits.least_accuracy,
            mix=mix,
            aggregation=aim.aggregation,
            accuracy_weight=aim.accuracy,
            cost_weight=aim.cost,
            batch_weight=aim.batch,
            latency_weight=aim.latency,
            loading_weight=aim.loading,
        ),
        aim.aim,
    )


def _column(offer: Offer, running: int) -> Column:
    return Column(
        stage=offer.stage,
        name=offer.model,
        pool=offer.pool,
        cores=offer.cores,
        batch=offer.batch,
        capacity_rps=offer.capacity_rps,
        accuracy=offer.accuracy,
        latency_s=offer.latency_s,
        memory_bytes=offer.memory_bytes,
        load_time_s=offer.load_time_s,
        running=running,
        replicas=offer.replicas,
        group="" if offer.replicas is None else offer.model,
    )
