"""The exploration solvers against enumeration in rational arithmetic, and the order of the bounds.

Probabilities are eighths, losses and costs sixteenths and thirty-seconds, so floats are exact
inputs and the two sides solve the same problem.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ttamer.exits import exploration as ex

CLOSE = 1e-9
UNOPENED = -1
unhurried = settings(deadline=None)  # enumeration takes what it takes on a busy machine
RECALL_FACTOR = math.e / (math.e - 1)  # the tight factor between recall and a prophet who pays, on lines

Seen = tuple[int, ...]
Money = Fraction | float  # float for infinity alone


@st.composite
def rows(draw: st.DrawFn, count: int, states: int) -> list[list[float]]:
    cuts = st.lists(st.integers(0, 8), min_size=states - 1, max_size=states - 1).map(sorted)
    return [np.diff([0, *draw(cuts), 8]).astype(float).__truediv__(8).tolist() for _ in range(count)]


@st.composite
def forests(draw: st.DrawFn, most_nodes: int = 4, line: bool = False) -> ex.Forest:
    nodes: list[ex.Node] = []
    for i in range(draw(st.integers(1, most_nodes))):
        parent = i - 1 if line else draw(st.integers(-1, i - 1))
        states = draw(st.integers(1, 3))
        losses = [n / 16 for n in draw(st.lists(st.integers(0, 16), min_size=states, max_size=states))]
        cost = draw(st.sampled_from([0, 0, 1, 2, 3, 5, 8, 40, 2**-30, 2**35])) / 32
        count = 1 if parent < 0 else nodes[parent].loss_S.size
        nodes.append(ex.Node(parent, cost, np.array(losses), np.array(draw(rows(count, states)))))
    outside = draw(st.sampled_from([math.inf, math.inf, 1.0, 0.5, 0.25]))
    return (ex.Chain if line else ex.Forest)(tuple(nodes), outside)


lines = forests(line=True)


def exact(number: float) -> Money:
    return number if math.isinf(number) else Fraction(number)


def row_of(forest: ex.Forest, node: int, seen: Seen) -> np.ndarray:
    parent = forest.nodes[node].parent
    return forest.nodes[node].trans_PS[0 if parent < 0 else seen[parent]]


def available(forest: ex.Forest, seen: Seen, among: frozenset[int]) -> list[int]:
    def is_open(i: int) -> bool:
        return i < 0 or seen[i] != UNOPENED

    return [i for i in sorted(among) if not is_open(i) and is_open(forest.nodes[i].parent)]


def with_state(seen: Seen, node: int, state: int) -> Seen:
    return (*seen[:node], state, *seen[node + 1 :])


def enumerate_optimum(forest: ex.Forest, recall: bool, among: frozenset[int]) -> Callable[[Seen, Money], Money]:
    """Least expected total from (what is open, what one pays when stopping now), every order tried."""

    @cache
    def least(seen: Seen, pay: Money) -> Money:
        best = pay
        for i in available(forest, seen, among):
            node = forest.nodes[i]
            total: Money = Fraction(node.cost)
            for s, p in enumerate(row_of(forest, i, seen).tolist()):
                if p:
                    loss = Fraction(node.loss_S[s])
                    total += Fraction(p) * least(with_state(seen, i, s), min(pay, loss) if recall else loss)
            best = min(best, total)
        return best

    return least


def optimum(forest: ex.Forest, recall: bool) -> float:
    everywhere = frozenset(range(len(forest.nodes)))
    start = (UNOPENED,) * len(forest.nodes)
    return float(enumerate_optimum(forest, recall, everywhere)(start, exact(forest.outside)))


def subtree(forest: ex.Forest, top: int) -> frozenset[int]:
    members = {top}
    for i in range(top + 1, len(forest.nodes)):
        if forest.nodes[i].parent in members:
            members.add(i)
    return frozenset(members)


def loss_range(forest: ex.Forest) -> tuple[Money, Money]:
    """The least and the largest expected loss of an optimal policy; they differ where optimal policies tie."""
    everywhere = frozenset(range(len(forest.nodes)))

    @cache
    def least(seen: Seen, pay: Money) -> tuple[Money, Money, Money]:
        choices = [(pay, pay, pay)]
        for i in available(forest, seen, everywhere):
            node = forest.nodes[i]
            total: list[Money] = [Fraction(node.cost), Fraction(0), Fraction(0)]
            for s, p in enumerate(row_of(forest, i, seen).tolist()):
                if p:
                    after = least(with_state(seen, i, s), min(pay, Fraction(node.loss_S[s])))
                    total = [sum_so_far + Fraction(p) * part for sum_so_far, part in zip(total, after, strict=True)]
            choices.append((total[0], total[1], total[2]))
        value = min(choice[0] for choice in choices)
        best = [choice for choice in choices if choice[0] == value]
        return value, min(choice[1] for choice in best), max(choice[2] for choice in best)

    return least((UNOPENED,) * len(forest.nodes), exact(forest.outside))[1:]


def value_of_indices(forest: ex.Forest, index: tuple[np.ndarray, ...], seen: Seen, best: float) -> float:
    """Expected total of opening the smallest index below the best loss, evaluated state by state."""
    open_now = available(forest, seen, frozenset(range(len(forest.nodes))))
    sigma = {i: index[i][0 if forest.nodes[i].parent < 0 else seen[forest.nodes[i].parent]] for i in open_now}
    if not sigma or min(sigma.values()) >= best:
        return best
    i = min(sigma, key=sigma.__getitem__)
    node = forest.nodes[i]
    after = (
        p * value_of_indices(forest, index, with_state(seen, i, s), min(best, node.loss_S[s]))
        for s, p in enumerate(row_of(forest, i, seen))
        if p
    )
    return float(node.cost + sum(after))


def close(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * max(1.0, abs(other))


@unhurried
@given(lines)
def test_the_value_of_a_line_equals_enumeration(chain: ex.Chain) -> None:
    expected = optimum(chain, recall=True)
    solution, on_grid = ex.solve_line(chain), ex.solve_on_grid(chain)
    assert close(solution.value, expected)
    assert close(solution.expected_loss + solution.expected_cost, expected)
    assert close(on_grid.value, expected)
    assert close(ex.split_on_grid(chain, on_grid.stop_at).value, expected)


@unhurried
@given(forests())
def test_the_value_of_a_forest_equals_enumeration(forest: ex.Forest) -> None:
    expected = optimum(forest, recall=True)
    solution = ex.solve_forest(forest)
    assert close(solution.value, expected)
    start = (UNOPENED,) * len(forest.nodes)
    assert close(value_of_indices(forest, solution.index, start, forest.outside), expected)


@unhurried
@given(st.one_of(lines, forests()))
def test_the_split_is_that_of_an_optimal_policy(forest: ex.Forest) -> None:
    solution = ex.solve_with_split(forest)
    least, largest = loss_range(forest)
    room = CLOSE * max(1.0, solution.value)
    assert solution.value == ex.solve_forest(forest).value
    assert close(solution.split.value, solution.value)
    assert least - room <= solution.split.expected_loss <= largest + room


@unhurried
@given(st.one_of(lines, forests()))
def test_stopping_is_optimal_up_to_the_index_and_not_beyond(forest: ex.Forest) -> None:
    for i, index_P in enumerate(ex.solve_forest(forest).index):
        least = enumerate_optimum(forest, True, subtree(forest, i))
        parent = forest.nodes[i].parent
        for a, sigma in enumerate(index_P.tolist()):
            start = (UNOPENED,) * len(forest.nodes)
            seen = start if parent < 0 else with_state(start, parent, a)
            room = Fraction(CLOSE * max(1.0, sigma))
            below, above = Fraction(sigma) - room, Fraction(sigma) + room
            assert least(seen, below) == below
            assert least(seen, above) < above


@unhurried
@given(lines)
def test_the_grid_program_and_the_indices_stop_in_the_same_states(chain: ex.Chain) -> None:
    index, stop_at = ex.solve_forest(chain).index, ex.solve_on_grid(chain).stop_at
    seen_before = {chain.outside}
    for node, index_P, stop_P in zip(chain.nodes, index, stop_at, strict=True):
        for sigma, stop in zip(index_P.tolist(), stop_P.tolist(), strict=True):
            assert all((best <= stop) == (best <= sigma + CLOSE) for best in seen_before)
        seen_before |= set(node.loss_S.tolist())


@unhurried
@given(forests(most_nodes=3))
def test_the_optimum_without_recall_equals_enumeration(forest: ex.Forest) -> None:
    assert close(ex.no_recall_value(forest), optimum(forest, recall=False))


@unhurried
@given(forests())
def test_prophets_recall_and_no_recall_are_ordered(forest: ex.Forest) -> None:
    ladder = [ex.prophet_free(forest), ex.prophet_paid(forest), ex.solve_forest(forest).value]
    ladder.append(ex.no_recall_value(forest))
    assert all(lower <= higher + CLOSE for lower, higher in pairwise(ladder))


@unhurried
@given(lines)
def test_on_a_line_recall_costs_at_most_e_over_e_minus_1_times_the_paying_prophet(chain: ex.Chain) -> None:
    assert ex.solve_on_grid(chain).value <= RECALL_FACTOR * ex.prophet_paid(chain) + CLOSE


@unhurried
@given(lines)
def test_on_a_line_richer_rules_never_cost_more(chain: ex.Chain) -> None:
    value, no_recall = ex.solve_on_grid(chain).value, ex.no_recall_value(chain)
    per_exit, single = ex.best_exit_thresholds_no_recall(chain), ex.best_threshold_no_recall(chain)
    assert value <= no_recall + CLOSE
    assert no_recall <= per_exit + CLOSE
    assert per_exit <= single + CLOSE
    assert value <= ex.best_threshold_recall(chain) + CLOSE


@unhurried
@given(lines, st.data())
def test_skipping_heads_equals_enumeration_and_never_hurts(chain: ex.Chain, data: st.DataObject) -> None:
    head_K = np.array([data.draw(st.sampled_from([0.0, 0.5, 1.0])) * node.cost for node in chain.nodes])
    problem = ex.SkippableChain(chain, head_K)

    def least(opened: int, row: np.ndarray | None, best: float) -> float:
        """From the last of `opened` exits with its state's row into the next exit."""
        total, backbone, law_S = best, 0.0, row
        for j in range(opened, len(chain.nodes)):
            node = chain.nodes[j]
            law_S = law_S if j == opened else law_S @ node.trans_PS
            backbone += node.cost - head_K[j]
            rest = 0.0
            for s, p in enumerate(law_S):
                after = chain.nodes[j + 1].trans_PS[s] if j + 1 < len(chain.nodes) else None
                rest += p * least(j + 1, after, min(best, node.loss_S[s]))
            total = min(total, backbone + head_K[j] + rest)
        return total

    solution = ex.solve_skippable(problem)
    assert close(solution.value, least(0, chain.nodes[0].trans_PS[0], chain.outside))
    assert solution.value <= solution.value_without_skipping + CLOSE
    assert close(solution.value_without_skipping, ex.solve_on_grid(chain).value)
