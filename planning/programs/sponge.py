"""Sponge: the cores and the batch size of one model within what the network leaves of the SLO, second by second.

minimise  c + δ · b
subject to  ⌈λ/b⌉ · l(b, c) ≤ remaining − (1 − headroom) · SLO,  b / l(b, c) ≥ λ,  l > 0,  c ≤ c_max,  b ≤ b_max,
with l(b, c) = g·b/c + d·b + e/c + h: a second's requests are assumed to wait already and run batch after batch.

The published rules are here too, for comparison: `decide_as_published` (Sponge) and `decide_fa2_as_published`.
Source: Razavi et al., Sponge: Inference Serving with Dynamic SLOs Using In-Place Vertical Scaling, EuroMLSys 2024.

Axes: C numbers of cores from 1 on, B batch sizes from 1 on. Latencies are in the unit of the fit, milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from ttamer.planning.problem import Column, Problem
from ttamer.planning.surface import Coefficients, fit_least_squares
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

STAGE = "serve"
ROUNDING = 1e-9  # relative, of sums of latencies


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


def decide(curve: Coefficients, second: Second, limits: Limits) -> Decision | None:
    """The fewest cores, then the smallest batch (as delta weighs them) that serve the second; None if none do."""
    latency_CB = _latency_CB(curve, limits)
    batch_B = np.arange(1, limits.batch + 1)
    rounds_B = np.maximum(1.0, np.ceil(second.rate_rps / batch_B))
    is_able_CB = (latency_CB > 0) & (rounds_B * latency_CB <= _room_ms(second, limits))
    if limits.needs_throughput:
        is_able_CB &= 1e3 * batch_B * (1 + ROUNDING) >= second.rate_rps * latency_CB
    if not is_able_CB.any():
        return None
    objective_CB = np.arange(1, limits.cores + 1)[:, None] + limits.delta * batch_B
    place = int(np.argmin(np.where(is_able_CB, objective_CB, np.inf)))
    c, b = divmod(place, limits.batch)
    return Decision(instances=1, cores=c + 1, batch=b + 1, latency_ms=float(latency_CB[c, b]))


def problem(curve: Coefficients, second: Second, limits: Limits) -> Problem:
    """The same second as a serving program: a column for each number of cores and batch size."""
    latency_CB = _latency_CB(curve, limits)
    columns = [
        _column(c, b, float(latency_CB[c - 1, b - 1]), second, limits)
        for c in range(1, limits.cores + 1)
        for b in range(1, limits.batch + 1)
        if latency_CB[c - 1, b - 1] > 0
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


def _latency_CB(curve: Coefficients, limits: Limits) -> Floats:
    return curve.latency(np.arange(1, limits.batch + 1)[None, :], np.arange(1, limits.cores + 1)[:, None])


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
