"""Small profiles, records and plans whose numbers can be worked out by hand.

A model's stages and heads take the same seconds at every batch size unless `per_row_s` says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ttamer.planning.simulation.conditions import Conditions, Size
from ttamer.planning.simulation.requests import RequestTable
from ttamer.planning.simulation.run import Progress
from ttamer.planning.simulation.simulate import simulate
from ttamer.profiles.plan import Group, Plan, PolicySpec, ProfileReference, Promise, Solve
from ttamer.profiles.profile import WHOLE, LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.samples import Samples
from ttamer.profiles.service import Service, Stage
from ttamer.profiles.simulation import SimulationReport

BATCHES = (1, 2, 4, 8)
MODEL = "tiny"


def profile_of(
    *,
    stage_s: Sequence[float] = (0.004, 0.006),
    head_s: Sequence[float] = (0.001, 0.001),
    per_row_s: float = 0.0,
    jitter: Sequence[float] = (1.0,),
    batches: Sequence[int] = BATCHES,
    models: Sequence[str] = (MODEL,),
    fingerprint: str = "machine-a",
) -> Profile:
    """A profile of models that all take the same: jitter lists the factors of a point's raw samples."""
    exits = tuple(f"exit{k}" for k in range(len(stage_s)))
    spec = ModelSpec(name=MODEL, family="tiny", classes=2, input_shape=(1,), exits=exits, head="linear")
    parts = [("stage", k, s) for k, s in enumerate(stage_s)] + [("head", k, s) for k, s in enumerate(head_s)]
    parts.append(("whole", WHOLE, sum(stage_s) + head_s[-1]))
    points = [
        LatencyPoint(
            key=PointKey(model=model, part=part, exit=exit_, device="cpu", dtype="float32", batch=batch, cores=1),
            samples=Samples([(seconds + per_row_s * (batch - 1)) * factor for factor in jitter]),
            peak_memory_bytes=1,
            load_time_s=0.1,
        )
        for model in models
        for part, exit_, seconds in parts
        for batch in batches
    ]
    specs = {model: replace(spec, name=model) for model in models}
    machine = Machine(fingerprint=fingerprint, facts={})
    return Profile(name="test", machine=machine, models=specs, latency=tuple(points))


def records_of(
    sure: Sequence[bool],
    *,
    right_early: Sequence[bool] | None = None,
    exits: int = 2,
    split: str = "test",
    model: str = MODEL,
) -> ExitRecords:
    """Records whose samples stop at exit 0 where `sure`, else at the last one, which is always right."""
    N = len(sure)
    label_N = np.arange(N) % 2
    confidence_NK = np.full((N, exits), 0.6)
    confidence_NK[:, 0] = np.where(sure, 0.99, 0.55)
    prediction_NK = np.tile(label_N[:, None], (1, exits))
    if right_early is not None:
        prediction_NK[:, 0] = np.where(right_early, label_N, 1 - label_N)
    return ExitRecords(
        model=model,
        dataset="toy",
        split=split,
        sample_N=np.arange(N),
        label_N=label_N,
        prediction_NK=prediction_NK,
        confidence_NK=confidence_NK,
        margin_NK=confidence_NK,
        entropy_NK=1 - confidence_NK,
    )


LAST_EXIT = PolicySpec(kind="last-exit", model=MODEL)
EARLY = PolicySpec(kind="confidence-threshold", model=MODEL, params={"threshold": 0.9})


def group_of(policy: str = "last-exit", **changes: Any) -> Group:
    """One replica on one core that serves one request at a time, with every promise easy to keep."""
    usual: dict[str, Any] = {
        "stage": "serve", "model": MODEL, "policy": policy, "device": "cpu", "cores": 1, "batch": 1,
        "batch_timeout_s": 0.0, "replicas": 1, "share": 1.0, "rate_rps": 50.0, "capacity_rps": 80.0, "utilization": 0.6,
        "service_s": 0.011, "latency_s": 0.1, "memory_bytes": 1, "load_time_s": 0.1,
    }  # fmt: skip
    return Group(**(usual | changes))


def plan_of(
    profile: Profile,
    *groups: Group,
    rate_rps: float = 50.0,
    slo_s: float = 0.2,
    quantile: float = 0.99,
    latency_s: float = 0.1,
    utilization: float = 0.6,
    accuracy_low: float | None = None,
    dataset: str | None = None,
    policies: Mapping[str, PolicySpec] | None = None,
) -> Plan:
    """A plan of these groups (default: the usual one) made on the profile."""
    groups = groups or (group_of(),)
    names = list(dict.fromkeys(group.stage for group in groups))
    return Plan(
        service=Service(slo_s=slo_s, quantile=quantile, rate_rps=rate_rps, stages=tuple(Stage(name=n) for n in names)),
        profile=ProfileReference(
            name=profile.name,
            path="profiles/test",
            digest=profile.digest([group.model for group in groups]),
            machine=profile.machine.fingerprint,
        ),
        promise=Promise(
            latency_s=latency_s,
            quantile=quantile,
            accuracy=accuracy_low,
            accuracy_low=accuracy_low,
            dataset=dataset,
            utilization=utilization,
            cores=1,
        ),
        groups=groups,
        policies=policies or {"last-exit": LAST_EXIT, "early": EARLY},
        solve=Solve(solver="hand", status="optimal", objective=0.0, bound=0.0, columns=1, columns_pruned=0),
    )


def simulated(
    plan: Plan,
    profile: Profile,
    records: Mapping[str, ExitRecords],
    *,
    requests: int,
    seed: int,
    replications: int = 1,
    on_progress: Progress | None = None,
    **conditions: Any,
) -> tuple[SimulationReport, RequestTable]:
    """The plan under these conditions, with so many requests in each replication."""
    return simulate(
        plan,
        profile,
        records,
        size=Size(requests=requests, replications=replications),
        seed=seed,
        conditions=Conditions(**conditions),
        on_progress=on_progress,
    )
