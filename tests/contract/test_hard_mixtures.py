"""Mixtures too many to list: a choice is found all the same, its bound holds, and absurd numbers take no time."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning import tasks
from ttamer.planning.choice import score
from ttamer.planning.listing import list_options
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import list_servers
from ttamer.planning.problem import Column, Problem, SolveLimits
from ttamer.planning.program import make_program
from ttamer.planning.solve import solve
from ttamer.planning.solvers.labels import labels
from ttamer.planning.tasks import QUICK, Outcome
from ttamer.planning.valuation import levels_of
from ttamer.profiles.service import Limits, Service, Stage, Weights


def pipeline(stages: int = 2, rate_rps: float = 2900.0, most_cores: int | None = None, **changes: object) -> Problem:
    """Stages of three models on one or two cores at two batches, with parts of the SLO from 1/8 to 7/8."""
    rng = np.random.default_rng(0)
    names = tuple(f"stage {number}" for number in range(stages))
    made = tuple(
        Column(
            stage=stage,
            name=model,
            cores=cores,
            batch=batch,
            accuracy=accuracy,
            latency_s=part / 8,
            capacity_rps=float((1 - 0.6 * 0.7**part) * batch**0.3 * cores**0.8 / service_s * rng.uniform(0.9, 1.1)),
        )
        for stage in names
        for model, service_s, accuracy in (("small", 0.004, 0.80), ("medium", 0.010, 0.88), ("large", 0.030, 0.93))
        for cores in (1, 2)
        for batch in (1, 4)
        for part in range(1, 8)
    )
    return replace(
        Problem(columns=made, stages=names, rate_rps=rate_rps, most_cores=most_cores, most_latency_s=1.0),
        **changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("changes", [{}, {"most_cores": 60}, {"most_cores": 60, "least_accuracy": 0.7}])
def test_labels_out_of_time_give_the_best_choice_known_and_a_bound(changes: dict[str, object]) -> None:
    problem = pipeline(aggregation="product", **changes)
    unmixed = solve(replace(problem, mix=False), "labels")
    found = solve(problem, "labels", SolveLimits(time_s=0.5))
    assert found.status in ("time-limited", "optimal")
    assert score(problem, found.replicas_J, found.share_J).broken == ()
    assert unmixed.objective <= found.objective <= found.bound


def test_the_mixtures_that_a_program_chooses_from_are_listed_in_the_time_allowed() -> None:
    problem = pipeline(aggregation="product", rate_rps=900.0, most_cores=72)
    hurried, whole = (list_options(problem, SolveLimits(time_s=seconds), QUICK) for seconds in (0.0, 30.0))
    assert hurried is not None
    assert whole is not None
    assert (hurried.is_complete, whole.is_complete) == (False, True)
    found = solve(problem, "highs", SolveLimits(time_s=0.0))
    assert found.status == "time-limited"
    assert score(problem, found.replicas_J, found.share_J).broken == ()
    assert found.objective <= solve(problem, "labels").objective <= found.bound


def test_labels_find_mixtures_where_no_model_alone_will_do() -> None:
    problem = pipeline(aggregation="product", rate_rps=900.0, most_cores=11, least_accuracy=0.73)
    assert solve(replace(problem, mix=False), "labels").status == "infeasible"
    found = solve(problem, "labels", SolveLimits(time_s=2.0))
    assert score(problem, found.replicas_J, found.share_J).broken == ()


@pytest.mark.parametrize("aggregation", ["sum", "product"])
def test_labels_are_not_lost_in_absurd_numbers(aggregation: str) -> None:
    problem = pipeline(rate_rps=1e9, most_cores=2**31, most_replicas=2**31, aggregation=aggregation)
    found = solve(problem, "labels", SolveLimits(time_s=2.0))
    assert found.objective <= found.bound < 1.9
    assert score(problem, found.replicas_J, found.share_J).broken == ()


def test_labels_see_at_once_that_no_fractions_of_replicas_fit() -> None:
    assert labels(pipeline(rate_rps=1e9, most_cores=1000), SolveLimits(time_s=0.0)).status == "infeasible"


def test_what_is_known_without_mixing_saves_listing_mixtures() -> None:
    problem = pipeline(3, rate_rps=1500.0, most_cores=16, accuracy_weight=0.0)
    assert solve(problem, "labels", SolveLimits(time_s=10.0)).status == "optimal"


PROFILE = make_profile(
    (ModelPlan(name="small", whole_s=0.004, accuracy=0.8), ModelPlan(name="large", whole_s=0.030, accuracy=0.93)),
    batches=(1, 4),
)


def program(rate_rps: float, slo_s: float, cores: int, stages: str, accuracy: float) -> Problem:
    """A program as the planner makes it of measured models."""
    service = Service(
        slo_s=slo_s, rate_rps=rate_rps, stages=tuple(Stage(name=name) for name in stages), mix=True,
        limits=Limits(cores=cores), weights=Weights(accuracy=accuracy), aggregation="sum",
    )  # fmt: skip
    choices = choose_models(PROFILE, service)
    return make_program(service, list_servers(service, PROFILE, choices), levels_of(PROFILE, choices)).problem


@pytest.mark.parametrize(
    ("rate_rps", "slo_s", "cores", "stages", "accuracy"),
    [(700.0, 0.05, 21, "abc", 1.0), (1950.0, 0.2, 18, "ab", 0.0), (900.0, 0.1, 18, "abc", 0.0),
     (2000.0, 0.4, 22, "ab", 1.0)],
)  # fmt: skip
def test_highs_loses_no_better_plan_to_rounding(
    rate_rps: float, slo_s: float, cores: int, stages: str, accuracy: float
) -> None:
    problem = program(rate_rps, slo_s, cores, stages, accuracy)
    found, best = solve(problem, "highs"), solve(problem, "labels")
    assert (found.status, best.status) == ("optimal", "optimal")
    assert found.objective == pytest.approx(best.objective, abs=1e-9)


@pytest.mark.parametrize("claim", [Outcome(is_infeasible=True), Outcome(is_proven=True, value_V=np.zeros(10_000))])
@pytest.mark.parametrize("mix", [True, False])
def test_a_plan_that_highs_does_not_find_is_found_by_labels(
    monkeypatch: pytest.MonkeyPatch, claim: Outcome, mix: bool
) -> None:
    problem = replace(program(700.0, 0.05, 21, "abc", 1.0), mix=mix)
    module = import_module("ttamer.planning.solvers.highs")  # by name: the package holds the function
    monkeypatch.setattr(module, "_run", lambda *arguments, **options: claim)
    monkeypatch.setattr(tasks, "choice_in", lambda *arguments: None)
    monkeypatch.setattr(tasks, "broken_limits", lambda *arguments: ["all"])
    assert solve(problem, "highs").objective == pytest.approx(solve(problem, "labels").objective, abs=1e-12)
