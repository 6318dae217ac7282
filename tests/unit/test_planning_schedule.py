"""Schedules second by second: what they decide, what they write, what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile
from ttamer.planning.programs import sponge
from ttamer.planning.schedule import WidenedCurve, make_schedule, verify_schedule, write_schedule
from ttamer.planning.solve import solve
from ttamer.planning.surface import Coefficients
from ttamer.profiles.documents import read_table
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.network_trace import NetworkTrace
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Limits, Pool, Service, Stage

PROFILE = make_profile([ModelPlan(name="toy", whole_s=0.03)], batches=(1, 2, 4, 8), cores=(1, 2, 4, 8), noise=0.01)
SERVICE = Service(slo_s=0.5, rate_rps=30.0, headroom=0.1)


def trace(*network_s: float) -> NetworkTrace:
    return NetworkTrace(np.arange(len(network_s), dtype=float), np.array(network_s))


def test_less_time_left_takes_more_cores() -> None:
    made = make_schedule(SERVICE, PROFILE, trace(0.0, 0.1, 0.2, 0.3, 0.4, np.inf))
    seconds = made.seconds()
    cores = [one.cores for one in seconds if one.cores is not None]
    assert cores == sorted(cores)
    assert len(set(cores)) > 1
    assert [one.is_served for one in seconds[-2:]] == [False, False]
    assert seconds[-1].network_s is None
    for one in seconds:
        if one.is_served:
            assert one.slack_s is not None
            assert one.slack_s >= -1e-9
            assert one.remaining_slo_s == pytest.approx(0.5 - (one.network_s or 0.0))
            assert one.done_s == pytest.approx(np.ceil(30 / (one.batch or 1)) * (one.latency_s or 0.0))
    assert verify_schedule(made) == []


def test_a_changed_decision_is_found() -> None:
    made = make_schedule(SERVICE, PROFILE, trace(0.0, 0.2, 0.3))
    settings_of = made.decisions.settings
    for shift in (-1, 1):
        wrong = sponge.Decisions(settings_of, made.decisions.chosen_S + shift, made.decisions.room_ms_S)
        assert verify_schedule(replace(made, decisions=wrong))


def test_a_schedule_is_written_with_its_circumstances(tmp_path: Path) -> None:
    made = make_schedule(SERVICE, PROFILE, trace(0.0, 0.2, 0.45))
    path = write_schedule(tmp_path / "schedule.parquet", made, Provenance())
    table, header = read_table(path, "schedule", 1)
    assert table.to_pylist() == [
        {name: row.get(name) for name in table.column_names} for row in made.rows()
    ]  # fmt: skip
    assert header["model"] == "toy"
    assert header["surface"]["bound_factor"] >= 1.0


def test_every_column_of_a_schedule_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "schedule.md").read_text()
    made = make_schedule(SERVICE, PROFILE, trace(0.0))
    assert all(f"`{name}`" in text for name in made.rows()[0])


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (SERVICE.model_copy(update={"stages": (Stage(name="a"), Stage(name="b"))}), "the service has 2 stages"),
        (SERVICE.model_copy(update={"pools": (Pool(name="a", price=1.0),)}), "the service has pools"),
        (SERVICE.model_copy(update={"device": "cuda"}), "no finished model on cuda"),
    ],
)
def test_what_is_not_one_model_on_one_device_is_refused(service: Service, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_schedule(service, PROFILE, trace(0.0))


def test_one_of_several_models_has_to_be_named() -> None:
    two = make_profile([ModelPlan(name="a"), ModelPlan(name="b")])
    with pytest.raises(InputError, match="2 may serve: a, b"):
        make_schedule(SERVICE, two, trace(0.0))


def test_a_trace_that_leaves_too_little_in_every_second_is_infeasible() -> None:
    with pytest.raises(InfeasibleError, match=r"no second can be served: the network leaves 0\.05 s at best"):
        make_schedule(SERVICE, PROFILE, trace(0.4, 0.45))
    with pytest.raises(InfeasibleError, match="keeps up with 100000 rps"):
        make_schedule(SERVICE.model_copy(update={"rate_rps": 1e5}), PROFILE, trace(0.0))


def test_limits_narrow_the_grid() -> None:
    narrow = SERVICE.model_copy(update={"limits": Limits(cores=2, batch=3)})
    made = make_schedule(narrow, PROFILE, trace(0.0))
    assert (made.limits.cores, made.limits.batch) == (2, 3)
    assert made.seconds()[0].cores in (1, 2)


curves = st.builds(
    Coefficients, g=st.floats(1, 60), d=st.floats(0, 5), e=st.floats(-20, 20), h=st.floats(0, 20)
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(curves, st.floats(0.1, 80), st.lists(st.floats(-200, 1000), min_size=1, max_size=4), st.booleans(), st.data())
def test_all_seconds_at_once_are_decided_as_each_by_the_program(
    curve: Coefficients, rate_rps: float, remaining_ms: list[float], needs: bool, data: st.DataObject
) -> None:
    least = data.draw(st.integers(1, 3))
    limits = sponge.Limits(cores=6, batch=6, least_cores=least, least_batch=least, needs_throughput=needs)
    made = sponge.schedule(curve, rate_rps=rate_rps, slo_ms=1e3, remaining_slo_ms_S=remaining_ms, limits=limits)
    for place, remaining in enumerate(remaining_ms):
        second = sponge.Second(rate_rps=rate_rps, slo_ms=1e3, remaining_slo_ms=remaining)
        problem = sponge.problem(curve, second, limits)
        solution = solve(problem, "exhaustive")
        g = int(made.chosen_S[place])
        if g < 0:
            assert solution.status == "infeasible"
            continue
        (used,) = [column for column, count in zip(problem.columns, solution.replicas_J, strict=True) if count]
        assert (used.cores, used.batch) == (made.settings.cores_G[g], made.settings.batch_G[g])


def test_the_widened_curve_covers_what_was_measured() -> None:
    made = make_schedule(SERVICE, PROFILE, trace(0.0))
    curve = WidenedCurve(made.surface)
    for point in PROFILE.latency:
        if point.key.part == "whole":
            bound_ms = float(curve.latency(point.key.batch, point.key.cores))
            assert bound_ms >= 1e3 * point.samples.quantile_s(0.99) * (1 - 1e-9)
