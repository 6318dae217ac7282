"""Random services, planned at p99 and simulated on chance and on records that the planner has not seen."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.random_services import planned, random_profiles
from ttamer.planning.simulation.conditions import Conditions, size_of
from ttamer.planning.simulation.simulate import read_records, simulate


@pytest.mark.parametrize(("services", "may_break"), [(10, 1), pytest.param(100, 5, marks=pytest.mark.slow)])
def test_few_random_services_break_their_slo(services: int, may_break: int, tmp_path: Path) -> None:
    profiles = random_profiles(tmp_path)
    broken = []
    for number, (service, profile, plan) in enumerate(islice(planned(np.random.default_rng(0), profiles), services)):
        size = size_of(Conditions(), service.quantile, 50_000, None)
        report, _ = simulate(plan, profile, read_records(plan, profile), size=size, seed=1000 + number)
        if report.slo_misses > 1 - service.quantile:
            broken.append((number, service, plan.groups, report.slo_misses))
    assert len(broken) <= may_break, broken
