"""Sponge: the cores and the batch size of one model within what the network leaves of the SLO, second by second.

minimise  c + δ · b
subject to  ⌈λ/b⌉ · l(b, c) ≤ remaining − (1 − headroom) · SLO,  b / l(b, c) ≥ λ,  l > 0,  c ≤ c_max,  b ≤ b_max,
with l(b, c) = g·b/c + d·b + e/c + h: a second's requests are assumed to wait already and run batch after batch.
What a setting needs does not depend on the second, so all seconds are decided at once by `schedule`, which
`ttamer plan --network-trace` calls.

The published rules are here too, for comparison: `decide_as_published` (Sponge) and `decide_fa2_as_published`.
Source: Razavi et al., Sponge: Inference Serving with Dynamic SLOs Using In-Place Vertical Scaling, EuroMLSys 2024.

Axes: C numbers of cores, B batch sizes, both from the least to the most allowed; S seconds, G settings that can serve
at all, the best first. Latencies are in the unit of the fit, milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ttamer.planning.problem import Column, Problem
from ttamer.planning.surface import Coefficients, fit_least_squares
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

STAGE = "serve"
ROUNDING = 1e-9  # relative, of sums of latencies


class Curve(Protocol):
    """What a batch takes."""

    def latency(self, batch: ArrayLike, cores: ArrayLike) -> Floats:
        """Milliseconds at batches and cores of any common shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What one second brings. remaining_slo_ms: of the SLO, after the network's part."""

    rate_rps: float
    slo_ms: float
    remaining_slo_ms: float

    def __post_init__(self) -> None:
        if not self.rate_rps >= 0 or not self.slo_ms > 0:
            raise InputError(f"a second of {self.rate_rps} rps under an SLO of {self.slo_ms} ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a replica may be. headroom: the part of the SLO that is planned for."""

    cores: int = 16
    batch: int = 16
    least_cores: int = 1
    least_batch: int = 1
    headroom: float = 0.9
    delta: float = 1e-3
    needs_throughput: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Instances of a model with these cores each, and the batch size. latency_ms: of one batch."""

    instances: int
    cores: int
    batch: int
    latency_ms: float


def fit(batches: Sequence[int], cores: Sequence[int], latency_ms: Sequence[float]) -> Coefficients:
    """The coefficients by ordinary least squares, as published: they may promise negative latencies.

    `ttamer.profiles.surface.fit_surface` is the fit that does not.
    """
    return fit_least_squares(batches, cores, latency_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """Every setting that can serve in some second, the one of the least objective first.

    needs_ms_G: until the last of a second's requests is answered. least_needs_ms_G: of this setting and all before it.
    """

    cores_G: Ints
    batch_G: Ints
    latency_ms_G: Floats
    needs_ms_G: Floats
    least_needs_ms_G: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """The setting of every second by its number in `settings`, -1 where none serves it. room_ms_S: what there was."""

    settings: Settings
    chosen_S: Ints
    room_ms_S: Floats


def schedule(
    curve: Curve, *, rate_rps: float, slo_ms: float, remaining_slo_ms_S: ArrayLike, limits: Limits
) -> Decisions:
    """For each second the fewest cores, then the smallest batch (as delta weighs them) that serve it.

    remaining_slo_ms_S: of the SLO, after the network's part. Raises InputError on a rate or an SLO below zero.
    """
    Second(rate_rps=rate_rps, slo_ms=slo_ms, remaining_slo_ms=slo_ms)
    settings = list_settings(curve, rate_rps, limits)
    remaining_ms_S = np.asarray(remaining_slo_ms_S, dtype=float)
    room_ms_S = np.asarray((remaining_ms_S - (1 - limits.headroom) * slo_ms) * (1 + ROUNDING))
    # The first setting that needs no more than the room is where the least need so far falls to it.
    first_S = np.searchsorted(-settings.least_needs_ms_G, -room_ms_S, side="left")
    chosen_S = np.where(first_S < len(settings.cores_G), first_S, -1)
    return Decisions(settings, chosen_S, room_ms_S)


def list_settings(curve: Curve, rate_rps: float, limits: Limits) -> Settings:
    """The settings that keep up with the rate, by objective."""
    cores_CB, batch_CB = np.meshgrid(_cores_C(limits), _batch_B(limits), indexing="ij")
    latency_CB = curve.latency(batch_CB, cores_CB)
    is_able_CB = latency_CB > 0
    if limits.needs_throughput:
        is_able_CB &= 1e3 * batch_CB * (1 + ROUNDING) >= rate_rps * latency_CB
    cores_G, batch_G, latency_G = cores_CB[is_able_CB], batch_CB[is_able_CB], latency_CB[is_able_CB]
    order_G = np.argsort(cores_G + limits.delta * batch_G, kind="stable")
    cores_G, batch_G, latency_G = cores_G[order_G], batch_G[order_G], latency_G[order_G]
    needs_G = np.maximum(1.0, np.ceil(rate_rps / batch_G)) * latency_G
    return Settings(cores_G, batch_G, latency_G, needs_G, np.minimum.accumulate(needs_G))


def decide(curve: Curve, second: Second, limits: Limits) -> Decision | None:
    """The decision of a single second; None if no setting serves it."""
    made = schedule(
        curve, rate_rps=second.rate_rps, slo_ms=second.slo_ms, remaining_slo_ms_S=[second.remaining_slo_ms],
        limits=limits,
    )  # fmt: skip
    g, settings = int(made.chosen_S[0]), made.settings
    if g < 0:
        return None
    return Decision(
        instances=1, cores=int(settings.cores_G[g]), batch=int(settings.batch_G[g]),
        latency_ms=float(settings.latency_ms_G[g]),
    )  # fmt: skip


def problem(curve: Curve, second: Second, limits: Limits) -> Problem:
    """The same second as a serving program: a column for each number of cores and batch size."""
    cores_C, batch_B = _cores_C(limits), _batch_B(limits)
    latency_CB = curve.latency(batch_B[None, :], cores_C[:, None])
    columns = [
        _column(cores, batch, float(latency_CB[c, b]), second, limits)
        for c, cores in enumerate(cores_C.tolist())
        for b, batch in enumerate(batch_B.tolist())
        if latency_CB[c, b] > 0
    ]
    return Problem(
        columns=tuple(columns),
        stages=(STAGE,),
        rate_rps=second.rate_rps,
        most_replicas=1,
        most_latency_s=max(0.0, _room_ms(second, limits) / 1e3),
        mix=False,
        accuracy_weight=0.0,
        cost_weight=1.0,
        batch_weight=limits.delta,
    )


def decide_as_published(curve: Coefficients, second: Second, limits: Limits) -> Decision | None:
    """Sponge's own rule: the smallest cores, then the smallest batch, with the latency cut to whole milliseconds.

    It asks for no throughput and accepts negative latencies.
    """
    for cores in range(1, limits.cores + 1):
        for batch in range(1, limits.batch + 1):
            latency_ms = int(curve.latency(batch, cores))
            late_ms = second.slo_ms - second.remaining_slo_ms
            if ceil(second.rate_rps / batch) * latency_ms + late_ms <= second.slo_ms * limits.headroom:
                return Decision(instances=1, cores=cores, batch=batch, latency_ms=latency_ms)
    return None


def decide_fa2_as_published(
    curve: Coefficients, second: Second, limits: Limits, *, most_instances: int = 16
) -> Decision | None:  # fmt: skip
    """Sponge's rule for FA2, which scales out one-core instances: the fewest, then the smallest batch; None if none.

    It counts one batch more than Sponge's own rule does.
    """
    late_ms = second.slo_ms - second.remaining_slo_ms
    for instances in range(1, most_instances + 1):
        for batch in range(1, limits.batch + 1):
            latency_ms = int(curve.latency(batch, 1))
            if not 0 < latency_ms <= second.remaining_slo_ms:
                continue
            served_rps = instances * (second.remaining_slo_ms // latency_ms) * batch
            rounds = 1 + ceil(second.rate_rps / (batch * instances))
            if served_rps >= second.rate_rps and rounds * latency_ms + late_ms < second.slo_ms * limits.headroom:
                return Decision(instances=instances, cores=1, batch=batch, latency_ms=latency_ms)
    return None


def _cores_C(limits: Limits) -> Ints:
    return np.arange(limits.least_cores, limits.cores + 1)


def _batch_B(limits: Limits) -> Ints:
    return np.arange(limits.least_batch, limits.batch + 1)


def _room_ms(second: Second, limits: Limits) -> float:
    return (second.remaining_slo_ms - (1 - limits.headroom) * second.slo_ms) * (1 + ROUNDING)


def _column(cores: int, batch: int, latency_ms: float, second: Second, limits: Limits) -> Column:
    return Column(
        stage=STAGE,
        name=f"{cores} cores",
        cores=cores,
        batch=batch,
        capacity_rps=1e3 * batch / latency_ms if limits.needs_throughput else max(second.rate_rps, 1.0) * 2,
        accuracy=0.0,
        latency_s=max(1, ceil(second.rate_rps / batch)) * latency_ms / 1e3,
        replicas=1,
    )
