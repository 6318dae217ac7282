"""Recorded load: requests a second, or the time stamp of every request, in a CSV or Parquet file.

Columns are known by their names: a time (`t_s`, ...) alone means a row a request; a rate (`rps`, ...) means a row a
step of time, which is one second where there is no time. A file of several series names them in one more column.

Axes: T steps of time, N requests.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.records import Floats
from ttamer.profiles.tables import checked_csv
from ttamer.profiles.units import SECONDS_PER_UNIT, parse_duration_s

TIMES = ("t_s", "time_s", "timestamp_s", "arrival_s", "second", "t", "time", "timestamp")
RATES = ("rps", "rate_rps", "requests", "count", "rate")
COARSE = 0.5  # of the stamps alike: then they are of a clock's ticks rather than of requests that come together


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Load over time, from 0 on: a rate in every step, or the stamp of every request; the other is None.

    edge_s_T has one entry more than rate_rps_T. scale multiplies the load and leaves time as it is.
    """

    name: str
    duration_s: float
    edge_s_T: Floats | None = None
    rate_rps_T: Floats | None = None
    stamp_s_N: Floats | None = None
    scale: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def requests(self) -> float:
        """How many requests it stands for."""
        if self.stamp_s_N is not None:
            return len(self.stamp_s_N) * self.scale
        assert self.edge_s_T is not None
        assert self.rate_rps_T is not None
        return float((self.rate_rps_T * np.diff(self.edge_s_T)).sum()) * self.scale

    @property
    def rate_rps(self) -> float:
        """Mean load."""
        return self.requests / self.duration_s

    def scaled(self, factor: float) -> "Trace":
        """The same course of time with so many times the load. Raises InputError unless the factor is above zero."""
        if not 0 < factor < math.inf:
            raise InputError(f"a load of {factor:g} times the trace", remedy="give a number above zero")
        return replace(self, scale=self.scale * factor)

    def arrivals(self, rng: np.random.Generator) -> Floats:
        """Times of arrival in seconds, ascending.

        Every step of a rate holds as many requests as the rate says, at random places; where that is no whole number
        the running total is rounded. Stamps are kept as they are, and with another scale so many copies of each as
        the scale says, at random places before the next stamp.
        """
        if self.stamp_s_N is not None:
            return _copies(self.stamp_s_N, self.duration_s, self.scale, rng)
        assert self.edge_s_T is not None
        assert self.rate_rps_T is not None
        step_s_T = np.diff(self.edge_s_T)
        total_T = np.cumsum(self.rate_rps_T * step_s_T * self.scale)
        count_T = np.diff(np.floor(total_T + 0.5 + 1e-9), prepend=0.0).astype(np.int64)
        places = rng.random(int(count_T.sum()))
        return np.sort(np.repeat(self.edge_s_T[:-1], count_T) + places * np.repeat(step_s_T, count_T))


def _copies(stamp_s_N: Floats, duration_s: float, scale: float, rng: np.random.Generator) -> Floats:
    if scale == 1:
        return stamp_s_N
    total_N = np.floor(np.arange(1, len(stamp_s_N) + 1) * scale + rng.random())
    copies_N = np.diff(total_N, prepend=math.floor(total_N[0] - scale) if scale >= 1 else 0.0).astype(np.int64)
    first_N = np.cumsum(copies_N) - copies_N
    gap_s_N = np.diff(stamp_s_N, append=duration_s)
    place = rng.random(int(copies_N.sum()))
    place[first_N[copies_N > 0]] = 0.0  # the first copy is the request itself
    return np.sort(np.repeat(stamp_s_N, copies_N) + place * np.repeat(gap_s_N, copies_N))


def read_trace(path: Path, series: str | None = None, window: str | None = None) -> Trace:
    """The trace in a file. series: which one, where a column of names tells several apart. window: `600s-1200s` of it.

    Raises DocumentError if the file cannot be read or no column is known; InputError on a series or window that is not
    there, on times that are negative or not ascending, on rates below zero, and where nothing is left.
    """
    table, name = one_series(read_columns(path), series, path)
    times = next((column for column in TIMES if column in table.column_names), None)
    rates = next((column for column in RATES if column in table.column_names), None)
    if times is None and rates is None:
        raise DocumentError(
            f"{path} has the columns {', '.join(table.column_names)}, none of which is a rate or a time",
            remedy=f"name one of them rps (requests in each second) or t_s (seconds of each request); known: "
            f"{', '.join((*RATES, *TIMES))}",
        )
    times_s = None if times is None else numbers(table, times, path)
    if rates is None:
        assert times_s is not None
        return _cut_stamps(name, checked_times(times_s, path), window, path)
    rate_rps_T = numbers(table, rates, path)
    if (rate_rps_T < 0).any():
        raise InputError(f"{path} has a rate of {rate_rps_T.min():g} rps", remedy="rates are 0 or more")
    start_s_T = np.arange(len(rate_rps_T), dtype=np.float64) if times_s is None else checked_times(times_s, path)
    if (np.diff(start_s_T) <= 0).any():
        raise InputError(f"{path} has two rates for the same time", remedy="keep one series, a row a step of time")
    return _cut_rates(name, start_s_T, rate_rps_T, window, path)


def read_columns(path: Path) -> pa.Table:
    """The columns of a CSV or Parquet file. Raises DocumentError if it cannot be read, InputError if it is empty."""
    try:
        is_parquet = path.suffix.lower() in (".parquet", ".pq")
        table = pq.read_table(path) if is_parquet else checked_csv(pa_csv.read_csv(path), path)
    except FileNotFoundError:
        raise DocumentError(f"{path} does not exist", remedy="check the path") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DocumentError(f"{path} is not a readable trace: {reason}", remedy="write CSV or Parquet") from None
    if table.num_rows == 0:
        raise InputError(f"{path} holds no rows", remedy="give a trace with at least one request")
    return table


def one_series(table: pa.Table, series: str | None, path: Path) -> tuple[pa.Table, str]:
    """The rows of one series, and its name. Raises InputError if it is not there, or if none of several was named."""
    texts = [
        field.name
        for field in table.schema
        if (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
        and field.name not in (*TIMES, *RATES)
    ]
    names = {text: pc.unique(table[text]).drop_null().to_pylist() for text in texts}
    several = [text for text in texts if len(names[text]) > 1]
    if series is None:
        if several:
            known = ", ".join(sorted(names[several[0]])[:10])
            raise InputError(f"{path} holds several series", remedy=f"add @NAME to the file: {known}")
        return table, path.stem
    for text in texts:
        if series in names[text]:
            return table.filter(pc.equal(table[text], series)), series
    known = ", ".join(sorted(name for text in texts for name in names[text])[:10]) or "none, it is one series"
    raise InputError(f"{path} has no series {series!r}", remedy=f"its series: {known}")


def numbers(table: pa.Table, column: str, path: Path) -> Floats:
    """A column as numbers. Raises DocumentError if it holds none, InputError on empty or infinite cells."""
    try:
        values = np.asarray(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DocumentError(
            f"column {column!r} of {path} does not hold numbers: {reason}",
            remedy="give seconds or requests/s",
        ) from None
    if not np.isfinite(values).all():
        raise InputError(f"column {column!r} of {path} has empty or infinite cells", remedy="fill or remove those rows")
    return values


def checked_times(times_s: Floats, path: Path) -> Floats:
    """The times. Raises InputError if they are negative or do not ascend."""
    if times_s.min() < 0:
        raise InputError(f"{path} has the time {times_s.min():g} s", remedy="count seconds from 0 on")
    back = np.flatnonzero(np.diff(times_s) < 0)
    if len(back):
        row = int(back[0]) + 2
        raise InputError(
            f"{path} is not sorted: row {row} is at {times_s[row - 1]:g} s, the one before at {times_s[row - 2]:g} s",
            remedy="sort it by time",
        )
    return times_s


def parse_window(text: str) -> tuple[float, float]:
    """The two ends of a window in seconds.

    >>> parse_window("0s-10m")
    (0.0, 600.0)
    """
    first, dash, last = text.partition("-")
    if not dash:
        raise InputError(f"window {text!r} is not a span of time", remedy="write it like 0s-600s")
    is_zero = first.strip() in {f"0{unit}" for unit in SECONDS_PER_UNIT}
    start_s, end_s = (
        0.0 if is_zero else parse_duration_s(first, "start of the window"),
        parse_duration_s(last, "end of the window"),
    )
    if start_s >= end_s:
        raise InputError(f"window {text!r} ends before it starts", remedy="write it like 0s-600s")
    return start_s, end_s


def _cut_rates(name: str, start_s_T: Floats, rate_rps_T: Floats, window: str | None, path: Path) -> Trace:
    steps_s = np.diff(start_s_T)
    last_s = float(start_s_T[-1] + (steps_s[-1] if len(steps_s) else 1.0))
    low_s, high_s = parse_window(window) if window else (float(start_s_T[0]), last_s)
    edge_s_T = np.append(start_s_T, last_s)
    edge_s_T = np.clip(edge_s_T, low_s, high_s)
    inside_T = np.diff(edge_s_T) > 0
    trace = Trace(
        name=name,
        duration_s=high_s - low_s,
        edge_s_T=np.append(edge_s_T[:-1][inside_T], edge_s_T[1:][inside_T][-1:]) - low_s,
        rate_rps_T=rate_rps_T[inside_T],
    )
    if not inside_T.any() or trace.requests == 0:
        raise InputError(f"{path} has no requests{_within(window)}", remedy=f"it covers 0s-{last_s:g}s")
    return trace


def _cut_stamps(name: str, stamp_s_N: Floats, window: str | None, path: Path) -> Trace:
    low_s, high_s = parse_window(window) if window else (float(stamp_s_N[0]), float(stamp_s_N[-1]))
    inside_s = stamp_s_N[(stamp_s_N >= low_s) & ((stamp_s_N < high_s) | (window is None))] - low_s
    if not len(inside_s):
        raise InputError(f"{path} has no requests{_within(window)}", remedy=f"it ends at {stamp_s_N[-1]:g} s")
    mean_gap_s = (high_s - low_s) / max(1, len(inside_s) - 1)
    duration_s = high_s - low_s if window else high_s - low_s + (mean_gap_s or 1.0)
    spread, notes = _spread(inside_s, duration_s)
    return Trace(name=name, duration_s=duration_s, stamp_s_N=spread, notes=notes)


def _spread(stamp_s_N: Floats, duration_s: float) -> tuple[Floats, tuple[str, ...]]:
    """Requests that share a coarse clock's tick, at even distances up to the next tick."""
    ticks_s, count_T = np.unique(stamp_s_N, return_counts=True)
    if len(stamp_s_N) < 2 or 1 - len(ticks_s) / len(stamp_s_N) < COARSE:
        return stamp_s_N, ()
    step_s_T = np.diff(ticks_s, append=duration_s)
    place_N = np.concatenate([np.arange(count) / count for count in count_T])
    note = f"{len(stamp_s_N):,} stamps fall on {len(ticks_s):,} ticks: spread evenly up to the next tick"
    return np.repeat(ticks_s, count_T) + place_N * np.repeat(step_s_T, count_T), (note,)


def _within(window: str | None) -> str:
    return f" in the window {window}" if window else ""
