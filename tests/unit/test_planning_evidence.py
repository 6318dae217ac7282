"""Evidence: what test records say stands in the plan, and whatever the records do not say is found out."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import make_profile, make_profile_folder
from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.planning.evidence import evidence_of
from ttamer.planning.exit_choice import measured_costs, read_records
from ttamer.planning.planner import plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.intervals import paired_difference_interval
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Service, Stage
from ttamer.profiles.shelf import records_path

KINDS = ("last-exit", "confidence-threshold", "fixed-exit")
SERVICE = Service(
    slo_s=1, rate_rps=150, risk=0.2, mean_latency_s=0.006, objective="cost", stages=(Stage(policies=KINDS),)
)  # fmt: skip


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_profile_folder(tmp_path_factory.mktemp("profile"), make_profile(), {"toy": 7})


@pytest.fixture(scope="module")
def plan(profile: Profile) -> Plan:
    return plan_service(SERVICE, profile)


def early(plan: Plan) -> str:
    (name,) = plan.evidence
    assert plan.policies[name].kind != "last-exit"
    return name


def broken(plan: Plan, profile: Profile) -> str:
    return "; ".join(map(str, verify(plan, profile)))


def test_a_plan_states_what_its_policy_does_on_both_splits(plan: Plan, profile: Profile) -> None:
    name = early(plan)
    evidence, costs = plan.evidence[name], measured_costs(profile, "toy", "cpu")
    policy = FittedPolicy.from_spec(plan.policies[name]).policy
    for split, seen in (("validation", evidence.validation), ("test", evidence.test)):
        records = read_records(profile, "toy", split)
        outcome = evaluate(policy, records, costs)
        assert seen is not None
        assert (seen.accuracy, seen.accuracy_low, seen.agreement) == (outcome.accuracy, outcome.low, outcome.agreement)
        assert seen.mean_s == outcome.mean_s
        assert seen.drop == pytest.approx(float(records.accuracy_K()[-1]) - outcome.accuracy)
        assert seen.drop_low <= seen.drop <= seen.drop_high
        assert seen.digest == records.digest()
    assert evidence.fitted_samples == 600
    assert plan.policies[name].settings > 10


def test_a_plan_with_evidence_and_a_guarantee_survives_its_file(plan: Plan, profile: Profile, tmp_path: Path) -> None:
    plan.write(tmp_path / "plan.yaml", Provenance())
    again = Plan.read(tmp_path / "plan.yaml")
    assert again == plan
    assert verify(again, profile) == []


def test_another_count_of_failures_is_found_out(plan: Plan, profile: Profile) -> None:
    spec = plan.policies[early(plan)]
    assert spec.assurance is not None
    fewer = spec.assurance.model_copy(update={"failures": spec.assurance.failures - 1})
    assert "its guarantee is stated as" in broken(with_spec(plan, assurance=fewer), profile)
    tighter = spec.assurance.model_copy(update={"bound": spec.assurance.bound / 2})
    assert "its guarantee is stated as" in broken(with_spec(plan, assurance=tighter), profile)


def test_a_missing_guarantee_is_found_out(plan: Plan, profile: Profile) -> None:
    assert "has no guarantee, a disagreement of at most 0.2 is asked for" in broken(
        with_spec(plan, assurance=None), profile
    )


def test_a_risk_that_the_samples_do_not_rule_out_is_found_out(plan: Plan, profile: Profile) -> None:
    stricter = plan.model_copy(update={"service": plan.service.model_copy(update={"risk": 0.001})})
    assert "too many for a disagreement of at most 0.001" in broken(stricter, profile)


def test_less_confidence_than_asked_for_is_found_out(plan: Plan, profile: Profile) -> None:
    surer = plan.model_copy(update={"service": plan.service.model_copy(update={"confidence": 0.99})})
    assert "guarantee: together they hold at 0.95, 0.99 is asked for" in broken(surer, profile)


def test_a_mean_above_its_bound_is_found_out(plan: Plan, profile: Profile) -> None:
    faster = plan.model_copy(update={"service": plan.service.model_copy(update={"mean_latency_s": 1e-4})})
    assert "s alone in the mean, 0.0001 s allowed" in broken(faster, profile)


def test_embellished_evidence_is_found_out(plan: Plan, profile: Profile) -> None:
    name = early(plan)
    evidence = plan.evidence[name]
    assert evidence.test is not None
    better = evidence.model_copy(update={"test": evidence.test.model_copy(update={"accuracy": 0.999})})
    assert f"evidence of {name}" in broken(plan.model_copy(update={"evidence": {name: better}}), profile)
    other = plan.model_copy(update={"evidence": {**plan.evidence, "toy/none": evidence}})
    assert "no group uses this policy" in broken(other, profile)


def test_test_records_that_changed_since_are_found_out(tmp_path: Path) -> None:
    profile = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    plan = plan_service(SERVICE, profile)
    test = read_records(profile, "toy", "test")
    replace(test, label_N=1 - test.label_N).write(records_path(tmp_path, "toy", "test"))
    assert "evidence of" in broken(plan, profile)


def test_a_model_without_test_records_has_evidence_of_its_choice_alone(tmp_path: Path) -> None:
    profile = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    records_path(tmp_path, "toy", "test").unlink()
    plan = plan_service(SERVICE, profile)
    assert plan.evidence[early(plan)].test is None
    assert verify(plan, profile) == []


def test_a_policy_chosen_without_records_has_no_evidence() -> None:
    profile = make_profile()
    plan = plan_service(Service(slo_s=1, rate_rps=1), profile)
    assert plan.evidence == {}
    assert evidence_of(plan.policies[plan.groups[0].policy], profile, "cpu") is None


def test_a_part_of_a_mixture_that_the_stage_does_not_allow_is_found_out(profile: Profile) -> None:
    service = Service(
        slo_s=1, rate_rps=310, max_drop=0.1, objective="cost", stages=(Stage(policies=("fixed-exit",)),)
    )  # fmt: skip
    plan = plan_service(service, profile)
    assert {spec.kind for spec in plan.policies.values()} == {"mixture"}
    narrower = service.model_copy(update={"stages": (Stage(policies=("no-recall",)),)})
    assert "fixed-exit is not among the policies" in broken(plan.model_copy(update={"service": narrower}), profile)


def test_a_paired_interval_lies_around_the_difference_and_narrows() -> None:
    assert paired_difference_interval(0, 0, 10)[0] == pytest.approx(-paired_difference_interval(0, 0, 10)[1])
    low, high = paired_difference_interval(30, 10, 1000)
    assert low < 0.02 < high
    assert high - low < 0.03


def with_spec(plan: Plan, **update: object) -> Plan:
    name = early(plan)
    return plan.model_copy(update={"policies": {name: plan.policies[name].model_copy(update=update)}})
