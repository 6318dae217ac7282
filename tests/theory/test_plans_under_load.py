"""Plans made by the planner, under the simulated load they were made for: bounds must bound, estimates must fit."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.builders import ModelPlan, make_profile, make_profile_folder
from tests.builders_simulation import simulated
from ttamer.planning.planner import plan_service
from ttamer.planning.simulation.conditions import default_requests
from ttamer.planning.simulation.simulate import read_records
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Limits, Service, Stage

MODELS = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="large", whole_s=0.012, accuracy=0.92, exits=6),
)


SERVICES = {
    "tight": Service(slo_s=0.05, rate_rps=150, limits=Limits(cores=16)),
    "loose": Service(slo_s=0.5, rate_rps=400, limits=Limits(cores=8)),
    "median": Service(slo_s=0.03, quantile=0.5, rate_rps=300, limits=Limits(cores=16)),
    "small only": Service(slo_s=0.1, quantile=0.95, rate_rps=700, stages=(Stage(models=("small",)),)),
    "pipeline": Service(
        slo_s=0.3, rate_rps=100, stages=(Stage(name="find", models=("small",)), Stage(name="name", models=("large",)))
    ),
}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_profile_folder(tmp_path_factory.mktemp("profile"), make_profile(MODELS), {"small": 3, "large": 13})


@pytest.fixture(scope="module")
def planned(profile: Profile) -> Callable[[str], Plan]:
    """Plans by the name of their service, each made once."""
    return cache(lambda name: plan_service(SERVICES[name], profile))


@pytest.mark.parametrize(
    ("arrivals", "name"), [*(("poisson", name) for name in SERVICES), ("constant", "tight"), ("constant", "pipeline")]
)
def test_a_plan_keeps_its_latency_and_its_load_under_the_traffic_it_was_made_for(
    profile: Profile, planned: Callable[[str], Plan], name: str, arrivals: str
) -> None:
    service, plan = SERVICES[name], planned(name)
    report, _ = simulated(
        plan,
        profile,
        read_records(plan, profile),
        requests=default_requests(service.quantile),
        seed=5,
        arrivals=arrivals,
    )
    checks = {check.name: check for check in report.checks}
    latency = checks[f"latency at p{100 * service.quantile:g}"]
    assert latency.verdict != "broken", (latency, plan.groups)
    assert latency.observed is not None
    assert latency.promised is not None
    assert latency.observed <= latency.promised
    assert report.slo_misses <= 1 - service.quantile
    assert checks["SLO misses"].verdict != "broken"
    assert checks["utilization"].verdict == "kept", (checks["utilization"], report.groups)
    assert not any("overload" in note for note in report.notes)


@pytest.mark.parametrize("name", SERVICES)
def test_twice_the_capacity_of_a_plan_breaks_it(profile: Profile, planned: Callable[[str], Plan], name: str) -> None:
    plan = planned(name)
    busiest = max(group.utilization for group in plan.groups)
    report, _ = simulated(
        plan, profile, read_records(plan, profile), requests=5000, seed=5, rate_scale=2 * 8 / busiest
    )  # batches of up to 8 answer at most 8 times as many
    assert report.verdict == "broken"
    assert report.notes[0].startswith("overload")
