"""The cascade index attains the optimum that the exact recursion promises, where lines are independent.

Axes: N samples, S states of a head.
"""

import numpy as np
import pytest

from ttamer.exits.exploration.chain import NO_PARENT, Forest, Node
from ttamer.exits.exploration.index import solve_forest
from ttamer.exits.policies.cascade_index import CascadeIndex
from ttamer.exits.table_policy import rows_of

STATES, SAMPLES = 4, 100_000


def _law(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.dirichlet(np.ones(STATES), rows)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lines", [(3,), (2, 2), (1, 2, 2)])
def test_the_policy_is_worth_what_the_recursion_promises(lines: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_first = [place == 0 for line in lines for place in range(line)]
    A = len(is_first)
    nodes = [
        Node(NO_PARENT if first else a - 1, float(rng.uniform(0.01, 0.1)), np.sort(rng.random(STATES))[::-1], law)
        for a, (first, law) in enumerate((first, _law(rng, 1 if first else STATES)) for first in is_first)
    ]
    solution = solve_forest(Forest(tuple(nodes)))
    policy = CascadeIndex(
        heads=tuple(range(A)),
        edges=tuple((0.25, 0.5, 0.75) for _ in range(A)),
        price=1.0,
        lines=lines,
        loss=rows_of([node.loss_S for node in nodes]),
        index=rows_of(list(solution.index)),
    )
    state_AN = np.zeros((A, SAMPLES), dtype=np.int64)
    for a, node in enumerate(nodes):
        law_NS = node.trans_PS[0 if is_first[a] else state_AN[a - 1]]
        state_AN[a] = (rng.random((SAMPLES, 1)) > np.atleast_2d(law_NS).cumsum(axis=1)).sum(axis=1)
    decision = policy.walk((state_AN.T + 0.5) / STATES)
    assert decision.evaluated_NK is not None
    loss_AN = np.array([node.loss_S[state_N] for node, state_N in zip(nodes, state_AN, strict=True)])
    paid_N = decision.evaluated_NK @ np.array([node.cost for node in nodes])
    total_N = paid_N + loss_AN[decision.answer_N, np.arange(SAMPLES)]
    assert total_N.mean() == pytest.approx(solution.value, abs=4 * total_N.std() / SAMPLES**0.5)
