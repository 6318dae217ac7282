"""What a simulation holds at its peak, in numbers of 8 bytes a request."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.builders_simulation import MODEL, group_of, plan_of, profile_of, records_of, simulated
from ttamer.planning.simulation import replica, requests
from ttamer.planning.simulation.conditions import Conditions, Size
from ttamer.planning.simulation.deployment import deploy
from ttamer.planning.simulation.routing import ROUTINGS
from ttamer.planning.simulation.run import run_stages
from ttamer.planning.simulation.timeline import timeline_of_plan
from ttamer.profiles.plan import Plan
from ttamer.profiles.provenance import Provenance

REQUESTS = 200_000
PROFILE = profile_of(jitter=(0.9, 1.0, 1.2))
RECORDS = {MODEL: records_of([True, False, True, False])}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block of requests takes does not grow with their number: of more of them it is less."""
    monkeypatch.setattr(replica, "BLOCK", 8_192)
    monkeypatch.setattr(replica, "FEWEST_IN_LANES", 4_096)


def pipeline(replicas: int) -> Plan:
    """Three stages whose exits let requests overtake each other."""
    stages = (group_of("early", stage=stage, batch=4, batch_timeout_s=0.01, replicas=replicas) for stage in "abc")
    return plan_of(PROFILE, *stages, rate_rps=100.0)


def numbers_a_request(run: Callable[[], object]) -> float:
    tracemalloc.start()
    kept = run()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak_bytes / 8 / REQUESTS


@pytest.mark.parametrize("replicas", [1, 3])
def test_three_stages_take_at_most_eight_numbers_a_request(replicas: int) -> None:
    stages = deploy(pipeline(replicas), PROFILE, RECORDS, "ideal")
    rng = np.random.default_rng(0)

    def run() -> object:
        arrival_s_N = np.cumsum(rng.exponential(0.01, REQUESTS))
        return run_stages(stages, arrival_s_N, 0, ROUTINGS["random"], rng.spawn(3), None)

    assert numbers_a_request(run) < 8


def test_judging_what_they_did_takes_no_more_and_as_much_as_is_asked_for() -> None:
    held = numbers_a_request(lambda: simulated(pipeline(1), PROFILE, RECORDS, requests=REQUESTS, seed=1))
    assert held < 8
    size = Size(requests=REQUESTS, replications=1)
    assert held < size.needed_bytes(3, Conditions().footprint) / 8 / REQUESTS < 1.5 * held


def test_showing_and_writing_what_they_did_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "ROWS", 8_192)
    plan = pipeline(1)
    _, table = simulated(plan, PROFILE, RECORDS, requests=REQUESTS, seed=1)
    columns = [getattr(visits, name) for visits in table.visits for name in visits.__slots__ if name != "group_N"]
    kept = sum(column.nbytes for column in [*columns, table.arrival_s_N, table.sojourn_s_N]) / 8 / REQUESTS

    def run() -> None:
        timeline_of_plan(table, plan)
        table.write(tmp_path / "requests.parquet", Provenance())

    run()  # imports what it needs
    assert kept + numbers_a_request(run) < 8
