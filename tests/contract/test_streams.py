"""Every stream draws as many samples as asked for, always the same for a seed, and touches nothing."""

from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_records import plausible_records
from ttamer.cli.drift import Arrivals
from ttamer.exits.apparate import streams
from ttamer.exits.apparate.streams import STREAMS

RECORDS = plausible_records(3, 300, 5)


def test_every_stream_of_the_file_and_of_the_command_is_in_the_registry() -> None:
    text = Path(streams.__file__).read_text()
    defined = {name for name in vars(streams) if f"\ndef {name}(records" in text and not name.startswith("_")}
    assert defined == set(STREAMS) == {one.value for one in Arrivals}


@pytest.mark.parametrize("name", sorted(STREAMS))
@pytest.mark.parametrize("arrivals", [1, 7, 299, 1000])
def test_a_stream_draws_as_many_as_asked_for_and_repeats_itself(name: str, arrivals: int) -> None:
    before = RECORDS.digest()
    order_M, again_M = (STREAMS[name](RECORDS, arrivals, np.random.default_rng(5)) for _ in range(2))
    assert order_M.shape == (arrivals,)
    assert order_M.dtype == np.int64
    assert order_M.min() >= 0
    assert order_M.max() < RECORDS.samples
    np.testing.assert_array_equal(order_M, again_M)
    assert RECORDS.digest() == before


def test_a_steady_stream_brings_every_sample_once_before_any_twice() -> None:
    order_M = STREAMS["steady"](RECORDS, 650, np.random.default_rng(0))
    for start in (0, 300):
        assert len(set(order_M[start : start + 300].tolist())) == 300


@pytest.mark.parametrize("name", ["harder", "sudden"])
def test_early_exits_agree_less_at_the_end_than_at_first(name: str) -> None:
    order_M = STREAMS[name](RECORDS, 4000, np.random.default_rng(0))
    agrees_M = RECORDS.agrees_NK()[order_M, 1]
    assert agrees_M[:1000].mean() > agrees_M[-1000:].mean() + 0.15


def test_classes_come_one_after_another() -> None:
    label_M = RECORDS.label_N[STREAMS["classes"](RECORDS, 4000, np.random.default_rng(0))]
    assert label_M[:1000].mean() < 0.2
    assert label_M[-1000:].mean() > 0.8
