"""Every baseline answers every problem by its rule, and none beats the optimum."""

import pkgutil
from dataclasses import replace

import pytest

import ttamer.planning.baselines
from ttamer.planning.baselines import BASELINES
from ttamer.planning.baselines.fa2_high import fa2_high
from ttamer.planning.baselines.rim import rim
from ttamer.planning.baselines.vpa_plus import vpa_plus
from ttamer.planning.choice import score
from ttamer.planning.problem import Column, Problem
from ttamer.planning.solve import solve

PIPELINE = Problem(
    columns=tuple(
        Column(
            stage=stage, name=name, cores=cores, batch=batch, capacity_rps=rps * batch**0.5, accuracy=accuracy,
            latency_s=latency_s * batch,
        )
        for stage in ("detect", "classify")
        for name, cores, rps, accuracy, latency_s in (("small", 1, 10.0, 0.7, 0.05), ("large", 2, 6.0, 0.9, 0.15))
        for batch in (1, 2)
    ),
    stages=("detect", "classify"),
    rate_rps=20.0,
    most_latency_s=1.0,
    most_cores=40,
)  # fmt: skip
baselines = pytest.mark.parametrize("name", BASELINES)


def test_every_file_of_the_folder_is_a_baseline_of_the_registry() -> None:
    files = {module.name for module in pkgutil.iter_modules(ttamer.planning.baselines.__path__)}
    assert files == {name.replace("-", "_") for name in BASELINES}


@baselines
@pytest.mark.parametrize("mix", [True, False])
def test_no_baseline_beats_the_optimum(name: str, mix: bool) -> None:
    problem = replace(PIPELINE, mix=mix)
    found, best = BASELINES[name](problem), solve(problem)
    assert found.status == "feasible"
    marks = score(problem, found.replicas_J, found.share_J)
    assert marks.broken == ()
    assert marks.objective == pytest.approx(found.objective)
    assert found.objective <= best.objective + 1e-9


@baselines
def test_it_tells_a_load_that_nothing_carries(name: str) -> None:
    hopeless = replace(PIPELINE, columns=tuple(replace(column, replicas=1) for column in PIPELINE.columns))
    assert BASELINES[name](replace(hopeless, rate_rps=1000.0)).status == "infeasible"


@baselines
def test_it_tells_a_stage_without_columns(name: str) -> None:
    assert BASELINES[name](replace(PIPELINE, stages=("detect", "classify", "caption"))).status == "infeasible"


def test_low_and_high_pin_the_variants() -> None:
    for name, variant in (("fa2-low", "small"), ("fa2-high", "large"), ("vpa-plus", "large")):
        found = BASELINES[name](PIPELINE)
        assert {PIPELINE.columns[j].name for j, count in enumerate(found.replicas_J) if count} == {variant}
    by_hand = fa2_high(PIPELINE, variants=["small", "large"])
    assert [PIPELINE.columns[j].name for j, count in enumerate(by_hand.replicas_J) if count] == ["small", "large"]


def test_rim_keeps_its_replicas_whatever_it_switches_to() -> None:
    found = rim(PIPELINE, replicas=[5, 6])
    assert sorted(count for count in found.replicas_J if count) == [5, 6]


def test_what_a_rule_does_not_know_of_is_reported_as_broken() -> None:
    tight = replace(PIPELINE, most_latency_s=0.12)
    found = vpa_plus(tight)
    assert found.status == "feasible"
    assert any("latency" in limit for limit in score(tight, found.replicas_J, found.share_J).broken)
