"""Every controller: what each must do, whatever its rule."""

from pathlib import Path

import numpy as np
import pytest

from tests.builders_adaptation import catalog_of, scene_of, seen
from ttamer.planning.adaptation import controllers
from ttamer.planning.adaptation.adapting import Adapting, adapting, first_configuration
from ttamer.planning.adaptation.comparing import Choices, trial
from ttamer.planning.adaptation.controllers import CONTROLLERS
from ttamer.planning.adaptation.controllers.protocol import Setup
from ttamer.planning.adaptation.predictors import PREDICTORS
from ttamer.planning.adaptation.predictors.protocol import Training
from ttamer.planning.simulation.adaptive import Configuration
from ttamer.profiles.errors import InfeasibleError

LOADS_RPS = (1.0, 20.0, 60.0, 150.0)
CATALOG = catalog_of()
PIPELINE = catalog_of(10.0, stages=2, slo_s=1.0)
STEP = [20] * 30 + [60] * 30 + [10] * 30
TITLES = {
    "ttamer", "ipa", "infadapter", "sponge", "ms-plus", "vpa", "fa2-low", "fa2-high", "rim", "static",
}  # fmt: skip


def check(configuration: Configuration, stages: tuple[str, ...]) -> None:
    """A configuration that can run: offered settings, shares that add up, no group twice."""
    assert {setting.stage for setting in configuration} == set(stages)
    assert len({setting.group for setting in configuration}) == len(configuration)
    for stage in stages:
        assert sum(one.share for one in configuration if one.stage == stage) == pytest.approx(1)
    offered = {(one.model, one.policy, one.device, one.cores, one.batch) for one in CATALOG.offers + PIPELINE.offers}
    for one in configuration:
        assert (one.model, one.policy, one.device, one.cores, one.batch) in offered


def test_all_that_were_asked_for_are_there_and_every_file_is_registered() -> None:
    assert set(CONTROLLERS) == TITLES
    folder = Path(str(controllers.__file__)).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "protocol"}
    assert {kind.rule.__module__.rpartition(".")[2] for kind in CONTROLLERS.values()} == files


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("load_rps", LOADS_RPS)
def test_what_runs_first_can_run(name: str, load_rps: float) -> None:
    for catalog in (CATALOG, PIPELINE):
        controller = _controller(name, Setup(catalog=catalog, peak_rps=150.0))
        check(first_configuration(controller, load_rps, 0.5), catalog.stages)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_rule_answers_alike_when_it_is_asked_alike(name: str) -> None:
    answers = []
    for _ in range(2):
        controller = _controller(name, Setup(catalog=CATALOG, peak_rps=60.0))
        first = first_configuration(controller, 20.0, 0.5)
        answers.append([controller.decide(seen([20] * k, wished=first)) for k in (10, 30, 60)])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", sorted(set(CONTROLLERS) - {"static", "vpa"}))
def test_what_runs_first_carries_the_load(name: str) -> None:
    capacities = []
    for load_rps in (5.0, 30.0, 90.0):
        rule = CONTROLLERS[name].rule(Setup(catalog=CATALOG, peak_rps=90.0, models={"serve": "small"}))
        found = rule(load_rps, seen([round(load_rps)] * 20))
        assert found is not None
        capacities.append(_capacity_rps(found))
    # a controller may trade accuracy for capacity, but what it has must carry the load
    assert all(capacity >= load for capacity, load in zip(capacities, (5.0, 30.0, 90.0), strict=True))


@pytest.mark.parametrize("name", CONTROLLERS)
def test_it_survives_a_trace_and_keeps_most_requests_in_time_where_load_is_steady(name: str) -> None:
    done = trial(name, CONTROLLERS[name], scene_of([20] * 90, CATALOG), Setup(catalog=CATALOG, peak_rps=40.0))
    row = done.row()
    assert row["requests"] == 1800
    assert 0 < done.mean_cores <= 30
    assert done.run.misses < 0.05, row
    assert row["accuracy"] is not None


@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_same_seed_gives_the_same_run_and_nothing_fails_on_a_step_of_load(name: str) -> None:
    rows = [
        trial(name, CONTROLLERS[name], scene_of(STEP, CATALOG), Setup(catalog=CATALOG, peak_rps=60.0)).row()
        for _ in range(2)
    ]
    assert rows[0] == rows[1]


NEEDS_A_PLAN = ("ipa", "fa2-low", "fa2-high", "rim")  # find nothing under overload and say so


@pytest.mark.parametrize("name", sorted(set(CONTROLLERS) - set(NEEDS_A_PLAN)))
def test_overload_is_survived_with_the_best_that_there_is(name: str) -> None:
    catalog = catalog_of(cores=4)
    scene = scene_of([1500] * 9, catalog)
    done = trial(name, CONTROLLERS[name], scene, Setup(catalog=catalog), Choices(interval_s=3.0))
    assert done.run.misses > 0.5


@pytest.mark.parametrize("name", NEEDS_A_PLAN)
def test_a_program_without_a_solution_is_infeasible_to_begin_with(name: str) -> None:
    catalog = catalog_of(cores=4)
    with pytest.raises(InfeasibleError, match="nothing serves"):
        trial(name, CONTROLLERS[name], scene_of([3000] * 12, catalog), Setup(catalog=catalog, peak_rps=3000.0))


@pytest.mark.parametrize("name", CONTROLLERS)
def test_its_habits_name_predictors_that_there_are(name: str) -> None:
    kind = CONTROLLERS[name]
    assert kind.predictor in PREDICTORS
    assert kind.untrained in PREDICTORS
    assert kind.interval_s > 0
    assert kind.patience >= 1
    PREDICTORS[kind.untrained](Training(load_rps_T=np.empty(0)))  # needs no past


def test_published_intervals_are_those_of_the_papers() -> None:
    intervals = {name: kind.interval_s for name, kind in CONTROLLERS.items()}
    assert (intervals["ipa"], intervals["infadapter"], intervals["sponge"]) == (10.0, 30.0, 1.0)
    assert CONTROLLERS["infadapter"].patience == 4
    assert CONTROLLERS["sponge"].in_place
    assert not CONTROLLERS["ipa"].in_place


def _controller(name: str, setup: Setup) -> Adapting:
    kind = CONTROLLERS[name]
    return adapting(kind, setup, PREDICTORS[kind.untrained](Training(load_rps_T=np.empty(0))))


def _capacity_rps(configuration: Configuration) -> float:
    throughput = {(one.policy, one.cores, one.batch): one.throughput_rps for one in CATALOG.offers}
    return sum(throughput[one.policy, one.cores, one.batch] * one.replicas for one in configuration)
