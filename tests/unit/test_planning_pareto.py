"""Frontiers, capacities of many servers at once, and numbers of two digits."""

import doctest
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning import conflict, pareto, two_digits
from ttamer.planning.law_table import make_law_table
from ttamer.planning.pareto import AXES, MOST_PLANS, frontier, is_beaten
from ttamer.planning.queueing import ServiceLaw, capacity_rps
from ttamer.planning.verify import verify
from ttamer.planning.what_if import WhatIf
from ttamer.profiles.plan import Plan
from ttamer.profiles.service import Limits, Service

PROFILE = make_profile(
    (
        ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
        ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
    ),
    batches=(1, 4),
)
SERVICE = Service(slo_s=0.2, rate_rps=150.0, limits=Limits(cores=4))


@pytest.fixture(scope="module", params=AXES)
def plans(request: pytest.FixtureRequest) -> list[Plan]:
    return frontier(SERVICE, WhatIf(PROFILE), request.param)


def test_every_point_of_a_frontier_holds_and_none_is_dominated(plans: list[Plan]) -> None:
    assert len(plans) > 1
    for plan in plans:
        assert verify(plan, PROFILE) == []
        assert not any(is_beaten(plan, other) for other in plans)


def test_a_longer_slo_or_more_cores_buy_something(plans: list[Plan]) -> None:
    for tighter, looser in pairwise(plans):
        assert (looser.promise.accuracy or 0, -looser.promise.cores) > (
            tighter.promise.accuracy or 0, -tighter.promise.cores,
        )  # fmt: skip


def test_the_number_of_plans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()
    original = WhatIf.plan

    def counted(self: WhatIf, service: Service) -> Plan | None:
        asked["plans"] += 1
        return original(self, service)

    monkeypatch.setattr(WhatIf, "plan", counted)
    for axis in AXES:
        asked.clear()
        frontier(SERVICE, WhatIf(PROFILE), axis)
        assert asked["plans"] <= MOST_PLANS + 3


def test_a_service_that_cannot_be_had_has_no_frontier() -> None:
    beyond = SERVICE.model_copy(update={"rate_rps": 1e6})
    assert [frontier(beyond, WhatIf(PROFILE), axis) for axis in AXES] == [[], []]


def test_capacities_of_many_laws_are_those_of_each() -> None:
    servers = WhatIf(PROFILE).servers(SERVICE)
    laws = [server.law for server in servers if isinstance(server.law, ServiceLaw)]
    assert len(laws) == len(servers)
    for slo_s in (0.001, 0.01, 0.05, 0.2, 2.0):
        found_N = make_law_table(laws).capacity_N(slo_s)
        np.testing.assert_allclose(found_N, [capacity_rps(law, slo_s) for law in laws], rtol=1e-12)


@pytest.mark.parametrize("value", [0.00123, 0.1, 0.13, 0.99999, 1.0, 9.95, 123.0, 2000.0])
def test_two_digits_enclose_a_number(value: float) -> None:
    below, above = two_digits.step_below(value), two_digits.step_above(value)
    assert two_digits.two_digits(below) <= value <= two_digits.two_digits(above)
    assert above - below == (0 if two_digits.two_digits(below) == value else 1)


@pytest.mark.parametrize("module", [conflict, two_digits, pareto])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
