"""Loads, traces, networks and rules of queueing that make no sense: one sentence, one remedy, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bad_input import Bad, check, write
from tests.e2e.commands import ttamer

SIMULATE = ("simulate", "plan.yaml", "--requests", "500")
TRACE = ("simulate", "plan.yaml", "--arrivals", "trace:load.csv")


def load(text: str) -> Callable[[], None]:
    """A trace file beside the plan."""
    return lambda: Path("load.csv").write_text(text) and None


CASES = [
    Bad(
        name="a trace where the requests would be written",
        spoil=lambda: ttamer(*SIMULATE, "--no-fail") and None,
        command=("simulate", "plan.yaml", "--arrivals", "trace:simulation.requests.parquet"),
        says="this would overwrite simulation.requests.parquet, which it reads",
        remedy="give another --out",
    ),
    Bad(
        name="a trace that is not there",
        command=TRACE,
        says="load.csv does not exist",
        remedy="check the path",
    ),
    Bad(
        name="an empty trace",
        spoil=load("rps\n"),
        command=TRACE,
        says="load.csv holds no rows",
        remedy="give a trace with at least one request",
    ),
    Bad(
        name="a trace of zeros",
        spoil=load("rps\n0\n0\n"),
        command=TRACE,
        says="load.csv has no requests",
        remedy="it covers 0s-2s",
    ),
    Bad(
        name="a trace whose rates are words",
        spoil=load("rps\n5\nfive\n"),
        command=TRACE,
        says="column 'rps' of load.csv does not hold numbers: ",
        remedy="give seconds or requests/s",
    ),
    Bad(
        name="a trace with a column twice",
        spoil=load("rps,rps\n5,6\n"),
        command=TRACE,
        says="load.csv has the column 'rps' twice",
        remedy="leave one out",
    ),
    Bad(
        name="a trace in another encoding",
        spoil=write(Path("load.csv"), "größe,rps\n1,5\n".encode("latin-1")),
        command=TRACE,
        says="the header of load.csv is no text in UTF-8",
        remedy="save it as UTF-8 CSV",
    ),
    Bad(
        name="a trace of one request",
        spoil=load("t_s\n5\n"),
        command=TRACE,
        says="requests in each of 10 replications: 1, too few to observe anything",
        remedy="give 50000 or more, or a longer trace",
    ),
    Bad(
        name="a negative time stamp",
        spoil=load("t_s\n-3\n1\n"),
        command=TRACE,
        says="load.csv has the time -3 s",
        remedy="count seconds from 0 on",
    ),
    Bad(
        name="time stamps that are not sorted",
        spoil=load("t_s\n1\n5\n4\n"),
        command=TRACE,
        says="load.csv is not sorted: row 3 is at 4 s, the one before at 5 s",
        remedy="sort it by time",
    ),
    Bad(
        name="a rate below zero",
        spoil=load("t_s,rps\n0,5\n1,-5\n"),
        command=TRACE,
        says="load.csv has a rate of -5 rps",
        remedy="rates are 0 or more",
    ),
    Bad(
        name="a trace of other columns",
        spoil=load("when,what\n1,2\n"),
        command=TRACE,
        says="load.csv has the columns when, what, none of which is a rate or a time",
        remedy="name one of them rps (requests in each second) or t_s (seconds of each request); known: rps, rate_rps,"
        " requests, count, rate, t_s, time_s, timestamp_s, arrival_s, second, t, time, timestamp",
    ),
    Bad(
        name="a window beyond the trace",
        spoil=load("rps\n5\n5\n"),
        command=(*TRACE, "--window", "10s-20s"),
        says="load.csv has no requests in the window 10s-20s",
        remedy="it covers 0s-2s",
    ),
    Bad(
        name="a window without a trace",
        command=(*SIMULATE, "--window", "0s-5s"),
        says="a window of 'poisson' arrivals",
        remedy="windows cut traces: --arrivals trace:FILE",
    ),
    Bad(
        name="requests of a trace",
        spoil=load("rps\n5\n5\n"),
        command=(*TRACE, "--requests", "5000"),
        says="a trace has its own number of requests",
        remedy="leave --requests out; cut it by --window",
    ),
    Bad(
        name="a load of nothing",
        command=(*SIMULATE, "--scale", "0"),
        says="a load of 0 times the planned one",
        remedy="give a number above zero",
    ),
    Bad(
        name="a clock nobody knows",
        command=(*SIMULATE, "--clock", "bentoml"),
        says="unknown batching clock 'bentoml'",
        remedy="known: ideal, kserve, ray-serve, triton",
    ),
    Bad(
        name="a patience without a unit",
        command=(*SIMULATE, "--patience", "5"),
        says="patience '5' has no unit",
        remedy="write it like 200ms or 1.5s; units: ns, us, ms, s, m, min, h",
    ),
    Bad(
        name="a request size without a network",
        command=(*SIMULATE, "--request-size", "5kB"),
        says="--request-size without --network",
        remedy="give the file of bandwidths too",
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_is_refused_plainly_and_nothing_is_written(bad: Bad, here: Path) -> None:
    check(bad, here)


def test_more_requests_than_memory_holds_are_refused_at_once(here: Path) -> None:
    done = ttamer("simulate", "plan.yaml", "--requests", str(10**15), "--replications", "1")
    assert done.exit_code == 2
    assert "1,000,000,000,000,000 requests at once need" in done.stderr
    assert not Path("simulation.yaml").exists()


def test_more_requests_than_memory_holds_are_refused_while_a_controller_adapts_too(here: Path) -> None:
    Path("load.csv").write_text("rps\n5\n5\n")
    for command in (
        ("simulate", "plan.yaml", "--adapt", "ttamer", "--requests", str(10**15)),
        ("simulate", "plan.yaml", "--adapt", "apparate", "--requests", str(10**15)),
        ("compare", "plan.yaml", "--trace", "load.csv", "--scale", "1e14"),
    ):
        done = ttamer(*command)
        assert done.exit_code == 2
        assert "000,000,000 requests at once need" in done.stderr


def test_a_load_beyond_capacity_ends_and_says_what_it_is(here: Path) -> None:
    done = ttamer("simulate", "plan.yaml", "--requests", "2000", "--scale", "100000")
    assert done.exit_code == 4
    assert "Note: overload: each replica of resnet20" in done.stdout
    assert "its queue grows without bound" in done.stdout


def test_a_trace_is_replayed_shown_over_time_and_written(here: Path) -> None:
    Path("load.csv").write_text("name,rps\n" + "calm,2\n" * 30 + "busy,4\n" * 30)
    command = ("simulate", "plan.yaml", "--arrivals", "trace:load.csv@busy", "--window", "5s-25s", "--no-fail")
    done = ttamer(*command, "--replications", "2", "--clock", "triton")
    assert done.exit_code == 0
    assert done.stdout.startswith("160 trace busy requests at 4 rps on triton in 2 replications (seed 0)\n")
    assert "\nload" in done.stdout
    assert "\ncores: " in done.stdout
    assert done.stdout.splitlines()[-1].split()[:2] == ["0", "s"]
    assert Path("simulation.timeline.parquet").exists()
