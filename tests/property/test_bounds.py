"""Bounds on choices bound every choice, whatever the prices, and the columns as arrays say what the columns say."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttamer.planning.completions import make_completions
from ttamer.planning.narrowing import promising
from ttamer.planning.options import FULL, StageOptions
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.prices import Relaxed, spans
from ttamer.planning.problem import Column, Problem

ACCURACIES = st.sampled_from([0.0, 0.3, 0.5, 0.62, 0.9, 1.0])


@st.composite
def stages(draw: st.DrawFn) -> list[StageOptions]:
    resources = draw(st.integers(0, 2))
    made = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 4))
        numbers = st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count)
        made.append(
            StageOptions(
                penalty_O=np.array(draw(numbers)),
                factor_O=np.array(draw(st.lists(ACCURACIES, min_size=count, max_size=count))),
                use_OD=np.array([draw(numbers) for _ in range(resources)]).reshape(resources, count).T,
                load_s_O=np.zeros(count),
                picks=[((number, 1),) for number in range(count)],
            )
        )
    return made


@given(stages(), st.sampled_from([0.0, 1.0, 100.0]), st.sampled_from([0.0, 0.4]))
def test_every_choice_stays_below_its_bounds(options: list[StageOptions], weight: float, floor: float) -> None:
    relaxed, ranges = Relaxed(options, weight), spans(options, weight, floor, 4)
    bounds = make_completions(options, weight, ranges, [relaxed.prices(span) for span in ranges])
    by_option = bounds.option_bounds()
    for choice in product(*(range(len(one.picks)) for one in options)):
        used_D = np.sum([one.use_OD[o] for one, o in zip(options, choice, strict=True)], axis=0)
        factor = prod(float(one.factor_O[o]) for one, o in zip(options, choice, strict=True))
        if (used_D > FULL).any() or (weight and factor < floor):
            continue
        worth = weight * factor - sum(float(one.penalty_O[o]) for one, o in zip(options, choice, strict=True))
        assert worth <= bounds.bound + 1e-9 * (1 + weight)
        labels = PartialChoices.start(len(used_D))
        for place, o in enumerate(choice):
            assert worth <= by_option[place][o] + 1e-9 * (1 + weight)
            labels = labels.extended(options[place], np.array([o]))
            assert worth <= bounds.bound_N(place + 1, labels)[0] + 1e-9 * (1 + weight)


@given(stages(), st.sampled_from([0.0, 1.0]))
def test_options_that_are_set_aside_make_no_better_choice(options: list[StageOptions], weight: float) -> None:
    relaxed, ranges = Relaxed(options, weight), spans(options, weight, 0.0, 4)
    bounds = make_completions(options, weight, ranges, [relaxed.prices(span) for span in ranges])
    target = bounds.bound - 0.2
    kept = [{pick for picks in one.picks for pick in picks} for one in promising(bounds, target)]
    for choice in product(*(range(len(one.picks)) for one in options)):
        pairs = list(zip(options, choice, strict=True))
        if (np.sum([one.use_OD[o] for one, o in pairs], axis=0) > FULL).any():
            continue
        worth = weight * prod(float(one.factor_O[o]) for one, o in pairs) - sum(
            float(one.penalty_O[o]) for one, o in pairs
        )
        if worth > target + 1e-9:
            assert all(one.picks[o][0] in some for (one, o), some in zip(pairs, kept, strict=True))


@given(
    st.floats(0.0, 1e6),
    st.lists(
        st.tuples(st.floats(1e-3, 1e4), st.integers(1, 64), st.sampled_from([None, 1, 3])), min_size=1, max_size=5
    ),
    st.sampled_from([None, 4, 2**70]),
    st.sampled_from([None, 1, 100, 2**70]),
)
def test_the_table_holds_what_the_columns_say(
    rate_rps: float, made: list[tuple[float, int, int | None]], most_cores: int | None, most_replicas: int | None
) -> None:
    columns = tuple(
        Column(stage="a", cores=cores, batch=1, capacity_rps=capacity, accuracy=0.5, replicas=replicas)
        for capacity, cores, replicas in made
    )
    problem = Problem(
        columns=columns, stages=("a",), rate_rps=rate_rps, most_cores=most_cores, most_replicas=most_replicas
    )
    table = problem.table()
    assert table.enough_J.tolist() == [problem.enough_of(j) for j in range(len(columns))]
    assert table.most_J.tolist() == [problem.most_replicas_of(j) for j in range(len(columns))]


def test_accuracies_that_multiply_are_bounded_range_by_range() -> None:
    """Mixing all with nothing would be worth half of both, but no choice is in between."""
    stage = StageOptions(
        penalty_O=np.zeros(2), factor_O=np.array([1.0, 0.1]), use_OD=np.array([[1.0], [0.0]]), load_s_O=np.zeros(2),
        picks=[((0, 1),), ((1, 1),)],
    )  # fmt: skip
    one_range, many = ([*spans([stage] * 4, 1.0, 0.0, count)] for count in (1, 64))
    relaxed = Relaxed([stage] * 4, 1.0)
    loose, tight = (
        make_completions([stage] * 4, 1.0, ranges, [relaxed.prices(span) for span in ranges]).bound
        for ranges in (one_range, many)
    )
    assert 1e-3 <= tight < loose
    assert tight == pytest.approx(1e-3, rel=0.2)
