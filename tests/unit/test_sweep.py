"""Chord bisection finds every corner of a frontier, and nothing else."""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.confidence_chain import fit_chain
from ttamer.exits.exploration import no_recall_value, solve_on_grid
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.no_recall import NoRecall
from ttamer.exits.policies.record_recall import RecordRecall
from ttamer.exits.sweep import Corner, corners

CALIBRATION = plausible_records(21, 900, split="calibration")
HEADS = (1, 3, 5)


def test_all_corners_of_a_known_frontier_are_found_and_no_others() -> None:
    time = np.linspace(0.1, 1.0, 40)
    loss = (1 - time) ** 2  # strictly convex: every point is a corner
    inner = time[:-1] + 0.003  # these lie above the hull

    def solve(price: float) -> Corner:
        times, losses = np.append(time, inner), np.append(loss, (1 - inner) ** 2 + 0.01)
        best = int(np.argmin(losses + price * times))
        return Corner(price, float(losses[best]), float(times[best]))

    found = corners(solve)
    np.testing.assert_allclose([corner.time for corner in found], time[::-1])
    for corner in found:
        assert solve(corner.price).time == pytest.approx(corner.time)


def test_a_limit_keeps_the_ends_and_the_widest_gaps() -> None:
    def solve(price: float) -> Corner:
        time = float(np.clip(1 - price / 2, 0.1, 1.0))
        return Corner(price, (1 - time) ** 2, time)

    found = corners(solve, most=9)
    assert len(found) == 9
    assert found[0].time == pytest.approx(1.0, abs=1e-4)
    assert found[-1].time == pytest.approx(0.1)
    assert np.diff([corner.time for corner in found]).min() >= -0.25


@pytest.mark.parametrize("kind", [DynamicIndex, NoRecall])
def test_what_is_promised_at_a_price_is_the_optimum_there(kind: type[DynamicIndex] | type[NoRecall]) -> None:
    costs = even_costs()
    chain = fit_chain(CALIBRATION, HEADS)
    promise = kind.promise(CALIBRATION, costs, HEADS)
    for price in (0.001, 0.05, 0.4, 2.0):
        line = chain.priced(costs.step_shares(HEADS), price)
        optimum = solve_on_grid(line).value if kind is DynamicIndex else no_recall_value(line)
        assert promise(price).at(price) == pytest.approx(optimum, abs=1e-12)


def test_no_price_of_a_grid_finds_a_corner_beyond_the_sweep() -> None:
    promise = DynamicIndex.promise(CALIBRATION, even_costs(), HEADS)
    found = corners(promise)
    for price in np.logspace(-4, 1, 60).tolist():
        assert min(corner.at(price) for corner in found) <= promise(price).at(price) + 1e-8


@pytest.mark.parametrize("kind", [DynamicIndex, NoRecall, RecordRecall])
def test_a_sweep_gives_distinct_policies_from_slow_to_fast(
    kind: type[DynamicIndex] | type[NoRecall] | type[RecordRecall],
) -> None:
    policies = kind.swept(CALIBRATION, even_costs(), HEADS, 12)
    prices = [policy.price for policy in policies]
    assert 3 <= len(policies) <= 12
    assert prices == sorted(prices)
    assert len(set(policies)) == len(policies)
