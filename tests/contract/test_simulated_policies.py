"""Every exit policy can be simulated, and its requests stop where the policy says, as often as it says."""

from functools import cache

import numpy as np
import pytest

from tests.builders_simulation import group_of, plan_of, profile_of, simulated
from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.evaluate import FittedPolicy, evaluate, fit_candidates
from ttamer.exits.policies import POLICIES

EXITS = 6
PROFILE = profile_of(stage_s=(0.001,) * EXITS, head_s=(0.0001,) * EXITS, models=("toy",))
CALIBRATION, TEST = plausible_records(1), plausible_records(2, first=1000)
RATE_RPS = 80.0


@cache
def middle_of(kind: str) -> FittedPolicy:
    candidates = fit_candidates([kind], CALIBRATION, even_costs(EXITS))
    return candidates[len(candidates) // 2]


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_policy_stops_under_load_as_it_does_on_the_records(kind: str, batch: int) -> None:
    fitted = middle_of(kind)
    outcome = evaluate(fitted, TEST, even_costs(EXITS))
    group = group_of("policy", model="toy", batch=batch, batch_timeout_s=0.002)
    plan = plan_of(PROFILE, group, policies={"policy": fitted.to_spec()}, rate_rps=RATE_RPS)
    report, table = simulated(plan, PROFILE, {"toy": TEST}, requests=20_000, seed=1)
    stops = np.bincount(table.visits[0].stop_exit_N, minlength=EXITS) / len(table.visits[0].stop_exit_N)
    assert stops == pytest.approx(outcome.stop_share_K, abs=4 * (0.25 / 20_000) ** 0.5)
    assert (table.visits[0].correct_N == 1).mean() == pytest.approx(outcome.accuracy, abs=4 * (0.25 / 20_000) ** 0.5)
    assert report.checks[3].observed == pytest.approx(outcome.accuracy)
    assert outcome.mean_s is not None
    if batch == 1:
        assert table.visits[0].service_s_N.mean() == pytest.approx(outcome.mean_s, rel=0.02)
        assert report.groups[0].utilization == pytest.approx(RATE_RPS * outcome.mean_s, rel=0.04)
    else:
        assert report.groups[0].utilization < RATE_RPS * outcome.mean_s
