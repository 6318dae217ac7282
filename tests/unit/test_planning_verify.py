"""Doubting plans: each way to break one is found and named."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.planner import plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.plan import Plan
from ttamer.profiles.service import Limits, Service

MODELS = (ModelPlan(name="small", whole_s=0.004, accuracy=0.80), ModelPlan(name="large", whole_s=0.030, accuracy=0.93))
PROFILE = make_profile(MODELS)
PLAN = plan_service(Service(slo_s=0.2, rate_rps=150.0, limits=Limits(cores=3)), PROFILE)


def with_group(**changes: Any) -> Plan:
    first, *rest = PLAN.groups
    return PLAN.model_copy(update={"groups": (first.model_copy(update=changes), *rest)})


def with_service(**changes: Any) -> Plan:
    return PLAN.model_copy(update={"service": PLAN.service.model_copy(update=changes)})


def test_a_sound_plan_is_accepted() -> None:
    assert len(PLAN.groups) == 2
    assert verify(PLAN, PROFILE) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda: with_group(share=0.1), "the shares of its groups add up to"),
        (lambda: with_group(rate_rps=1.0), "are not its share of 150 rps"),
        (lambda: with_group(stage="nowhere"), "serves a stage 'nowhere'"),
        (lambda: with_group(policy="nobody"), "is no policy of"),
        (lambda: with_group(device="cuda"), "the service asks for cpu"),
        (lambda: with_group(latency_s=0.001), "latency_s is stated as 0.001"),
        (lambda: with_group(utilization=0.01), "utilization is stated as 0.01"),
        (lambda: with_group(accuracy=0.99), "accuracy is stated as 0.99"),
        (lambda: with_group(memory_bytes=1), "memory_bytes is stated as 1"),
        (lambda: with_group(capacity_rps=9999.0), "capacity_rps is stated as 9999"),
        (lambda: with_group(capacity_rps=0.5), "each replica gets more than its capacity of 0.5 rps"),
        (lambda: with_group(batch=3), "batch 3 on"),
        (lambda: with_service(slo_s=0.01), "s are promised, 0.01 s asked for"),
        (lambda: with_service(limits=Limits(cores=1)), "cores are used, 1 allowed"),
        (lambda: with_service(limits=Limits(replicas=1)), "replicas are used, 1 allowed"),
        (lambda: with_service(mix=False), "though mixing is not allowed"),
        (
            lambda: PLAN.model_copy(update={"promise": PLAN.promise.model_copy(update={"cores": 1})}),
            "cores is stated as 1",
        ),
        (
            lambda: PLAN.model_copy(update={"solve": PLAN.solve.model_copy(update={"objective": 2.0})}),
            "the objective is stated as 2.0",
        ),
        (lambda: PLAN.model_copy(update={"solve": PLAN.solve.model_copy(update={"bound": 2.0})}), "the bound 2.0"),
    ],
)
def test_a_broken_plan_is_rejected_and_the_breach_is_named(broken: Callable[[], Plan], said: str) -> None:
    assert any(said in str(violation) for violation in verify(broken(), PROFILE))


def test_a_plan_for_another_profile_is_refused() -> None:
    other = make_profile(MODELS, seed=1)
    with pytest.raises(DocumentError, match="a plan for another profile"):
        verify(PLAN, other)
    with pytest.raises(DocumentError, match="in lacking"):
        verify(PLAN, make_profile(MODELS[:1]))


def test_an_answer_within_the_gap_is_sound_and_one_beyond_it_is_not() -> None:
    near = plan_service(PLAN.service.model_copy(update={"gap": 0.2}), PROFILE, solver="highs")
    assert verify(near, PROFILE) == []
    for bound, is_sound in ((1.19 * near.solve.objective, True), (1.21 * near.solve.objective, False)):
        claimed = near.model_copy(update={"solve": near.solve.model_copy(update={"bound": bound})})
        assert (verify(claimed, PROFILE) == []) is is_sound


def test_what_is_fixed_of_a_stage_is_verified() -> None:
    (stage,) = PLAN.service.stages
    fixed = with_service(stages=(stage.model_copy(update={"replicas": 7}),))
    assert any("7 are fixed" in str(violation) for violation in verify(fixed, PROFILE))
    few = with_service(limits=Limits(cores=3, stage_replicas=1))
    assert any("replica limit of serve" in str(violation) for violation in verify(few, PROFILE))


def test_the_network_takes_its_part_of_the_slo() -> None:
    late = with_service(network_s=0.19)
    assert any("less 0.19 s of the network" in str(violation) for violation in verify(late, PROFILE))
