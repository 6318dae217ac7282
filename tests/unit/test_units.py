import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttamer.profiles import units
from ttamer.profiles.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"), [("200ms", 0.2), ("1.5s", 1.5), ("2m", 120.0), ("250us", 250e-6), (" 1e-1 s ", 0.1)]
)
def test_durations_become_seconds(text: str, expected: float) -> None:
    assert units.parse_duration_s(text) == pytest.approx(expected, rel=1e-12)


def test_a_bare_number_is_refused_with_a_hint() -> None:
    with pytest.raises(InputError) as caught:
        units.parse_duration_s("200", "SLO")
    assert caught.value.message == "SLO '200' has no unit"
    assert caught.value.remedy == "write it like 200ms or 1.5s; units: ns, us, ms, s, m, min, h"


@pytest.mark.parametrize("text", ["", "ms", "fast", "-5ms", "0s", "nan s", "1e400s", "5 parsecs", "1m30s"])
def test_no_duration_is_no_duration(text: str) -> None:
    with pytest.raises(InputError):
        units.parse_duration_s(text)


@given(st.floats(1e-9, 1e6), st.sampled_from(sorted(units.SECONDS_PER_UNIT)))
def test_every_duration_with_a_unit_parses(number: float, unit: str) -> None:
    assert units.parse_duration_s(f"{number!r}{unit}") == pytest.approx(number * units.SECONDS_PER_UNIT[unit])


def test_rates_and_sizes() -> None:
    assert units.parse_rate_rps("20rps") == 20
    assert units.parse_bytes("1Gi") == 2**30


@pytest.mark.parametrize(("text", "expected"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0), ("0%", 0.0)])
def test_fractions(text: str, expected: float) -> None:
    assert units.parse_fraction(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["1", "101%", "-1%", "a lot", "1.5"])
def test_a_fraction_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        units.parse_fraction(text)
