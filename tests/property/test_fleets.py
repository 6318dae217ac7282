"""Services on several pools of machines: exact, monotone in what they may use, and doubted in every claim."""

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile
from ttamer.planning.choice import broken_limits
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import list_servers, plan_service
from ttamer.planning.problem import Problem, SolveLimits
from ttamer.planning.program import make_program
from ttamer.planning.solve import solve
from ttamer.planning.solvers import EXACT, SOLVERS
from ttamer.planning.valuation import levels_of
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError, InputError, TtamerError
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import AccuracyRow, ImportedPoint, Machine, ModelSpec, Profile
from ttamer.profiles.service import Limits, Pool, Service, Stage, Weights

CALM = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MODELS = {"small": ("see", 0.61), "large": ("see", 0.74), "r18": ("tell", 0.70), "r50": ("tell", 0.76)}
SECONDS = {"small": 0.040, "large": 0.090, "r18": 0.020, "r50": 0.055}
MIB = 2**20
GPU_SPEED = 12.0


def point(model: str, device: str, cores: int, batch: int) -> ImportedPoint:
    speed = GPU_SPEED if device == "cuda" else cores
    latency_s = SECONDS[model] * (0.2 + 0.8 * batch / speed)
    return ImportedPoint(
        model=model, device=device, cores=cores, batch=batch, latency_s=latency_s, quantile=0.99,
        throughput_rps=1.1 * batch / latency_s, load_time_s=100 * SECONDS[model],
        memory_bytes=(900 if device == "cuda" else 200) * MIB,
    )  # fmt: skip


PROFILE = Profile(
    name="fleet",
    machine=Machine(fingerprint="imported", facts={}),
    models={
        name: ModelSpec(
            name=name, family="imported", classes=0, input_shape=(), exits=("last",), head="none", task=stage
        )
        for name, (stage, _) in MODELS.items()
    },
    latency=(),
    accuracy=tuple(
        AccuracyRow(
            model=name, exit=0, dataset=stage, split="imported", accuracy=accuracy,
            low=None, high=None, samples=0, source="imported",
        )
        for name, (stage, accuracy) in MODELS.items()
    ),
    imported=tuple(
        point(name, device, cores, batch)
        for name in MODELS
        for device, cores in (("cpu", 1), ("cpu", 2), ("cuda", 1))
        if (name, device) != ("small", "cuda")  # as happens: not everything was measured everywhere
        for batch in (1, 4)
    ),
)  # fmt: skip
ONE, TWO = (Stage(name="see"),), (Stage(name="see"), Stage(name="tell"))


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Pool, ...]:
    cores, devices = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    memory = draw(st.one_of(st.none(), st.integers(900, 3000)))
    pools = [
        Pool(name="rack", cores=cores, price=draw(st.sampled_from([0.04, 0.2, 0.0]))),
        Pool(
            name="gpu", device="cuda", cores=devices, price=draw(st.sampled_from([1.1, 0.3])),
            memory_bytes=None if memory is None else memory * MIB,
        ),
        Pool(name="spot", cores=draw(st.integers(1, 4)), price=0.01),
    ]  # fmt: skip
    kept = draw(st.lists(st.sampled_from(pools), min_size=1, max_size=3, unique_by=lambda pool: pool.name))
    return tuple(kept)


@st.composite
def services(draw: st.DrawFn) -> Service:
    stages, mix = draw(st.sampled_from([ONE, TWO])), draw(st.booleans())
    if not draw(st.integers(0, 3)):
        stages = (stages[0].model_copy(update={"replicas": draw(st.integers(1, 3))}), *stages[1:])
    return Service(
        slo_s=draw(st.sampled_from([0.15, 0.3, 0.8])),
        network_s=draw(st.sampled_from([0.0, 0.02])),
        rate_rps=draw(st.sampled_from([8.0, 30.0, 70.0])),
        stages=stages,
        pools=draw(fleets()),
        mix=mix,
        objective=draw(st.sampled_from(["weighted", "accuracy", "cost"])),
        aggregation=draw(st.sampled_from(["product", "sum", "mean"])),
        accuracy_floor=draw(st.one_of(st.none(), st.none(), st.sampled_from([0.4, 0.65]))),
        headroom=draw(st.sampled_from([0.0, 0.2])),
        weights=Weights(cost=draw(st.sampled_from([1e-3, 0.1])), loading=draw(st.sampled_from([0.0, 0.01]))),
        limits=Limits(
            cost_per_hour=draw(st.one_of(st.none(), st.sampled_from([0.3, 1.5, 3.0]))),
            replicas=draw(st.sampled_from([100, 4])),
            stage_replicas=draw(st.sampled_from([None, 2])),
        ),
    )


def program(service: Service) -> Problem:
    choices = choose_models(PROFILE, service)
    return make_program(service, list_servers(service, PROFILE, choices), levels_of(PROFILE, choices)).problem


def answer(service: Service) -> Plan | TtamerError:
    try:
        return plan_service(service, PROFILE)
    except (InfeasibleError, InputError) as error:
        return error


def planned(service: Service) -> Plan | None:
    found = answer(service)
    if isinstance(found, Plan):
        return found
    assert isinstance(found, InfeasibleError) or "no finished model" in found.message
    return None


@CALM
@given(services())
def test_every_exact_solver_plans_a_fleet_as_enumeration_does(service: Service) -> None:
    try:
        problem = program(service)
    except InputError:
        return
    try:
        truth = SOLVERS["exhaustive"](problem, SolveLimits())
    except InputError:  # too many to enumerate
        truth = solve(problem, "labels")
    is_linear = not (problem.mix and problem.aggregation == "product")
    for name in EXACT if is_linear else ("labels",):
        if name == "exhaustive":
            continue
        found = solve(problem, name)
        assert found.status == truth.status, name
        if truth.status == "optimal":
            assert found.objective == pytest.approx(truth.objective, abs=1e-8), name
            assert broken_limits(problem, found.replicas_J, found.share_J) == []


@CALM
@given(services())
def test_a_plan_for_a_fleet_keeps_every_limit_of_every_pool(service: Service) -> None:
    plan = planned(service)
    if plan is None:
        return
    assert verify(plan, PROFILE) == []
    money = 0.0
    for pool in service.pools:
        groups = [group for group in plan.groups if group.pool == pool.name]
        units = sum(group.replicas * group.cores for group in groups)
        assert all(group.device == pool.device for group in groups)
        assert pool.cores is None or units <= pool.cores
        assert pool.memory_bytes is None or sum(g.replicas * g.memory_bytes for g in groups) <= pool.memory_bytes
        money += units * pool.price
    assert plan.promise.cost_per_hour == pytest.approx(money)
    assert service.limits.cost_per_hour is None or money <= service.limits.cost_per_hour * (1 + 1e-9)
    assert plan.promise.latency_s + service.network_s <= service.slo_s * (1 + 1e-9)
    for stage in service.stages:
        models = [group.model for group in plan.groups if group.stage == stage.name]
        replicas = [group.replicas for group in plan.groups if group.stage == stage.name]
        assert stage.replicas is None or (set(replicas) == {stage.replicas} and len(set(models)) == len(models))
        assert service.limits.stage_replicas is None or sum(replicas) <= service.limits.stage_replicas


@CALM
@given(services(), st.integers(0, 2), st.integers(1, 3))
def test_a_larger_or_further_pool_never_hurts(service: Service, place: int, more: int) -> None:
    before = planned(service)
    if before is None:
        return
    pools = list(service.pools)
    pool = pools[place % len(pools)]
    larger = pool.model_copy(update={"cores": (pool.cores or 0) + more, "memory_bytes": None})
    further = Pool(name="further", cores=more, price=pool.price)
    for changed in ([one if one is not pool else larger for one in pools], [*pools, further]):
        after = planned(service.model_copy(update={"pools": tuple(changed)}))
        assert after is not None
        assert after.solve.objective >= before.solve.objective - 1e-9


@CALM
@given(services())
def test_an_impossible_fleet_names_only_what_helps(service: Service) -> None:
    refused = answer(service)
    if isinstance(refused, InfeasibleError):
        assert refused.message.startswith("no plan serves")
        assert refused.remedy


SERVICE = Service(
    slo_s=0.3, rate_rps=70.0, stages=ONE, accuracy_floor=0.66,
    pools=(
        Pool(name="rack", cores=4, price=0.04), Pool(name="gpu", device="cuda", cores=1, price=1.1),
        Pool(name="cards", device="cuda", cores=2, price=5.0),
    ),
)  # fmt: skip
BASE = plan_service(SERVICE.model_copy(update={"mix": True}), PROFILE)
CLAIMS: list[dict[str, Any]] = [
    {"pool": "rack"}, {"pool": "gpu"}, {"pool": "cards"}, {"pool": "cpu"}, {"pool": ""}, {"device": "cpu"},
    {"device": "cuda"}, {"cores": 2}, {"replicas": 5},
]  # fmt: skip


def is_rejected(plan: Plan) -> bool:
    try:
        return bool(verify(plan, PROFILE))
    except InputError:
        return True


def test_the_plan_to_be_mutated_uses_two_kinds_of_devices() -> None:
    assert {group.device for group in BASE.groups} == {"cpu", "cuda"}
    assert verify(BASE, PROFILE) == []


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
@pytest.mark.parametrize("place", range(len(BASE.groups)))
def test_a_changed_claim_about_pools_and_devices_is_rejected(claim: dict[str, Any], place: int) -> None:
    groups = list(BASE.groups)
    changed = groups[place].model_copy(update=claim)
    assume_changed = changed != groups[place]
    groups[place] = changed
    assert is_rejected(BASE.model_copy(update={"groups": tuple(groups)})) is assume_changed


@pytest.mark.parametrize(
    "promise", [{"cores": 5}, {"devices": 0}, {"cost_per_hour": 0.5}, {"cost_per_hour": None}], ids=str
)
def test_a_changed_promise_of_a_fleet_is_rejected(promise: dict[str, Any]) -> None:
    assert is_rejected(BASE.model_copy(update={"promise": BASE.promise.model_copy(update=promise)}))


SMALLER: list[dict[str, Any]] = [
    {"pools": (SERVICE.pools[0], SERVICE.pools[1].model_copy(update={"memory_bytes": MIB}), SERVICE.pools[2])},
    {"pools": (SERVICE.pools[0].model_copy(update={"cores": 1}), *SERVICE.pools[1:])},
    {"pools": (SERVICE.pools[0].model_copy(update={"price": 0.05}), *SERVICE.pools[1:])},
    {"pools": SERVICE.pools[:1]},
    {"pools": SERVICE.pools[1:]},
    {"network_s": 0.28},
    {"stages": (ONE[0].model_copy(update={"replicas": 9}),)},
    {"limits": Limits(stage_replicas=1)},
    {"limits": Limits(cost_per_hour=0.1)},
]


@pytest.mark.parametrize("changes", SMALLER, ids=str)
def test_a_plan_is_rejected_by_a_fleet_it_was_not_made_for(changes: dict[str, Any]) -> None:
    assert is_rejected(BASE.model_copy(update={"service": BASE.service.model_copy(update=changes)}))


MEASURED = {
    device: make_profile(
        (ModelPlan(name="quick", whole_s=0.02 / speed, accuracy=0.8), ModelPlan(name="slow", whole_s=0.09 / speed)),
        device=device, cores=(1, 2) if device == "cpu" else (1,), batches=(1, 2, 4), samples=120,
    )
    for device, speed in (("cpu", 1), ("cuda", 10))
}  # fmt: skip
BOTH = Profile(
    name="both",
    machine=MEASURED["cpu"].machine,
    models=MEASURED["cpu"].models,
    latency=(*MEASURED["cpu"].latency, *MEASURED["cuda"].latency),
    accuracy=MEASURED["cpu"].accuracy,
)


@settings(CALM, max_examples=10)
@given(st.integers(1, 4), st.integers(1, 2), st.sampled_from([40.0, 150.0, 400.0]), st.booleans())
def test_measured_models_share_cpus_and_gpus(cores: int, devices: int, rate_rps: float, two: bool) -> None:
    service = Service(
        slo_s=0.4, rate_rps=rate_rps, stages=(Stage(name="a"), Stage(name="b")) if two else (Stage(),),
        pools=(Pool(name="cpu", cores=cores, price=0.04), Pool(name="gpu", device="cuda", cores=devices, price=1.0)),
    )  # fmt: skip
    try:
        plan = plan_service(service, BOTH)
    except InfeasibleError:
        assume(False)
    assert verify(plan, BOTH) == []
