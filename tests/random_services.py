"""Random services to be planned, simulated and searched: SLOs, loads, models and pipelines from wide ranges."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.builders import ModelPlan, make_profile, make_profile_folder
from ttamer.planning.planner import plan_service
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Limits, Service, Stage

MODELS = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="middle", whole_s=0.008, accuracy=0.87, exits=3),
    ModelPlan(name="large", whole_s=0.012, accuracy=0.92, exits=6),
)
RECORDED = {"middle": 23, "large": 13}
NOISES = (0.02, 0.1, 0.3)  # of the measured seconds: their spread as a lognormal law
POLICIES = ("last-exit", "confidence-threshold")
STEADY_SLO_S, STEADY_RPS = (0.03, 0.6), (20.0, 3000.0)


def random_profiles(folder: Path) -> list[Profile]:
    """Profiles of the same models, measured with ever more noise, with records of exits."""
    return [
        make_profile_folder(
            folder / str(place), make_profile(MODELS, noise=noise, seed=place, cores=(1, 2, 4)), RECORDED
        )
        for place, noise in enumerate(NOISES)
    ]


def random_service(rng: np.random.Generator) -> Service:
    """A service at p99: an SLO and a load drawn evenly by ratio, one stage or two, for cost or for both."""
    slo_s, rate_rps = (float(np.exp(rng.uniform(*np.log(ends)))) for ends in (STEADY_SLO_S, STEADY_RPS))
    choices = [("small",), ("large",), ("small", "large"), ("small", "middle", "large")]
    stages = [Stage(models=choices[rng.integers(4)], policies=POLICIES)]
    if rng.random() < 0.25:
        stages = [Stage(name=name, models=choices[rng.integers(4)], policies=POLICIES) for name in ("first", "second")]
    return Service(
        slo_s=slo_s,
        rate_rps=rate_rps,
        stages=tuple(stages),
        objective="cost" if rng.random() < 0.5 else "weighted",
        limits=Limits(cores=512, replicas=200),
        mix=False,
    )


def planned(rng: np.random.Generator, profiles: list[Profile]) -> Iterator[tuple[Service, Profile, Plan]]:
    """Services that can be had at all, each with its plan, without end."""
    while True:
        service, profile = random_service(rng), profiles[rng.integers(len(profiles))]
        try:
            yield service, profile, plan_service(service, profile)
        except InfeasibleError:
            continue
