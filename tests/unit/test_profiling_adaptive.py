"""The adaptive sweep: half the grid, in waves, the same one when it is resumed."""

from dataclasses import replace

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Profile
from ttamer.profiling.adaptive import design_of, run_adaptive_sweep
from ttamer.profiling.request import ModelRequest, SweepRequest
from ttamer.profiling.target import TargetSource

BATCHES, CORES = (1, 2, 4, 8, 16), (1, 2, 4, 8)


def request_for(*names: str, batches: tuple[int, ...] = BATCHES, cores: tuple[int, ...] = CORES) -> SweepRequest:
    models = tuple(ModelRequest(name=name, source=TargetSource(factory="package.module:make")) for name in names)
    return SweepRequest(name="made-up", models=models, batches=batches, cores=cores)


class Machine:
    """Answers every sweep from a whole profile made up before, as far as it was asked."""

    def __init__(self, *names: str) -> None:
        plans = [ModelPlan(name=name) for name in names]
        self.everything = make_profile(plans, batches=BATCHES, cores=CORES, samples=40)
        self.asked: list[set[tuple[int, int]]] = []
        self.seen: set[tuple[str, int, int]] = set()

    def run(self, request: SweepRequest) -> Profile:
        assert request.settings is not None
        self.asked.append(set(request.settings))
        self.seen |= {(model.name, *setting) for model in request.models for setting in request.settings}
        points = [p for p in self.everything.latency if (p.key.model, p.key.batch, p.key.cores) in self.seen]
        return replace(self.everything, latency=tuple(points))


def test_half_of_the_grid_is_measured_of_every_model() -> None:
    machine = Machine("a", "b")
    profile = run_adaptive_sweep(request_for("a", "b"), machine.run)
    settings = {(p.key.model, p.key.batch, p.key.cores) for p in profile.latency}
    assert len(settings) == 2 * len(BATCHES) * len(CORES) // 2


def test_every_wave_keeps_what_the_ones_before_asked_for() -> None:
    machine = Machine("a")
    run_adaptive_sweep(request_for("a"), machine.run)
    assert len(machine.asked) == 3
    assert machine.asked[0] < machine.asked[1] < machine.asked[2]


def test_the_same_measurements_lead_to_the_same_points() -> None:
    first, second = Machine("a"), Machine("a")
    run_adaptive_sweep(request_for("a"), first.run)
    run_adaptive_sweep(request_for("a"), second.run)
    assert first.asked == second.asked


def test_a_model_that_cannot_be_measured_ends_its_waves() -> None:
    machine = Machine("other")
    run_adaptive_sweep(request_for("a"), machine.run)
    assert len(machine.asked) == 1


@pytest.mark.parametrize(("batches", "cores"), [((1, 2), (1, 2)), ((1, 2, 4, 8, 16, 32, 64), (1,))])
def test_a_grid_too_small_to_save_anything_is_refused(batches: tuple[int, ...], cores: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="saves nothing"):
        design_of(request_for("a", batches=batches, cores=cores))
