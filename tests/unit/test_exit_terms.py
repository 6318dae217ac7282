"""What a service demands of exit policies: drops with their 95 % bound, a mean time, a guarantee."""

from pathlib import Path

import pytest

from tests.builders import ModelPlan, make_profile, make_profile_folder
from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.exits.guarantee import Risk, failures_of
from ttamer.exits.mixture import Mixture
from ttamer.planning.exit_choice import OperatingPoint, measured_costs, operating_points, read_records
from ttamer.planning.exit_terms import ExitTerms, kinds_in
from ttamer.planning.model_choice import ModelChoice, choose_models
from ttamer.planning.planner import plan_service
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service, Stage

KINDS = ("last-exit", "fixed-exit", "confidence-threshold", "no-recall")
CHOICE = ModelChoice(stage="serve", models=("toy",), dataset="synthetic")
WHOLE_S = 0.0058  # about what the made-up model takes alone


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_profile_folder(tmp_path_factory.mktemp("profile"), make_profile(), {"toy": 7}, samples=1000)


def points_under(profile: Profile, terms: ExitTerms, kinds: tuple[str, ...] = KINDS) -> list[OperatingPoint]:
    return operating_points(profile, "toy", Stage(policies=kinds), CHOICE, "cpu", terms)


def mean_s(profile: Profile, point: OperatingPoint) -> float:
    validation = read_records(profile, "toy", "validation")
    found = evaluate(FittedPolicy.from_spec(point.spec), validation, measured_costs(profile, "toy", "cpu")).mean_s
    assert found is not None
    return found


def test_a_mixture_uses_what_the_drop_allows(profile: Profile) -> None:
    kinds = ("last-exit", "fixed-exit")  # coarse steps: one alone leaves much unused
    points = points_under(profile, ExitTerms(max_drop=0.05), kinds)
    mixed = [point for point in points if point.spec.kind == "mixture"]
    assert len(mixed) == 1
    assert 0.02 < mixed[0].drop <= 0.05
    alone = [mean_s(profile, point) for point in points if point.spec.kind != "mixture"]
    assert mean_s(profile, mixed[0]) < min(alone)
    assert set(kinds_in(mixed[0].spec)) <= {"last-exit", "fixed-exit"}


def test_without_a_bound_on_a_mean_nothing_is_mixed(profile: Profile) -> None:
    assert all(point.spec.kind != "mixture" for point in points_under(profile, ExitTerms()))


@pytest.mark.parametrize("share", [0.3, 0.4, 0.5])
def test_every_point_keeps_the_mean_and_the_best_comes_close_to_it(profile: Profile, share: float) -> None:
    most_s = share * WHOLE_S
    points = points_under(profile, ExitTerms(mean_s=most_s))
    means_s = [mean_s(profile, point) for point in points]
    assert max(means_s) <= most_s * (1 + 1e-9)
    assert max(means_s) >= 0.9 * most_s
    assert [point.mean_s for point in points] == means_s


def test_a_bound_on_the_mean_that_the_last_exit_misses_drops_the_last_exit(profile: Profile) -> None:
    assert all(point.spec.kind != "last-exit" for point in points_under(profile, ExitTerms(mean_s=0.5 * WHOLE_S)))
    assert points_under(profile, ExitTerms(mean_s=2 * WHOLE_S))[0].spec.kind == "last-exit"


def test_a_model_without_records_keeps_the_mean_whole_or_is_not_offered() -> None:
    unrecorded = make_profile((ModelPlan(name="toy"),))
    assert points_under(unrecorded, ExitTerms(mean_s=2 * WHOLE_S))[0].mean_s == pytest.approx(WHOLE_S, rel=0.1)
    assert points_under(unrecorded, ExitTerms(mean_s=0.5 * WHOLE_S)) == []


@pytest.mark.parametrize("risk_of", Risk)
def test_under_a_risk_every_policy_is_vouched_for(profile: Profile, risk_of: Risk) -> None:
    terms = ExitTerms(risk=0.25, confidence=0.95, risk_of=risk_of)
    points = points_under(profile, terms)
    validation = read_records(profile, "toy", "validation")
    assert len(points) > 1
    for point in points:
        assert point.spec.kind != "mixture"
        if point.spec.kind == "last-exit" and risk_of is not Risk.ERROR:
            assert point.spec.assurance is None
            continue
        assurance = point.spec.assurance
        assert assurance is not None
        assert assurance.failures == failures_of(FittedPolicy.from_spec(point.spec).policy, validation, risk_of)
        assert assurance.bound <= 0.25
        assert (assurance.samples, assurance.risk_of) == (1000, risk_of.value)


def test_a_smaller_risk_leaves_slower_policies(profile: Profile) -> None:
    fastest_s = [
        min(mean_s(profile, point) for point in points_under(profile, ExitTerms(risk=risk)))
        for risk in (0.01, 0.05, 0.2)
    ]
    assert fastest_s == sorted(fastest_s, reverse=True)
    assert fastest_s[0] > fastest_s[-1]


def test_records_too_few_for_the_guarantee_are_refused_with_the_number_needed(profile: Profile) -> None:
    with pytest.raises(InfeasibleError) as refused:
        points_under(profile, ExitTerms(risk=0.001))
    assert refused.value.message == (
        "1000 validation samples of 'toy' cannot certify a disagreement of at most 0.1 % with 95 % confidence"
    )
    assert refused.value.remedy.startswith("at least 2995 samples without one failure are needed, 4742 with one")


def test_the_last_exit_alone_needs_no_samples(profile: Profile) -> None:
    (point,) = points_under(profile, ExitTerms(risk=0.001), ("last-exit",))
    assert (point.spec.kind, point.spec.assurance) == ("last-exit", None)


def test_an_error_that_even_the_last_exit_exceeds_leaves_nothing(profile: Profile) -> None:
    assert points_under(profile, ExitTerms(risk=0.01, risk_of=Risk.ERROR)) == []
    service = Service(slo_s=1, rate_rps=1, risk=0.01, risk_of="error")
    with pytest.raises(InfeasibleError, match="no policy of stage 'serve' keeps a guaranteed error of at most 1 %"):
        plan_service(service, profile)


def test_a_mean_that_nothing_keeps_is_infeasible_and_the_fastest_is_named(profile: Profile) -> None:
    service = Service(slo_s=1, rate_rps=1, mean_latency_s=1e-5, stages=(Stage(policies=KINDS),))
    with pytest.raises(InfeasibleError, match=r"takes at most 0\.01 ms alone.*allow the 1\.\d+ ms of the fastest"):
        plan_service(service, profile)


def test_models_share_what_the_confidence_leaves_open(tmp_path: Path) -> None:
    models = (ModelPlan(name="toy"), ModelPlan(name="other"))
    both = make_profile_folder(tmp_path, make_profile(models), {"toy": 7, "other": 20})
    service = Service(slo_s=1, rate_rps=1, risk=0.1, confidence=0.9)
    assert ExitTerms.of(service, both, choose_models(both, service)).confidence == pytest.approx(0.95)
    alone = service.model_copy(update={"stages": (Stage(models=("toy",)),)})
    assert ExitTerms.of(alone, both, choose_models(both, alone)).confidence == pytest.approx(0.9)
    whole = service.model_copy(update={"stages": (Stage(policies=("last-exit",)),)})
    assert ExitTerms.of(whole, both, choose_models(both, whole)).confidence == pytest.approx(0.9)


def test_the_kinds_of_a_mixture_are_those_of_its_parts(profile: Profile) -> None:
    points = points_under(profile, ExitTerms(max_drop=0.05), ("last-exit", "fixed-exit"))
    spec = next(point.spec for point in points if point.spec.kind == Mixture.kind)
    assert set(kinds_in(spec)) <= {"last-exit", "fixed-exit"}
    assert kinds_in(points[0].spec) == ("last-exit",)
