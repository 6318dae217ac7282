"""Plans from imported numbers, prices, floors, memory and headroom: sound as made, rejected when changed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import best_plan, feasibility_of, list_servers, plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import AccuracyRow, ImportedPoint, Machine, ModelSpec, Profile
from ttamer.profiles.service import Limits, Prices, Running, Service, Stage, Weights

CALM = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MODELS = {"small": ("detect", 0.61), "large": ("detect", 0.74), "r18": ("classify", 0.70), "r50": ("classify", 0.76)}
PER_BATCH_S = {"small": 0.040, "large": 0.090, "r18": 0.020, "r50": 0.055}
MIB = 2**20


def point(model: str, cores: int, batch: int) -> ImportedPoint:
    latency_s = PER_BATCH_S[model] * (0.2 + 0.8 * batch / cores)
    return ImportedPoint(
        model=model, device="cpu", cores=cores, batch=batch, latency_s=latency_s, quantile=0.99,
        throughput_rps=1.1 * batch / latency_s, load_time_s=100 * PER_BATCH_S[model], memory_bytes=100 * MIB,
    )  # fmt: skip


IMPORTED = Profile(
    name="imported",
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
    imported=tuple(point(name, cores, batch) for name in MODELS for cores in (1, 2, 4) for batch in (1, 2, 4, 8)),
)  # fmt: skip
MEASURED = make_profile(
    (ModelPlan(name="small", whole_s=0.004, accuracy=0.80), ModelPlan(name="large", whole_s=0.030, accuracy=0.93)),
    batches=(1, 2, 4),
    cores=(1, 2, 4),
)
STAGES = (Stage(name="detect"), Stage(name="classify"))


@st.composite
def services(draw: st.DrawFn, stages: tuple[Stage, ...]) -> Service:
    money = draw(st.booleans())
    floor = draw(st.one_of(st.none(), st.floats(0.1, 0.6)))
    return Service(
        slo_s=draw(st.floats(0.05, 1.5)),
        rate_rps=draw(st.floats(1.0, 80.0)),
        stages=stages,
        objective=draw(st.sampled_from(["weighted", "accuracy", "cost", "latency"])),
        aggregation=draw(st.sampled_from(["product", "sum", "mean"])),
        accuracy_scale="raw" if floor is not None else draw(st.sampled_from(["raw", "rank"])),
        accuracy_floor=floor,
        mix=draw(st.booleans()),
        headroom=draw(st.sampled_from([0.0, 0.3])),
        interpolate=draw(st.booleans()),
        weights=Weights(cost=draw(st.sampled_from([1e-3, 0.05])), loading=draw(st.sampled_from([0.0, 0.01]))),
        prices=Prices(core_hour=0.04 if money else None),
        limits=Limits(
            cores=draw(st.one_of(st.none(), st.integers(2, 24))),
            memory_bytes=draw(st.one_of(st.none(), st.integers(200, 4000).map(lambda mib: mib * MIB))),
            cost_per_hour=draw(st.floats(0.05, 1.0)) if money else None,
        ),
        current=draw(
            st.sampled_from(
                [(), (Running(stage=stages[0].name, model="small", policy="p", cores=1, batch=1, replicas=2),)]
            )
        ),
    )


def plan_or_none(service: Service, profile: Profile) -> Plan | None:
    try:
        return plan_service(service, profile)
    except InfeasibleError:
        return None


def check(plan: Plan, profile: Profile) -> None:
    """What a plan may use, written down once more."""
    service, groups = plan.service, plan.groups
    cores = sum(group.replicas * group.cores for group in groups)
    assert service.limits.cores is None or cores <= service.limits.cores
    memory = sum(group.replicas * group.memory_bytes for group in groups)
    assert service.limits.memory_bytes is None or memory <= service.limits.memory_bytes
    if service.limits.cost_per_hour is not None:
        assert cores * 0.04 <= service.limits.cost_per_hour * (1 + 1e-9)
    assert plan.promise.latency_s <= service.slo_s * (1 + 1e-9)
    for group in groups:
        assert group.rate_rps <= group.replicas * group.capacity_rps * (1 - service.headroom) * (1 + 1e-9)
    assert verify(plan, profile) == []


@CALM
@given(services(STAGES))
def test_what_is_called_feasible_can_be_planned_and_nothing_else(service: Service) -> None:
    choices = choose_models(IMPORTED, service)
    servers = list_servers(service, IMPORTED, choices)
    made = best_plan(service, IMPORTED, choices, servers)
    assert feasibility_of(service, IMPORTED, choices, servers).is_feasible(service) == (made is not None)


def test_batches_that_a_shared_load_would_not_fill_are_no_way_out() -> None:
    """Imported models that may share a load are planned without batches, so none is named that needs them."""
    demands: dict[str, Any] = {"slo_s": 1.5, "rate_rps": 32.0, "stages": STAGES, "limits": Limits(cores=2)}
    assert plan_service(Service(**demands, mix=False), IMPORTED).promise.cores == 2
    with pytest.raises(InfeasibleError) as caught:
        plan_service(Service(**demands, mix=True), IMPORTED)
    cores = int(caught.value.remedy.split("allow ")[1].split(" cores")[0])
    assert cores > 2
    assert plan_service(Service(**demands | {"limits": Limits(cores=cores)}, mix=True), IMPORTED).promise.cores == cores


@CALM
@given(services(STAGES))
def test_plans_from_imported_numbers_keep_every_limit(service: Service) -> None:
    plan = plan_or_none(service, IMPORTED)
    if plan is None:
        return
    check(plan, IMPORTED)
    for group in plan.groups:
        assert group.batch_timeout_s == pytest.approx((group.batch - 1) / service.rate_rps)


@settings(CALM, max_examples=15)
@given(services((Stage(),)))
def test_plans_from_measurements_keep_every_limit(service: Service) -> None:
    plan = plan_or_none(service.model_copy(update={"slo_s": service.slo_s / 2}), MEASURED)
    if plan is not None:
        check(plan, MEASURED)


@settings(CALM, max_examples=15)
@given(services(STAGES))
def test_each_aim_is_reached_at_least_as_well_as_by_the_others(service: Service) -> None:
    plain = {
        "limits": Limits(cores=service.limits.cores),
        "prices": Prices(),
        "accuracy_scale": "raw",
        "aggregation": "product",
    }
    plans = {
        aim: plan_or_none(service.model_copy(update=plain | {"objective": aim}), IMPORTED)
        for aim in ("accuracy", "cost", "latency")
    }
    if any(plan is None for plan in plans.values()):
        assert all(plan is None for plan in plans.values())
        return
    found: dict[str, Any] = plans
    assert all(found["accuracy"].promise.accuracy >= plan.promise.accuracy - 1e-4 for plan in found.values())
    assert all(found["cost"].promise.cores <= plan.promise.cores for plan in found.values())
    assert all(found["latency"].promise.latency_s <= plan.promise.latency_s * (1 + 1e-4) for plan in found.values())


BASE = plan_service(
    Service(slo_s=0.6, rate_rps=30.0, stages=STAGES, mix=False, limits=Limits(cores=12, memory_bytes=4000 * MIB),
            prices=Prices(core_hour=0.04), headroom=0.1, accuracy_floor=0.4),
    IMPORTED,
)  # fmt: skip
GROUP_MUTATIONS: dict[str, st.SearchStrategy[Any]] = {
    "share": st.floats(0.01, 0.99),
    "rate_rps": st.floats(0.1, 1000.0),
    "capacity_rps": st.floats(0.1, 1000.0),
    "batch_timeout_s": st.floats(0.0, 2.0),
    "utilization": st.floats(0.0, 1.0),
    "service_s": st.floats(1e-4, 1.0),
    "latency_s": st.floats(1e-4, 1.0),
    "accuracy": st.floats(0.0, 1.0),
    "memory_bytes": st.integers(0, 10**9),
    "load_time_s": st.floats(0.0, 10.0),
    "replicas": st.integers(1, 20),
    "cores": st.integers(1, 16),
    "batch": st.integers(1, 64),
    "model": st.sampled_from(sorted(MODELS)),
    "stage": st.sampled_from(["detect", "classify", "serve"]),
}
PROMISE_MUTATIONS: dict[str, st.SearchStrategy[Any]] = {
    "latency_s": st.floats(1e-4, 1.0),
    "quantile": st.floats(0.5, 0.999),
    "accuracy": st.floats(0.0, 1.0),
    "accuracy_source": st.sampled_from(["measured", "published", None]),
    "utilization": st.floats(0.0, 1.0),
    "cores": st.integers(1, 64),
}
SERVICE_BREACHES: list[dict[str, Any]] = [
    {"accuracy_floor": 0.9},
    {"limits": Limits(cores=1)},
    {"limits": Limits(memory_bytes=MIB)},
    {"limits": Limits(cost_per_hour=0.01)},
    {"limits": Limits(replicas=1)},
    {"prices": Prices(core_hour=1.0)},
    {"headroom": 0.9},
    {"slo_s": 0.01},
    {"quantile": 0.999},
    {"rate_rps": 31.0},
    {"weights": Weights(cost=0.5)},
    {"aggregation": "mean"},
    {"accuracy_scale": "rank"},
    {"objective": "cost"},
]


def is_rejected(plan: Plan, profile: Profile) -> bool:
    """Whether verification finds something wrong, or refuses the plan as one of another profile."""
    try:
        return bool(verify(plan, profile))
    except InputError:
        return True


def is_same(value: object, original: object) -> bool:
    if isinstance(value, float) and isinstance(original, (int, float)):
        return value == pytest.approx(original, rel=1e-5, abs=1e-9)
    return value == original


@settings(CALM, max_examples=200)
@given(st.data(), st.sampled_from(sorted(GROUP_MUTATIONS)), st.integers(0, len(BASE.groups) - 1))
def test_a_changed_group_is_rejected(data: st.DataObject, field: str, place: int) -> None:
    value, groups = data.draw(GROUP_MUTATIONS[field]), list(BASE.groups)
    if is_same(value, getattr(groups[place], field)):
        return
    groups[place] = groups[place].model_copy(update={field: value})
    assert is_rejected(BASE.model_copy(update={"groups": tuple(groups)}), IMPORTED)


def test_a_batch_that_no_rate_can_fill_within_the_slo_is_rejected() -> None:
    groups = [BASE.groups[0].model_copy(update={"batch": 8}), *BASE.groups[1:]]
    plan = BASE.model_copy(update={"groups": tuple(groups)})
    assert any("no batch of 8 is answered within the SLO" in str(one) for one in verify(plan, IMPORTED))


@settings(CALM, max_examples=80)
@given(st.data(), st.sampled_from(sorted(PROMISE_MUTATIONS)))
def test_a_changed_promise_is_rejected(data: st.DataObject, field: str) -> None:
    value = data.draw(PROMISE_MUTATIONS[field])
    if is_same(value, getattr(BASE.promise, field)):
        return
    promise = BASE.promise.model_copy(update={field: value})
    assert is_rejected(BASE.model_copy(update={"promise": promise}), IMPORTED)


@pytest.mark.parametrize("changes", SERVICE_BREACHES, ids=str)
def test_a_plan_is_rejected_under_demands_that_it_was_not_made_for(changes: dict[str, Any]) -> None:
    service = BASE.service.model_copy(update=changes)
    assert is_rejected(BASE.model_copy(update={"service": service}), IMPORTED)


def test_a_dropped_or_doubled_group_is_rejected() -> None:
    first: Group = BASE.groups[0]
    for groups in (BASE.groups[1:], BASE.groups[:1], (*BASE.groups, first)):
        assert is_rejected(BASE.model_copy(update={"groups": groups}), IMPORTED)


def test_interpolated_settings_are_verified_too_and_named_in_the_notes() -> None:
    service = Service(slo_s=0.2, rate_rps=400.0, stages=(Stage(models=("large",)),), limits=Limits(cores=30))
    cores = {g.cores for g in plan_service(service.model_copy(update={"interpolate": True}), MEASURED).groups}
    assert cores <= {1, 2, 3, 4}
    only_three = service.model_copy(update={"interpolate": True, "limits": Limits(replicas=1), "rate_rps": 95.0})
    plan = plan_service(only_three, MEASURED)
    assert verify(plan, MEASURED) == []
    for group in plan.groups:
        if group.cores == 3:
            assert any("was not measured" in note for note in plan.notes)
            assert verify(
                plan.model_copy(update={"service": only_three.model_copy(update={"interpolate": False})}), MEASURED
            )
