from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ttamer.planning.simulation.traces import Trace, parse_window, read_trace
from ttamer.profiles.errors import DocumentError, InputError

RNG = np.random.default_rng


def csv(folder: Path, text: str) -> Path:
    path = folder / "load.csv"
    path.write_text(text)
    return path


def parquet(folder: Path, **columns: list[object]) -> Path:
    path = folder / "load.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_column_of_rates_is_a_row_a_second_and_every_second_has_its_requests(tmp_path: Path) -> None:
    trace = read_trace(parquet(tmp_path, rps=[3, 0, 5, 2]))
    assert (trace.duration_s, trace.requests, trace.rate_rps) == (4.0, 10.0, 2.5)
    arrival_s = trace.arrivals(RNG(0))
    assert np.bincount(arrival_s.astype(int)).tolist() == [3, 0, 5, 2]
    assert (np.diff(arrival_s) >= 0).all()


def test_times_beside_rates_say_how_long_the_steps_are(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s,rate_rps\n0,2\n10,4\n20,1\n"))
    assert (trace.duration_s, trace.requests) == (30.0, 70.0)
    counts = np.bincount((trace.arrivals(RNG(0)) / 10).astype(int))
    assert counts.tolist() == [20, 40, 10]


def test_arrivals_within_a_step_are_spread_evenly_at_random(tmp_path: Path) -> None:
    arrival_s = read_trace(parquet(tmp_path, rps=[100_000])).arrivals(RNG(0))
    assert np.histogram(arrival_s, 10, (0, 1))[0] == pytest.approx([10_000] * 10, abs=400)


@pytest.mark.parametrize("scale", [0.125, 0.5, 1.0, 2.3])
def test_a_scaled_trace_has_the_mean_that_its_scale_says(tmp_path: Path, scale: float) -> None:
    rates = RNG(1).poisson(20, 500).tolist()
    trace = read_trace(parquet(tmp_path, rps=rates)).scaled(scale)
    assert trace.requests == pytest.approx(scale * sum(rates))
    arrival_s = trace.arrivals(RNG(2))
    assert len(arrival_s) == pytest.approx(trace.requests, abs=0.51)
    counts = np.bincount(arrival_s.astype(int), minlength=500)
    assert np.abs(counts - scale * np.array(rates)).max() <= 1.0 + 1e-6


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0, 2.7])
def test_scaled_stamps_keep_their_course_and_their_mean(tmp_path: Path, scale: float) -> None:
    stamps = np.cumsum(RNG(3).exponential(0.1, 4000))
    trace = read_trace(parquet(tmp_path, t_s=stamps.tolist()))
    scaled = trace.scaled(scale).arrivals(RNG(4))
    assert len(scaled) == pytest.approx(4000 * scale, abs=1.01)
    assert (np.diff(scaled) >= 0).all()
    half_s = trace.duration_s / 2
    expected = scale * (stamps - stamps[0] < half_s).sum()
    assert (scaled < half_s).sum() == pytest.approx(expected, abs=3)


def test_stamps_are_replayed_as_they_are_from_their_first_on(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s\n5.0\n5.25\n7.0\n"))
    assert trace.arrivals(RNG(0)).tolist() == [0.0, 0.25, 2.0]


def test_a_window_cuts_rates_and_stamps_and_counts_from_zero(tmp_path: Path) -> None:
    rates = read_trace(parquet(tmp_path, rps=[1, 2, 3, 4, 5]), window="1s-3.5s")
    assert (rates.duration_s, rates.requests) == (2.5, 2 + 3 + 2)
    stamps = read_trace(csv(tmp_path, "t_s\n0.5\n1.0\n2.5\n3.0\n"), window="1s-3s")
    assert stamps.duration_s == 2.0
    assert stamps.arrivals(RNG(0)).tolist() == [0.0, 1.5]


def test_one_of_several_series_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "window,second,rps\ncalm,0,1\ncalm,1,2\nbusy,0,50\nbusy,1,60\n")
    assert read_trace(path, "busy").requests == 110
    assert read_trace(path, "busy").name == "busy"
    with pytest.raises(InputError, match=r"holds several series \(add @NAME to the file: busy, calm\)"):
        read_trace(path)
    with pytest.raises(InputError, match=r"has no series 'wild' \(its series: busy, calm\)"):
        read_trace(path, "wild")


def test_stamps_of_a_coarse_clock_are_spread_and_that_is_said(tmp_path: Path) -> None:
    path = csv(tmp_path, "t_s\n" + "0\n" * 4 + "3\n" * 6 + "6\n" * 2)
    trace = read_trace(path)
    assert trace.arrivals(RNG(0))[:10].tolist() == [0.0, 0.75, 1.5, 2.25, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5]
    assert trace.notes == ("12 stamps fall on 3 ticks: spread evenly up to the next tick",)


def test_requests_that_come_together_now_and_then_stay_together(tmp_path: Path) -> None:
    assert read_trace(csv(tmp_path, "t_s\n0\n1\n1\n2\n4\n")).arrivals(RNG(0)).tolist() == [0, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rps\n", "holds no rows"),
        ("rps\n0\n0\n", "has no requests"),
        ("rps\n3\n-2\n", r"a rate of -2 rps"),
        ("rps\n3\nnan\n", "empty or infinite"),
        ("t_s\n1\n3\n2\n", r"not sorted: row 3 is at 2 s, the one before at 3 s"),
        ("t_s\n-1\n3\n", "the time -1 s"),
        ("t_s,rps\n0,1\n0,2\n", "two rates for the same time"),
        ("load\n1\n", "none of which is a rate or a time"),
        ("t_s\n1\nsoon\n", "column 't_s' of .* does not hold numbers: Failed to parse string: 'soon'"),
    ],
)
def test_a_bad_trace_is_refused_by_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trace(csv(tmp_path, text))


def test_files_that_are_no_traces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="does not exist"):
        read_trace(tmp_path / "absent.csv")
    broken = tmp_path / "broken.parquet"
    broken.write_text("rps")
    with pytest.raises(DocumentError, match="not a readable trace"):
        read_trace(broken)


@pytest.mark.parametrize("window", ["10s-20s", "5s-1s", "5", "1-3s"])
def test_a_window_without_a_request_or_sense_is_refused(tmp_path: Path, window: str) -> None:
    with pytest.raises(InputError):
        read_trace(parquet(tmp_path, rps=[1, 2, 3]), window=window)


def test_a_window_may_begin_at_nothing_in_any_unit() -> None:
    assert parse_window("0ms-2s") == (0.0, 2.0)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf")])
def test_a_scale_that_is_no_scale_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match="times the trace"):
        Trace(name="x", duration_s=1.0, stamp_s_N=np.array([0.5])).scaled(factor)


def test_the_named_windows_of_the_papers_have_their_published_totals(shared: Path) -> None:
    path = shared / "data" / "peers" / "trace_windows.csv"
    totals = {name: read_trace(path, name).requests for name in ("ipa-bursty", "infadapter-bursty")}
    totals["infadapter-nonbursty"] = read_trace(path, "infadapter-nonbursty").requests
    assert totals == {"ipa-bursty": 14_437, "infadapter-bursty": 121_697, "infadapter-nonbursty": 166_488}
    assert len(read_trace(path, "ipa-bursty").arrivals(RNG(0))) == 14_437
