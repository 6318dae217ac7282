"""The policies solved on the confidence chain: their tables, their walk, and what they attain on their own model.

Axes: N samples, A heads, S bins.
"""

import numpy as np
import pytest

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.confidence_chain import (
    ConfidenceChain,
    bin_of,
    calibrated_errors,
    falling,
    fit_chain,
    quantile_edges,
    smoothed_transitions,
)
from ttamer.exits.evaluate import evaluate
from ttamer.exits.exploration import no_recall_value, solve_line, solve_on_grid
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.no_recall import NoRecall, gains
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.exits.policies.record_recall import RecordRecall
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords

CALIBRATION = plausible_records(21, 900, split="calibration")
BIN_CENTRES = np.array([0.55, 0.75, 0.95])  # confidence that stands for each of three bins
EDGES = ((0.6, 0.9),) * 3


def records_of(confidence_NK: np.ndarray, wrong_NK: np.ndarray) -> ExitRecords:
    """Records with these confidences whose answers are wrong where said."""
    N = len(confidence_NK)
    return ExitRecords(
        model="toy",
        dataset="chain",
        split="test",
        sample_N=np.arange(N),
        label_N=np.zeros(N, dtype=np.int64),
        prediction_NK=wrong_NK.astype(np.int64),
        confidence_NK=confidence_NK,
        margin_NK=2 * confidence_NK - 1,
        entropy_NK=1 - confidence_NK,
    )


def toy_chain() -> ConfidenceChain:
    """Three heads of three bins; sure bins are rarely wrong and tend to stay sure."""
    loss = (np.array([0.5, 0.3, 0.1]), np.array([0.4, 0.2, 0.05]), np.array([0.35, 0.1, 0.02]))
    step = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]])
    return ConfidenceChain((0, 1, 2), tuple(map(np.array, EDGES)), loss, (np.array([[0.5, 0.3, 0.2]]), step, step))


def walk(chain: ConfidenceChain, samples: int) -> tuple[ExitRecords, np.ndarray]:
    """Records drawn from the chain, and the chain's loss of each answer."""
    rng = np.random.default_rng(8)
    bins = [rng.choice(3, size=samples, p=chain.transitions[0][0])]
    for rows in chain.transitions[1:]:
        bins.append((rng.random(samples)[:, None] > rows[bins[-1]].cumsum(axis=1)).sum(axis=1).clip(max=2))
    loss_NK = np.stack([loss[bin_N] for loss, bin_N in zip(chain.loss, bins, strict=True)], axis=1)
    return records_of(BIN_CENTRES[np.stack(bins, axis=1)], rng.random(loss_NK.shape) < loss_NK), loss_NK


def rows(tables: object) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(np.asarray(row).tolist()) for row in tables)  # type: ignore[attr-defined]


@pytest.mark.parametrize("price", [0.05, 0.3, 0.8])
def test_the_dynamic_index_attains_the_optimum_of_its_own_chain(price: float) -> None:
    chain, costs = toy_chain(), even_costs(3)
    share_A = costs.step_shares(chain.heads)
    solution = solve_line(chain.priced(share_A, price))
    policy = DynamicIndex(
        heads=chain.heads, edges=EDGES, loss=rows(chain.loss), index=rows(solution.index[1:]), price=price
    )
    records, loss_NK = walk(chain, 40_000)
    decision = policy.decide(records)
    total_N = loss_NK[np.arange(40_000), decision.answer_N] + price * share_A.cumsum()[decision.stop_N]
    assert abs(total_N.mean() - solution.value) < 4 * total_N.std() / 200


@pytest.mark.parametrize("price", [0.05, 0.3, 0.8])
def test_no_recall_attains_the_optimum_of_its_own_chain(price: float) -> None:
    chain, costs = toy_chain(), even_costs(3)
    share_A = costs.step_shares(chain.heads)
    priced = chain.priced(share_A, price)
    policy = NoRecall(heads=chain.heads, edges=EDGES, gain=rows(gains(priced)), price=price)
    records, loss_NK = walk(chain, 40_000)
    stop_N = policy.decide(records).stop_N
    total_N = loss_NK[np.arange(40_000), stop_N] + price * share_A.cumsum()[stop_N]
    assert abs(total_N.mean() - no_recall_value(priced)) < 4 * total_N.std() / 200


def test_index_and_grid_program_stop_the_same_samples() -> None:
    records = plausible_records(22, 700)
    costs = even_costs()
    for policy in DynamicIndex.family(CALIBRATION, costs)[::9]:
        chain = fit_chain(CALIBRATION, policy.heads)
        grid = solve_on_grid(chain.priced(costs.step_shares(policy.heads), policy.price)).stop_at[1:]
        other = DynamicIndex(
            heads=policy.heads, edges=policy.edges, loss=policy.loss, index=rows(grid), price=policy.price
        )
        np.testing.assert_array_equal(policy.decide(records).stop_N, other.decide(records).stop_N)


def test_an_earlier_sure_answer_is_recalled_and_of_equal_losses_the_deeper_one_answers() -> None:
    never = (-1.0,) * 3
    policy = DynamicIndex(heads=(0, 1, 2), edges=EDGES, loss=((0.5, 0.3, 0.1),) * 3, index=(never, never), price=0.1)
    confidence_NK = np.array([[0.95, 0.5, 0.7], [0.95, 0.5, 0.95], [0.5, 0.5, 0.5]])
    decision = policy.decide(records_of(confidence_NK, np.zeros((3, 3), dtype=np.bool_)))
    assert decision.stop_N.tolist() == [2, 2, 2]
    assert decision.answer_N.tolist() == [0, 2, 2]


def test_a_tie_between_index_and_best_loss_stops() -> None:
    level = ((0.1, 0.1, 0.1), (0.0, 0.0, 0.0))
    policy = DynamicIndex(heads=(0, 1, 2), edges=EDGES, loss=((0.5, 0.3, 0.1),) * 3, index=level, price=0.1)
    decision = policy.decide(records_of(np.array([[0.95, 0.5, 0.5]]), np.zeros((1, 3), dtype=np.bool_)))
    assert decision.stop_N.tolist() == [0]


@pytest.mark.parametrize("family", [DynamicIndex.family, NoRecall.family])
def test_dearer_time_never_makes_a_policy_slower_on_its_calibration_records(family: object) -> None:
    costs = even_costs()
    policies = [one for one in family(CALIBRATION, costs) if len(one.heads) == 6]  # type: ignore[operator]
    mean_s = np.array([evaluate(policy, CALIBRATION, costs).mean_s for policy in policies])
    # The chain is an estimate, so the realized time may rise a little where the chain's falls.
    assert (np.diff(mean_s) <= 0.02 * mean_s[0]).all()
    assert mean_s[0] > 0.6 * mean_s.max()
    assert mean_s[-1] == pytest.approx(0.0011)


def test_policies_on_the_chain_save_time_at_equal_accuracy() -> None:
    costs, records = even_costs(), plausible_records(23, 4000)
    last = evaluate(DynamicIndex.family(CALIBRATION, costs)[0], records, costs)
    for family in (DynamicIndex.family, NoRecall.family):
        outcomes = [evaluate(policy, records, costs) for policy in family(CALIBRATION, costs)]
        close = [one.mean_s for one in outcomes if one.accuracy >= last.accuracy - 0.01 and one.mean_s is not None]
        assert min(close) < 0.7 * float(costs.stage_s_K.sum())


def test_monotone_errors_are_the_nearest_in_least_squares() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        values, weights = rng.random(6), rng.random(6) + 0.1
        fitted = falling(values, weights)
        assert (np.diff(fitted) <= 0).all()
        assert weights @ fitted == pytest.approx(weights @ values)
        for _ in range(20):
            other = np.sort(fitted + 0.05 * rng.normal(size=6))[::-1]
            assert weights @ (fitted - values) ** 2 <= weights @ (other - values) ** 2 + 1e-12


def test_transitions_follow_the_counts_and_lean_on_the_marginal_law() -> None:
    before_N, after_N = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    rows_PS = smoothed_transitions(before_N, after_N, 3, 2)
    np.testing.assert_allclose(rows_PS.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(rows_PS[0], [(2 + 4 * 0.5) / 7, (1 + 4 * 0.5) / 7])
    np.testing.assert_allclose(rows_PS[2], [0.5, 0.5])  # a bin nobody was in has the marginal law


def test_a_bin_is_never_surely_right_and_surer_bins_are_not_worse() -> None:
    chain = fit_chain(CALIBRATION, tuple(range(6)))
    for loss in chain.loss:
        assert (loss > 0).all()
        assert (np.diff(loss) <= 0).all()
    errors = calibrated_errors(np.array([0, 0, 1, 1]), np.array([True, True, False, False]), 2)
    np.testing.assert_allclose(errors, [(2 + 4 * 0.5) / 6, (0 + 4 * 0.5) / 6])


def test_confidences_that_are_all_equal_make_one_bin() -> None:
    edges = quantile_edges(np.full(50, 0.9), 8)
    assert len(edges) == 1
    assert bin_of(np.array([0.8, 0.9, 1.0]), edges).tolist() == [0, 1, 1]
    confidence_NK = np.full((50, 2), 0.9)
    records = records_of(confidence_NK, np.zeros((50, 2), dtype=np.bool_))
    for family in (DynamicIndex.family, NoRecall.family):
        assert all((policy.decide(records).stop_N <= 1).all() for policy in family(records, even_costs(2)))


def test_costs_are_shares_of_the_plain_backbone_and_charge_active_heads_only() -> None:
    costs = ExitCosts(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.5, 1.0]))
    np.testing.assert_allclose(costs.step_shares((0, 1, 2)), [1.5 / 8, 2.5 / 8, 5 / 8])
    np.testing.assert_allclose(costs.step_shares((1, 2)), [3.5 / 8, 5 / 8])
    with pytest.raises(InputError, match=r"the backbone takes 0\.0 s"):
        ExitCosts(np.zeros(2), np.zeros(2)).step_shares((0, 1))


def test_where_time_is_free_unsure_answers_gain_by_going_on() -> None:
    gain = gains(toy_chain().priced(np.zeros(3), 1.0))
    assert all(row[0] > 0 for row in gain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": [[0.1, 0.1]]}, r"index of dynamic-index has rows of \[2\] entries, the bins need \[3, 3\]"),
        ({"loss": [[0.1, 0.1, 0.1]] * 2}, "loss of dynamic-index has rows of"),
        ({"edges": [[0.9, 0.6]] * 3}, "edges of dynamic-index are not 3 ascending rows"),
        ({"heads": [2, 1, 0]}, "heads of dynamic-index are"),
        ({"price": None}, "price of dynamic-index holds None"),
    ],
)
def test_tables_that_do_not_fit_are_refused_by_name(change: dict[str, object], message: str) -> None:
    params = {
        "heads": [0, 1, 2],
        "edges": [[0.6, 0.9]] * 3,
        "loss": [[0.5, 0.3, 0.1]] * 3,
        "index": [[0.1, 0.1, 0.1]] * 2,
        "price": 0.1,
    }
    assert DynamicIndex.from_params(params).params() == params
    with pytest.raises(InputError, match=message):
        DynamicIndex.from_params({**params, **change})


def test_each_action_of_record_recall_does_what_it_says() -> None:
    params = {
        "heads": [0, 1],
        "edges": [[0.6], [0.6]],
        "loss": [[0.5, 0.1], [0.5, 0.1]],
        "earlier_edges": [[0.3]],
        "action": [[2, 0], [0, 1, 0, 0]],  # unsure at head 1: here if the earlier loss is low, earlier if it is high
        "price": 0.1,
    }
    policy = RecordRecall.from_params(params)
    assert policy.params() == params
    confidence_NK = np.array([[0.9, 0.5], [0.5, 0.9], [0.5, 0.5]])
    decision = policy.decide(records_of(confidence_NK, np.zeros((3, 2), dtype=np.bool_)))
    assert decision.stop_N.tolist() == [0, 1, 1]
    assert decision.answer_N.tolist() == [0, 1, 0]


@pytest.mark.parametrize("action", [[[2, 1], [0, 0, 0, 0]], [[2, 0], [0, 2, 0, 0]], [[3, 0], [0, 0, 0, 0]]])
def test_actions_that_are_impossible_at_their_head_are_refused(action: list[list[int]]) -> None:
    params = {"heads": [0, 1], "edges": [[0.6]] * 2, "loss": [[0.5, 0.1]] * 2, "earlier_edges": [[0.3]], "price": 0.1}
    with pytest.raises(InputError, match="impossible step"):
        RecordRecall.from_params({**params, "action": action})


def test_record_recall_realizes_less_than_the_plain_index_where_sure_early_answers_stay_wrong() -> None:
    """The index believes that nothing later speaks about an earlier answer; on records that costs errors."""
    costs, records = even_costs(), plausible_records(24, 8000)
    calibration = plausible_records(25, 4000, split="calibration")

    def objective(policy: DynamicIndex | RecordRecall) -> float:
        outcome = evaluate(policy, records, costs)
        assert outcome.mean_s is not None
        return 1 - outcome.accuracy + policy.price * outcome.mean_s / 0.0061

    plain = [objective(one) for one in DynamicIndex.family(calibration, costs)[10:35:4]]
    learned = [objective(one) for one in RecordRecall.family(calibration, costs)[10:35:4]]
    assert np.mean(learned) < np.mean(plain)


def test_the_calibrated_losses_promise_more_than_recall_keeps() -> None:
    """Confidence is not a loss: the reason why realized accuracy on validation, not the chain, chooses the policy."""
    costs, records = even_costs(), plausible_records(24, 8000)
    calibration = plausible_records(25, 4000, split="calibration")
    policy = DynamicIndex.solver(calibration, costs, tuple(range(calibration.exits)))(0.0054)
    chain = fit_chain(calibration, policy.heads)
    promised = solve_line(chain.priced(costs.step_shares(policy.heads), policy.price)).expected_loss
    assert 1 - evaluate(policy, records, costs).accuracy > promised + 0.02


@pytest.mark.parametrize("samples", [3, 5000])
def test_an_edge_belongs_to_the_bin_above_it_however_many_samples_there_are(samples: int) -> None:
    confidence_N = np.tile([0.2, 0.6, 0.95], samples)[:samples]
    np.testing.assert_array_equal(bin_of(confidence_N, (0.6, 0.9)), np.tile([0, 1, 2], samples)[:samples])


def test_samples_are_decided_alike_in_blocks_and_at_once() -> None:
    records = plausible_records(31, 70_000)
    for kind in (DynamicIndex, NoRecall, RecordRecall):
        policy = kind.solver(CALIBRATION, even_costs(), (1, 3, 5))(0.2)
        decision, at_once = policy.decide(records), policy.walk(records.confidence_NK)
        np.testing.assert_array_equal(decision.stop_N, at_once.stop_N)
        np.testing.assert_array_equal(decision.answer_N, at_once.answer_N)
