"""Demands in words that can be typed."""

import pytest

from ttamer.planning.conflict import duration, memory, rate
from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_rate_rps


@pytest.mark.parametrize("value", [1e-7, 0.02, 0.99999, 1.0, 12.5, 1e5, 1e6, 123456789.0, 1e12])
def test_quantities_have_no_exponent_and_read_back(value: float) -> None:
    assert parse_rate_rps(rate(value)) == pytest.approx(value, rel=1e-5)
    assert parse_duration_s(duration(value)) == pytest.approx(value, rel=5e-3)
    assert parse_bytes(memory(round(value * 2**30))) == pytest.approx(round(value * 2**30), rel=1e-4, abs=1)
    assert not {"e", "E"} & set(rate(value) + duration(value))


def test_short_numbers_stay_short() -> None:
    assert (rate(1500.0), rate(0.25), duration(0.2), duration(1.5), memory(2**20)) == (
        "1500rps", "0.25rps", "200ms", "1.5s", "1MiB"
    )  # fmt: skip
