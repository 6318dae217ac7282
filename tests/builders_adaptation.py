"""A small service on a made-up profile, adapted by controllers: what tests of adaptation share."""

import numpy as np

from tests.builders import ModelPlan, make_profile
from ttamer.planning.adaptation.behaviors import ProfileBook
from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.adaptation.comparing import Scene
from ttamer.planning.simulation.adaptive import Configuration, Delays, Observation, Traffic
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import Floats
from ttamer.profiles.service import Limits, Service, Stage, Weights

MODELS = (
    ModelPlan(name="small", whole_s=0.010, accuracy=0.80),
    ModelPlan(name="medium", whole_s=0.030, accuracy=0.88),
    ModelPlan(name="large", whole_s=0.080, accuracy=0.93),
)
SLO_S = 0.5


def profile_of_three() -> Profile:
    """Three models on 1, 2 and 4 cores at batches 1 to 8."""
    return make_profile(MODELS, batches=(1, 2, 4, 8), cores=(1, 2, 4), samples=300)


def service_of(rate_rps: float = 40.0, *, stages: int = 1, cores: int | None = 24, slo_s: float = SLO_S) -> Service:
    """A service of one stage, or of several that may all use every model."""
    names = ("serve",) if stages == 1 else tuple(f"stage{k}" for k in range(stages))
    models = tuple(model.name for model in MODELS)
    return Service(
        slo_s=slo_s,
        rate_rps=rate_rps,
        stages=tuple(Stage(name=name, models=models) for name in names),
        limits=Limits(cores=cores, replicas=40),
        weights=Weights(accuracy=1.0, cost=0.005),
        mix=False,
    )


def catalog_of(rate_rps: float = 40.0, *, stages: int = 1, cores: int | None = 24, slo_s: float = SLO_S) -> Catalog:
    """The catalog of that service."""
    return Catalog.of(service_of(rate_rps, stages=stages, cores=cores, slo_s=slo_s), profile_of_three())


def seen(
    arrivals_T: list[int] | None = None,
    *,
    wished: Configuration = (),
    running: Configuration | None = None,
    utilization: float = 0.5,
    waiting: int = 0,
    remaining_s: float = SLO_S,
    arrived: int = 1,
    answered: int = 0,
    missed: int = 0,
    now_s: float | None = None,
    interval_s: float = 1.0,
) -> Observation:
    """What a controller sees, in a few numbers."""
    counts = np.array(arrivals_T or [], dtype=np.int64)
    stages = {setting.stage for setting in wished}
    return Observation(
        now_s=float(len(counts)) if now_s is None else now_s,
        interval_s=interval_s,
        running=wished if running is None else running,
        wished=wished,
        arrivals_T=counts,
        sojourn_s_N=np.zeros(answered),
        missed=missed,
        dropped=0,
        remaining_slo_s_N=np.full(arrived, remaining_s),
        utilization=dict.fromkeys(stages, utilization),
        waiting=dict.fromkeys(stages, waiting),
    )


def scene_of(counts_T: list[int], catalog: Catalog, *, past_rps_T: Floats | None = None, load_s: float = 2.0) -> Scene:
    """So many requests in each second, at random moments of it."""
    rng = np.random.default_rng(0)
    arrival_s_N = np.sort(np.repeat(np.arange(len(counts_T)), counts_T) + rng.random(sum(counts_T)))
    return Scene(
        catalog=catalog,
        book=ProfileBook(profile=profile_of_three(), policies=catalog.policies),
        traffic=Traffic(arrival_s_N=arrival_s_N, duration_s=float(len(counts_T))),
        past_rps_T=np.empty(0) if past_rps_T is None else past_rps_T,
        delays=Delays(load_s=load_s, decision_s=0.1, resize_s=0.1),
        routing="shared-queue",
    )
