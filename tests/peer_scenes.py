"""The experiments that IPA, InfAdapter and Sponge published, set up again from their own measurements and traces.

Imported profiles are summaries, so batches take what their throughput says (a constant, or a lognormal law up to the
printed p99). The Twitter load before each window is what predictors learn from. What the papers ran on, clusters of
pods behind routers, is replaced by one queue a stage and by the delays stated here.
"""

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tools.peer_csv import infadapter_rows, write_csv
from ttamer.planning.adaptation.behaviors import ProfileBook
from ttamer.planning.adaptation.catalog import Catalog, Offer
from ttamer.planning.adaptation.comparing import Scene
from ttamer.planning.adaptation.controllers import CONTROLLERS
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.programs import sponge
from ttamer.planning.simulation.adaptive import Configuration, Delays, Observation, Traffic
from ttamer.planning.simulation.discipline import Discipline
from ttamer.profiles.imports import import_profile
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import Floats
from ttamer.profiles.service import Limits, Service, Stage, Weights
from ttamer.profiles.surface import non_negative_least_squares

DAY = 86_400
IPA_WINDOWS = ("ipa-bursty", "ipa-steady-low", "ipa-steady-high", "ipa-fluctuating")
INFADAPTER_WINDOWS = ("infadapter-bursty", "infadapter-nonbursty")
IPA_LOAD_S, INFADAPTER_APPLY_S, SPONGE_LOAD_S = 8.0, 0.5, 10.0  # IPA: its reconfiguration time; Sponge: a cold start
SPONGE_RPS, SPONGE_SLO_S, SPONGE_S = 20.0, 1.0, 600
WAITED_MOST_S = 2.0  # InfAdapter: its queues hold 1.25 s of capacity, and answers end at 2.2 s
FA2_HIGH = {"crop": "yolov5s", "classification": "resnet101"}  # pinned by hand in the published runs
RIM_REPLICAS = {"crop": 3, "classification": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Requests in each second of the named windows."""

    counts: Mapping[str, Sequence[int]]

    @classmethod
    def read(cls, shared: Path) -> "Windows":
        """The windows of all papers."""
        counts: dict[str, list[int]] = {}
        with (shared / "data/peers/trace_windows.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                counts.setdefault(row["window"], []).append(int(row["rps"]))
        return cls(counts=counts)


def arrivals(counts_T: Sequence[int], seed: int = 0) -> Floats:
    """So many requests in each second, at random moments of it."""
    rng = np.random.default_rng(seed)
    return np.sort(np.repeat(np.arange(len(counts_T)), counts_T) + rng.random(int(np.sum(counts_T))))


@lru_cache(maxsize=2)
def twitter(shared: Path, divisor: int) -> tuple[Floats, Floats]:
    """The first 14 days and the rest, divided as the papers do, seconds without a request left out."""
    counts = pq.read_table(shared / "data/peers/trace_twitter_rps.parquet")["rps"].to_numpy() // divisor
    load_T = counts[counts > 0].astype(np.float64)
    return load_T[: 14 * DAY], load_T[14 * DAY :]


def ipa_catalog(golden: Path, rate_rps: float, **changes: Any) -> tuple[Catalog, Profile]:
    """IPA's video pipeline at its own SLO and weights: measured points, batches between them by the known instance."""
    lines = map(json.loads, (golden / "ipa.jsonl").read_text().splitlines())
    case = next(one for one in lines if one["id"] == "ipa-001")
    rows = [
        {"stage": stage["name"], "model": variant["name"], "accuracy": variant["accuracy"],
         "cores": variant["cores_per_replica"], **point}
        for stage in case["stages"] for variant in stage["variants"] for point in variant["profile"]
    ]  # fmt: skip
    profile = _imported(rows)
    weights = case["weights"]
    given: dict[str, Any] = {
        "slo_s": case["sla_s"],
        "rate_rps": rate_rps,
        "stages": tuple(Stage(name=stage["name"]) for stage in case["stages"]),
        "weights": Weights(accuracy=weights["alpha"], cost=weights["beta"], batch=weights["delta"]),
        "limits": Limits(replicas=2 * case["max_replicas"]),
        "aggregation": "product",
        "mix": False,
    }
    return Catalog.of(Service(**(given | changes)), profile), profile


def ipa_scene(shared: Path, golden: Path, counts_T: Sequence[int], **changes: Any) -> tuple[Scene, Setup]:
    """The video pipeline under a load. changes: of the service."""
    catalog, profile = ipa_catalog(golden, float(np.mean(counts_T)), **changes)
    scene = Scene(
        catalog=catalog,
        book=ProfileBook(profile=profile, policies=catalog.policies),
        traffic=Traffic(arrival_s_N=arrivals(counts_T), duration_s=float(len(counts_T))),
        past_rps_T=twitter(shared, 8)[0],
        delays=Delays(load_s=IPA_LOAD_S, decision_s=1.0, resize_s=0.1),
        routing="shared-queue",
    )
    return scene, Setup(catalog=catalog, peak_rps=float(max(counts_T)), load_s=IPA_LOAD_S)


def setup_of(name: str, setup: Setup) -> Setup:
    """The setup with what the published video runs pin by hand."""
    if name == "fa2-high":
        return replace(setup, models=FA2_HIGH)
    return replace(setup, replicas=RIM_REPLICAS) if name == "rim" else setup


def infadapter_scene(shared: Path, counts_T: Sequence[int], **changes: Any) -> tuple[Scene, Setup]:
    """Five ResNets on 20 cores: decided on what was sustained at p99, served at what a saturated server answers."""
    rows = infadapter_rows(shared / "data/peers")
    profile = _imported(rows)
    saturated = _saturated(shared)
    busy = [row | {"throughput_rps": rate, "latency_s": 1 / rate}
            for row in rows for rate in [saturated[row["model"], int(row["cores"])]]]  # fmt: skip
    given: dict[str, Any] = {
        "slo_s": 0.75,
        "rate_rps": float(np.mean(counts_T)),
        "limits": Limits(cores=20),
        "weights": Weights(accuracy=1.0, cost=0.0025, loading=0.000117),
        "headroom": 0.2,
    }
    catalog = Catalog.of(Service(**(given | changes)), profile)
    scene = Scene(
        catalog=catalog,
        book=ProfileBook(profile=_imported(busy), policies=catalog.policies),
        traffic=Traffic(arrival_s_N=arrivals(counts_T), duration_s=float(len(counts_T))),
        past_rps_T=twitter(shared, 1)[0],
        delays=Delays(decision_s=INFADAPTER_APPLY_S, resize_s=0.1),
        discipline=Discipline(patience_s=WAITED_MOST_S),
        routing="shared-queue",
    )
    return scene, Setup(catalog=catalog, peak_rps=float(max(counts_T)))


def sponge_scene(shared: Path, sent: str, routing: str, **changes: Any) -> tuple[Scene, Setup]:
    """YOLOv5s at 20 requests/s of 284 KB over a 4G bus ride, 600 s, an SLO of one second.

    sent: `even` over each second, or `bunched` at its start, as Sponge's rule assumes.
    """
    grid = [row for row in _rows(shared, "sponge_profile_grids.csv") if row["grid_id"].startswith("yolov5s@16rps")]
    tail, mean = _surface(grid, "latency_p99_s"), _surface(grid, "latency_avg_s")
    profile = _imported([
        {"model": "yolov5s", "accuracy": 0.568, "cores": cores, "batch": batch, "latency_s": tail(batch, cores),
         "throughput_rps": batch / mean(batch, cores), "load_time_s": SPONGE_LOAD_S}
        for cores in range(1, 17) for batch in range(1, 9)
    ])  # fmt: skip
    each = int(SPONGE_RPS)
    second_N = np.repeat(np.arange(SPONGE_S), each)
    sent_s_N = second_N + (np.tile(np.arange(each), SPONGE_S) / each if sent == "even" else 0.0)
    left_ms = [float(row["remaining_slo_ms_284KB"]) for row in _rows(shared, "bandwidth_4g_bus0001.csv")]
    network_s_N = SPONGE_SLO_S - np.array(left_ms)[second_N] / 1e3
    order_N = np.argsort(sent_s_N + network_s_N, kind="stable")
    given: dict[str, Any] = {"slo_s": SPONGE_SLO_S, "rate_rps": SPONGE_RPS, "mix": False}
    catalog = Catalog.of(Service(**(given | changes)), profile)
    scene = Scene(
        catalog=catalog,
        book=ProfileBook(profile=profile, policies=catalog.policies),
        traffic=Traffic(
            arrival_s_N=(sent_s_N + network_s_N)[order_N], duration_s=SPONGE_S + 2.0, network_s_N=network_s_N[order_N]
        ),
        past_rps_T=np.full(2 * 3600, SPONGE_RPS),
        delays=Delays(decision_s=0.1, resize_s=0.1),
        routing=routing,
    )
    return scene, Setup(catalog=catalog, peak_rps=SPONGE_RPS)


def horizontal(shared: Path) -> Kind:
    """FA2 as Sponge's authors ran it: one-core replicas, their number and batch anew every second."""
    grid = [row for row in _rows(shared, "sponge_profile_grids.csv") if row["grid_id"].startswith("yolov5s@16rps")]
    curve = sponge.fit(
        [int(float(row["batch"])) for row in grid], [int(float(row["cores"])) for row in grid],
        [1e3 * float(row["latency_p99_s"]) for row in grid],
    )  # fmt: skip

    def rule(setup: Setup) -> Rule:
        single = {offer.batch: offer for offer in setup.catalog.offers if offer.cores == 1}

        def choose(_rate_rps: float, seen: Observation) -> Configuration | None:
            left_s = float(seen.remaining_slo_s_N.min(initial=SPONGE_SLO_S))
            second = sponge.Second(rate_rps=SPONGE_RPS, slo_ms=1e3 * SPONGE_SLO_S, remaining_slo_ms=1e3 * left_s)
            found = sponge.decide_fa2_as_published(curve, second, sponge.Limits(cores=16, batch=8))
            return None if found is None else (single[found.batch].setting(replicas=found.instances),)

        return choose

    return replace(CONTROLLERS["sponge"], title="horizontal", rule=rule, in_place=False)


def sixteen_cores() -> Kind:
    """Sponge's static rival: 16 cores throughout."""

    def rule(setup: Setup) -> Rule:
        largest: Offer = max(setup.catalog.offers, key=lambda offer: (offer.cores, offer.throughput_rps))

        def choose(_rate_rps: float, _seen: Observation) -> Configuration | None:
            return (largest.setting(),)

        return choose

    return replace(CONTROLLERS["static"], title="static 16", rule=rule)


def _surface(grid: Sequence[Mapping[str, str]], column: str) -> Any:
    """Seconds by batch and cores between the measured points, never below zero."""
    batch_N, cores_N, seconds_N = (np.array([float(row[name]) for row in grid]) for name in ("batch", "cores", column))
    features_NF = np.column_stack([batch_N / cores_N, batch_N, 1 / cores_N, np.ones_like(batch_N)])
    fitted_F = non_negative_least_squares(features_NF / seconds_N[:, None], np.ones(len(seconds_N)))
    return lambda batch, cores: float(fitted_F @ np.array([batch / cores, batch, 1 / cores, 1.0]))


def _saturated(shared: Path) -> dict[tuple[str, int], float]:
    """Requests/s of a busy server, by model and cores; never below what it sustained."""
    return {
        (row["variant"], int(row["cores"])): max(float(row["saturation_rps"]), float(row["capacity_rps"]))
        for row in _rows(shared, "infadapter_capacity.csv")
        if row["campaign"] == "2023-02-21" and float(row["slo_p99_ms"]) == 750
    }


def _rows(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "data/peers" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _imported(rows: list[dict[str, Any]]) -> Profile:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "points.csv", rows)
        return import_profile(Path(folder) / "points.csv", "peers")
