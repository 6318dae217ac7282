"""Sponge: every second the fewest cores, then the smallest batch, that serve one model within what is left of the SLO.

Replicas are resized where they stand. The latencies of the model are fitted by l(b, c) = g·b/c + d·b + e/c + h, which
never promises a negative one here, and the answer is the smallest measured replica that has the cores and the batch.
Source: Razavi et al., Sponge, EuroMLSys 2024, and its published code.

Axes: N offers, F the features of the curve.
"""

from dataclasses import dataclass

import numpy as np

from ttamer.planning.adaptation.catalog import Catalog, Offer
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.programs import sponge
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.planning.surface import Coefficients
from ttamer.profiles.errors import InputError
from ttamer.profiles.surface import non_negative_least_squares

INTERVAL_S = 1.0
MEAN_S = 10  # over which arrivals are averaged: the published rule is given its load


@dataclass(frozen=True, slots=True)
class Model:
    """A stage's model: the offers of its replicas and the curve of their latencies, in milliseconds."""

    offers: tuple[Offer, ...]
    curve: Coefficients

    def smallest(self, cores: int, batch: int) -> Offer:
        """The smallest replica measured with so many cores and so large a batch, the largest one if none was."""
        able = [offer for offer in self.offers if offer.cores >= cores and offer.batch >= batch]
        return min(able, key=lambda offer: (offer.cores, offer.batch)) if able else self.largest()

    def largest(self) -> Offer:
        """The replica with the most cores and the largest batch."""
        return max(self.offers, key=lambda offer: (offer.cores, offer.batch))


def rule(setup: Setup) -> Rule:
    """Cores and batch of one replica of each stage's one model; each stage has an even part of the SLO."""
    catalog = setup.catalog
    models = {stage: _model(catalog, stage, setup.model_of(stage)) for stage in catalog.stages}

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        stages = len(catalog.stages)
        load_rps = float(seen.arrivals_T[-MEAN_S:].mean()) if len(seen.arrivals_T) else rate_rps
        late_s = catalog.service.slo_s - float(seen.remaining_slo_s_N.min(initial=catalog.service.slo_s))
        second = sponge.Second(
            rate_rps=load_rps,
            slo_ms=1e3 * catalog.stage_slo_s,
            remaining_slo_ms=1e3 * (catalog.stage_slo_s - late_s / stages),
        )
        found = [_setting(model, second) for model in models.values()]
        settings = tuple(setting for setting in found if setting is not None)
        if len(settings) < stages and not seen.wished:  # something has to run to begin with
            return tuple(model.largest().setting() for model in models.values())
        return settings if len(settings) == stages else None

    return choose


def _setting(model: Model, second: sponge.Second) -> Setting | None:
    limits = sponge.Limits(
        cores=max(offer.cores for offer in model.offers), batch=max(offer.batch for offer in model.offers)
    )
    decided = sponge.decide(model.curve, second, limits)
    if decided is None:
        return None
    # a second's requests are assumed to wait already, so that no batch waits for more
    return model.smallest(decided.cores, decided.batch).setting()


def _model(catalog: Catalog, stage: str, model: str) -> Model:
    offers = catalog.of_stage(stage, model)
    most = catalog.service.limits.cores
    within = [offer for offer in offers if most is None or offer.cores <= most]
    if not within:
        raise InputError(f"{model!r} has no replica within {most} cores", remedy="allow more cores")
    batch_N, cores_N, latency_ms_N = np.array(
        [(offer.batch, offer.cores, 1e3 * offer.latency_s) for offer in within]
    ).T  # fmt: skip
    features_NF = np.column_stack([batch_N / cores_N, batch_N, 1 / cores_N, np.ones_like(batch_N)])
    relative_NF = features_NF / latency_ms_N[:, None]
    g, d, e, h = non_negative_least_squares(relative_NF, np.ones(len(within))).tolist()
    return Model(tuple(within), Coefficients(g=g, d=d, e=e, h=h))


SPONGE = Kind(
    title="Sponge", rule=rule, interval_s=INTERVAL_S, predictor="last-value", untrained="last-value", horizon_s=1,
    in_place=True,
)  # fmt: skip
