import numpy as np
import pytest

from tests.builders_simulation import group_of, plan_of, profile_of
from ttamer.planning.simulation.conditions import Conditions
from ttamer.planning.simulation.doubting import Attempt, PlanFor, plan_that_holds
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service
from ttamer.profiles.shelf import write_profile

SERVICE_S = 0.011


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return write_profile(tmp_path_factory.mktemp("profile"), profile_of(batches=(1, 2, 4, 8, 16)))


def by_headroom(profile: Profile, most_replicas: int) -> PlanFor:
    """As many replicas as keep each of them within its capacity less the headroom."""

    def plan(service: Service) -> Plan:
        used = 0.9 * (1 - service.headroom)
        replicas = int(np.ceil(service.rate_rps * SERVICE_S / used))
        if replicas > most_replicas:
            raise InfeasibleError("too many replicas", remedy="allow more")
        group = group_of(replicas=replicas, rate_rps=service.rate_rps, utilization=used)
        plan = plan_of(profile, group, rate_rps=service.rate_rps, slo_s=service.slo_s, utilization=1.0)
        return plan.model_copy(update={"promise": plan.promise.model_copy(update={"cores": replicas})})

    return plan


def by_timeout(profile: Profile) -> PlanFor:
    """One replica whose batches of 16 wait for nearly all that the SLO leaves, whatever the headroom."""

    def plan(service: Service) -> Plan:
        group = group_of(batch=16, batch_timeout_s=0.95 * service.slo_s - SERVICE_S, utilization=0.9)
        return plan_of(profile, group, rate_rps=service.rate_rps, slo_s=service.slo_s, latency_s=service.slo_s)

    return plan


def test_a_plan_that_holds_is_the_plan_and_is_tried_once(profile: Profile) -> None:
    tried: list[Attempt] = []
    service = Service(slo_s=0.3, rate_rps=50.0)
    doubted = plan_that_holds(service, profile, by_headroom(profile, 9), on_attempt=tried.append)
    assert [attempt.holds for attempt in tried] == [True]
    assert doubted.plan.groups == tried[0].plan.groups
    assert doubted.plan.promise.latency_s == 0.1
    assert doubted.plan.notes[-1].startswith("held in simulation: 100,000 poisson requests on the ideal clock")


def test_a_plan_that_breaks_under_bursts_is_made_with_headroom_until_it_holds(profile: Profile) -> None:
    tried: list[Attempt] = []
    service = Service(slo_s=0.05, rate_rps=50.0)
    conditions = Conditions(arrivals="bursty")
    doubted = plan_that_holds(service, profile, by_headroom(profile, 20), conditions, on_attempt=tried.append)
    assert not tried[0].holds
    assert doubted.report.slo_misses <= 0.01
    assert doubted.report.seed != tried[0].report.seed  # held on other chance than it was chosen on
    assert doubted.plan.service == service
    assert doubted.plan.promise.latency_s <= service.slo_s
    failing = max(attempt.plan.groups[0].replicas for attempt in tried if not attempt.holds)
    assert doubted.plan.groups[0].replicas == failing + 1  # not one replica more than needed


def test_a_server_that_starts_its_timeout_late_gets_a_shorter_one(profile: Profile) -> None:
    """With Ray Serve's clock a request may wait for a batch and then for the timeout; headroom cannot help that."""
    service = Service(slo_s=0.06, rate_rps=100.0)
    plan_for = by_timeout(profile)
    assert plan_that_holds(service, profile, plan_for).attempts[0].holds
    doubted = plan_that_holds(service, profile, plan_for, Conditions(clock="ray-serve"))
    assert not doubted.attempts[0].holds
    assert doubted.plan.groups[0].batch_timeout_s < 0.9 * (0.95 * 0.06 - SERVICE_S)
    assert doubted.report.slo_misses <= 0.01


def test_where_nothing_holds_it_says_so_and_how_near_it_came(profile: Profile) -> None:
    service = Service(slo_s=0.05, rate_rps=50.0)
    with pytest.raises(InfeasibleError, match=r"the best of \d misses the SLO of 0.05 s in .* % of requests"):
        plan_that_holds(service, profile, by_headroom(profile, 1), Conditions(arrivals="bursty"))


def test_a_service_that_cannot_be_planned_at_all_is_the_planners_to_explain(profile: Profile) -> None:
    with pytest.raises(InfeasibleError, match="too many replicas"):
        plan_that_holds(Service(slo_s=0.05, rate_rps=500.0), profile, by_headroom(profile, 1))
