"""What is named as the nearest service that can be had can be had when it is typed."""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile, make_profile_folder
from ttamer.planning.conflict import demands, with_limits
from ttamer.planning.planner import plan_service
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Limits, Prices, Service, Stage
from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_fraction, parse_rate_rps

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # every example plans several times
CALM = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), phases=UNSHRUNK)
MODELS = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
)
STAGES = ((Stage(),), (Stage(name="detect", models=("small",)), Stage(name="classify")))
EASED: dict[str, Callable[[Service, str], Service]] = {
    r"raise the SLO to (\S+)": lambda service, text: changed(service, slo_s=parse_duration_s(text)),
    r"lower the rate to (\S+)": lambda service, text: changed(service, rate_rps=parse_rate_rps(text)),
    r"allow (\d+) cores?": lambda service, text: with_limits(service, cores=int(text)),
    r"allow (\d+) replicas?": lambda service, text: with_limits(service, replicas=int(text)),
    r"allow (\S+) of memory": lambda service, text: with_limits(service, memory_bytes=parse_bytes(text)),
    r"allow (\S+) an hour": lambda service, text: with_limits(service, cost_per_hour=float(text)),
    r"lower the accuracy floor to (\S+)": lambda service, text: changed(service, accuracy_floor=parse_fraction(text)),
    r"allow an accuracy drop of (\S+)": lambda service, text: changed(service, max_drop=parse_fraction(text)),
    r"allow batches of (\d+)": lambda service, text: with_limits(service, batch=int(text)),
    r"lower the headroom to (\S+)": lambda service, text: changed(service, headroom=parse_fraction(text)),
    r"(let) models share the load": lambda service, _: changed(service, mix=True),
}


def changed(service: Service, **changes: object) -> Service:
    return service.model_copy(update=changes)


@lru_cache
def profile() -> Profile:
    return make_profile(MODELS, batches=(1, 4))


def unmixed_if_hard(service: Service) -> Service:
    """Mixtures of stages whose accuracies multiply can take minutes to list under a floor or with cores to spare."""
    is_hard = len(service.stages) > 1 and (service.accuracy_floor is not None or service.limits.cores is None)
    return changed(service, mix=False) if is_hard else service


services = st.builds(
    Service,
    slo_s=st.floats(0.002, 0.5),
    rate_rps=st.floats(1.0, 3000.0),
    quantile=st.sampled_from([0.9, 0.99]),
    stages=st.sampled_from(STAGES),
    limits=st.builds(
        Limits,
        cores=st.one_of(st.none(), st.integers(1, 8)),
        replicas=st.integers(1, 8),
        memory_bytes=st.one_of(st.none(), st.integers(100, 2000).map(lambda mebibytes: mebibytes * 2**20)),
        cost_per_hour=st.one_of(st.none(), st.floats(0.1, 2.0)),
        batch=st.sampled_from([None, 1]),
    ),
    prices=st.just(Prices(core_hour=0.05)),
    accuracy_floor=st.one_of(st.none(), st.floats(0.6, 0.99)),
    headroom=st.sampled_from([0.0, 0.25]),
    mix=st.booleans(),
).map(unmixed_if_hard)


def failure_of(service: Service, measured: Profile) -> InfeasibleError | None:
    try:
        plan_service(service, measured)
    except InfeasibleError as error:
        return error
    return None


def eased(service: Service, words: str) -> Service:
    """The service with the changes typed as the words say."""
    for one in words.split(" and "):
        service = next(
            change(service, found[1]) for pattern, change in EASED.items() if (found := re.fullmatch(pattern, one))
        )
    return service


@CALM
@given(services)
def test_every_nearest_service_can_be_had_as_it_is_typed(service: Service) -> None:
    failure = failure_of(service, profile())
    if failure is None or failure.remedy.startswith("profile a faster model"):
        return
    for words in failure.remedy.split(" or "):
        assert isinstance(plan_service(eased(service, words), profile()), Plan), words


@settings(CALM, max_examples=15)
@given(services)
def test_the_nearest_rate_and_slo_are_near(service: Service) -> None:
    failure = failure_of(service, profile())
    for words in failure.remedy.split(" or ") if failure else ():
        if words.startswith(("raise the SLO", "lower the rate")):
            near = eased(service, words)
            halfway = changed(
                service,
                slo_s=max(service.slo_s, near.slo_s / 1.11),
                rate_rps=min(service.rate_rps, near.rate_rps * 1.11),
            )
            assert failure_of(halfway, profile()) is not None, words


def test_an_allowed_drop_is_near_and_can_be_had(tmp_path: Path) -> None:
    measured = make_profile_folder(tmp_path, make_profile(MODELS[1:], batches=(1, 4)), {"large": 3})
    service = Service(slo_s=0.2, rate_rps=260.0, limits=Limits(cores=3), max_drop=0.0)
    failure = failure_of(service, measured)
    assert failure is not None
    drop = next(words for words in failure.remedy.split(" or ") if words.startswith("allow an accuracy drop"))
    assert plan_service(eased(service, drop), measured).promise.cores <= 3


@pytest.mark.parametrize("stages", STAGES)
def test_every_demand_of_a_service_can_be_dropped(stages: tuple[Stage, ...]) -> None:
    service = Service(
        slo_s=0.1, rate_rps=10.0, stages=stages, mix=False, max_drop=0.1, headroom=0.1, accuracy_floor=0.5,
        limits=Limits(cores=1, batch=1, memory_bytes=1, cost_per_hour=1.0),
    )  # fmt: skip
    for demand in demands(service):
        assert demand.without(service) != service
