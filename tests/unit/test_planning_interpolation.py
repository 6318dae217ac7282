"""Servers between the measured points: near the truth, on its safe side, and never outside the grid."""

from dataclasses import replace

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.candidates import Server
from ttamer.planning.exit_choice import unrecorded_point
from ttamer.planning.interpolation import Setting, server_between, settings_between
from ttamer.planning.planner import plan_service
from ttamer.planning.queueing import ServiceLaw, capacity_rps
from ttamer.planning.service_times import Timings
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import ImportedPoint, Profile
from ttamer.profiles.service import Limits, Service, Weights

TOY = (ModelPlan(name="toy", whole_s=0.020),)
PROFILE = make_profile(TOY, batches=(1, 2, 4, 8), cores=(1, 2, 4))
TRUTH = make_profile(TOY, batches=(1, 2, 4, 8), cores=(1, 2, 3, 4), seed=5)


def between(profile: Profile, cores: int, batch: int) -> Server:
    point = unrecorded_point(profile, "toy", "synthetic")
    return server_between(profile, "serve", point, "cpu", 0.99, Setting(cores=cores, batch=batch))


def test_settings_lie_between_measured_ones() -> None:
    found = settings_between(PROFILE, "toy", "cpu")
    assert {(one.cores, one.batch) for one in found} == {(3, batch) for batch in (1, 2, 4, 8)}
    assert settings_between(make_profile(TOY, batches=(1, 2), cores=(1, 2)), "toy", "cpu") == []


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_a_stretched_law_is_slower_than_the_truth_and_close_to_it(batch: int) -> None:
    law = between(PROFILE, 3, batch).law
    true = Timings(TRUTH, "toy", "cpu", 3, 0.99).law(batch)
    assert isinstance(law, ServiceLaw)
    assert law.mean_s == pytest.approx(true.mean_s, rel=0.1)
    assert (law.mean_s_B[1:] >= true.mean_s_B[1:] * 0.99).all()
    slo_s = 5 * true.answer_s
    assert capacity_rps(law, slo_s) == pytest.approx(capacity_rps(true, slo_s), rel=0.12)
    assert np.isfinite(law.busy_tail_T).all()


def test_a_batch_between_needs_no_surface_on_measured_cores() -> None:
    assert between(PROFILE, 2, 3).law.mean_s == pytest.approx(
        Timings(PROFILE, "toy", "cpu", 2, 0.99).law(4).mean_s_B[3]
    )


@pytest.mark.parametrize(("cores", "batch"), [(5, 1), (0, 1), (3, 9), (3, 0)])
def test_nothing_is_offered_outside_the_measured_points(cores: int, batch: int) -> None:
    with pytest.raises(InputError, match="lies between no measured points"):
        between(PROFILE, cores, batch)


def test_a_plan_uses_cores_between_only_if_it_may_and_says_so() -> None:
    service = Service(slo_s=0.1, rate_rps=100.0, limits=Limits(replicas=1), weights=Weights(cost=0.1))
    rates = [rate for rate in range(60, 140, 4) if _cores(service, rate, interpolate=True) == {3}]
    assert rates, "somewhere three cores are just enough"
    asked = service.model_copy(update={"rate_rps": float(rates[0]), "interpolate": True})
    plan = plan_service(asked, PROFILE)
    assert any("toy at batch" in note and "was not measured" in note for note in plan.notes)
    assert verify(plan, PROFILE) == []
    strict = plan.model_copy(update={"service": asked.model_copy(update={"interpolate": False})})
    assert any("was not measured" in str(violation) for violation in verify(strict, PROFILE))
    assert _cores(service, rates[0], interpolate=False) == {4}


def _cores(service: Service, rate_rps: float, *, interpolate: bool) -> set[int]:
    asked = service.model_copy(update={"rate_rps": float(rate_rps), "interpolate": interpolate})
    return {group.cores for group in plan_service(asked, PROFILE).groups}


def test_imported_points_lie_on_surfaces_too() -> None:
    points = tuple(
        ImportedPoint(
            model="toy", device="cpu", cores=cores, batch=batch, latency_s=0.03 * batch / cores + 0.01,
            quantile=0.99, throughput_rps=batch / (0.02 * batch / cores + 0.01), load_time_s=1.0,
        )
        for cores in (1, 2, 4)
        for batch in (1, 4, 8)
    )  # fmt: skip
    profile = replace(PROFILE, latency=(), imported=points)
    assert Setting(cores=3, batch=2) in settings_between(profile, "toy", "cpu")
    law = between(profile, 3, 2).law
    assert law.answer_s == pytest.approx(0.03 * 2 / 3 + 0.01, rel=1e-3)
    assert law.mean_s == pytest.approx(0.02 * 2 / 3 + 0.01, rel=1e-3)
