"""From a service, a profile and conditions to what controllers are set to work on.

Axes: T whole seconds.
"""

from collections.abc import Callable, Mapping
from math import ceil

import numpy as np

from ttamer.planning.adaptation.behaviors import ProfileBook
from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.adaptation.comparing import Scene
from ttamer.planning.adaptation.predictors.protocol import Learner
from ttamer.planning.simulation.adaptive import Delays
from ttamer.planning.simulation.conditions import Conditions
from ttamer.planning.simulation.traces import Trace
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import ExitRecords, Floats
from ttamer.profiles.service import Service


def make_scene(
    service: Service,
    profile: Profile,
    records: Mapping[str, ExitRecords],
    conditions: Conditions,
    *,
    requests: int,
    seed: int,
    past_rps_T: Floats,
    delays: Delays,
    learn: Callable[[str], Learner] | None = None,
) -> Scene:
    """The scene: a service at the mean load of its conditions, with the traffic that this seed draws.

    requests: where the conditions are no trace, how many. past_rps_T: load before, to learn from.
    """
    traffic = conditions.traffic(service.rate_rps, requests, np.random.default_rng(seed))
    rate_rps = len(traffic.arrival_s_N) / traffic.duration_s
    catalog = Catalog.of(service.at_its_door().model_copy(update={"rate_rps": rate_rps}), profile)
    return Scene(
        catalog=catalog,
        book=ProfileBook(profile=profile, policies=catalog.policies, records=records, releases=conditions.releases),
        traffic=traffic,
        past_rps_T=past_rps_T,
        delays=delays,
        discipline=conditions.discipline,
        clock=conditions.clock,
        routing=conditions.routing,
        seed=seed,
        learn=learn,
    )


def load_per_second(trace: Trace) -> Floats:
    """Requests in each whole second of a trace, as whole numbers."""
    seconds = max(1, ceil(trace.duration_s - 1e-9))
    if trace.stamp_s_N is not None:
        counts_T = np.bincount(trace.stamp_s_N.astype(np.int64), minlength=seconds) * trace.scale
        return np.asarray(np.round(counts_T), dtype=np.float64)
    assert trace.edge_s_T is not None
    assert trace.rate_rps_T is not None
    total_T = np.concatenate([[0.0], np.cumsum(trace.rate_rps_T * np.diff(trace.edge_s_T) * trace.scale)])
    at_T = np.interp(np.arange(seconds + 1), trace.edge_s_T, total_T)
    return np.asarray(np.diff(np.floor(at_T + 0.5 + 1e-9)), dtype=np.float64)
