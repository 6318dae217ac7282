"""What every exit policy must keep, whatever it computes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

import ttamer.exits.policies
from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.mixture import KINDS
from ttamer.exits.policies import OFFERED, ORACLES, POLICIES
from ttamer.exits.policies.protocol import Policy
from ttamer.profiles.errors import InputError

EXITS = 6
CALIBRATION = plausible_records(11, 300, EXITS, split="calibration")
RECORDS = plausible_records(12, 500, EXITS, first=300)


@cache
def sample_of(kind: str) -> Sequence[Policy]:
    """A sample of one kind's family, its first and last member included."""
    family = list(KINDS[kind].family(CALIBRATION, even_costs(EXITS)))
    return (*family[:: max(1, len(family) // 12)], family[-1])


@pytest.fixture(params=sorted(KINDS))
def policies(request: pytest.FixtureRequest) -> Sequence[Policy]:
    return sample_of(request.param)


def test_every_file_of_the_folder_is_in_the_registry() -> None:
    folder = Path(ttamer.exits.policies.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "protocol"}
    assert {policy.__module__.rsplit(".", 1)[-1] for policy in (POLICIES | ORACLES).values()} == files


def test_every_kind_is_registered_under_its_own_name() -> None:
    assert all(policy.kind == kind for kind, policy in (POLICIES | ORACLES).items())
    assert not set(POLICIES) & set(ORACLES)


def test_a_plan_is_offered_policies_that_can_be_served() -> None:
    assert set(OFFERED) < set(POLICIES)


def test_parameters_survive_yaml(policies: Sequence[Policy]) -> None:
    for policy in policies:
        params = yaml.safe_load(yaml.safe_dump(policy.params()))
        again = type(policy).from_params(params)
        assert again == policy
        assert again.params() == params


def test_an_unknown_parameter_is_refused_by_name(policies: Sequence[Policy]) -> None:
    with pytest.raises(InputError, match="colour"):
        type(policies[0]).from_params({**policies[0].params(), "colour": 1})


def test_answers_are_reached_and_come_from_evaluated_heads(policies: Sequence[Policy]) -> None:
    for policy in policies:
        decision = policy.decide(RECORDS)
        heads_K = policy.heads_K(EXITS)
        assert decision.stop_N.shape == decision.answer_N.shape == (RECORDS.samples,)
        assert (decision.answer_N <= decision.stop_N).all()
        assert (decision.answer_N >= 0).all()
        heads_NK = decision.heads_NK(heads_K)
        rows_N = np.arange(RECORDS.samples)
        assert not (heads_NK & ~heads_K).any()
        assert heads_NK[rows_N, decision.answer_N].all()
        assert heads_NK[rows_N, decision.stop_N].all()
        assert not (heads_NK & (np.arange(EXITS) > decision.stop_N[:, np.newaxis])).any()


def test_the_same_records_are_decided_the_same_way_and_left_unchanged(policies: Sequence[Policy]) -> None:
    before = RECORDS.digest()
    for policy in policies:
        first, second = policy.decide(RECORDS), policy.decide(RECORDS)
        np.testing.assert_array_equal(first.stop_N, second.stop_N)
        np.testing.assert_array_equal(first.answer_N, second.answer_N)
    assert RECORDS.digest() == before


def test_each_sample_is_decided_by_itself(policies: Sequence[Policy]) -> None:
    some = RECORDS.taken(slice(100, 140))
    for policy in policies:
        np.testing.assert_array_equal(policy.decide(RECORDS).stop_N[100:140], policy.decide(some).stop_N)


@pytest.mark.parametrize("k", range(EXITS - 1))
def test_a_policy_never_peeks_behind_its_stop(policies: Sequence[Policy], k: int) -> None:
    other = plausible_records(99, RECORDS.samples, EXITS)
    beyond_K = np.arange(EXITS) > k
    names = ("prediction_NK", "confidence_NK", "margin_NK", "entropy_NK")
    mixed = {name: np.where(beyond_K, getattr(other, name), getattr(RECORDS, name)) for name in names}
    changed = replace(RECORDS, label_N=other.label_N, **mixed)
    for policy in policies:
        before, after = policy.decide(RECORDS), policy.decide(changed)
        early_N = before.stop_N <= k
        np.testing.assert_array_equal(early_N, after.stop_N <= k)
        np.testing.assert_array_equal(before.stop_N[early_N], after.stop_N[early_N])
        np.testing.assert_array_equal(before.answer_N[early_N], after.answer_N[early_N])


def test_heads_that_are_not_evaluated_are_not_looked_at(policies: Sequence[Policy]) -> None:
    other = plausible_records(98, RECORDS.samples, EXITS)
    for policy in policies:
        heads_K = policy.heads_K(EXITS)
        names = ("prediction_NK", "confidence_NK", "margin_NK", "entropy_NK")
        mixed = {name: np.where(heads_K, getattr(RECORDS, name), getattr(other, name)) for name in names}
        np.testing.assert_array_equal(policy.decide(RECORDS).stop_N, policy.decide(replace(RECORDS, **mixed)).stop_N)


@pytest.mark.parametrize("kind", ORACLES)
def test_no_oracle_takes_parameters_or_is_slower_than_the_last_exit(kind: str) -> None:
    (oracle,) = ORACLES[kind].family(CALIBRATION, even_costs(EXITS))
    assert ORACLES[kind].from_params(oracle.params()) == oracle
    decision = oracle.decide(RECORDS)
    rows_N = np.arange(RECORDS.samples)
    assert (decision.stop_N < EXITS - 1).any()
    assert decision.heads_NK(oracle.heads_K(EXITS))[rows_N, decision.stop_N].all()


def test_fitting_twice_gives_the_same_family(policies: Sequence[Policy]) -> None:
    first, second = (type(policies[0]).family(CALIBRATION, even_costs(EXITS)) for _ in range(2))
    assert list(first) == list(second)


def test_one_exit_is_no_reason_to_fail(policies: Sequence[Policy]) -> None:
    alone = plausible_records(5, 50, 1, split="calibration")
    for policy in type(policies[0]).family(alone, even_costs(1)):
        assert (policy.decide(alone).stop_N == 0).all()
