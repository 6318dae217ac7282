"""What commands print: numbers with units, and tables that no terminal mangles."""

import os
import sys

import pytest

from ttamer.cli import render

COLUMNS = ("model", "exit policy", "median", "verdict")
ROWS = [("resnet18", "last-exit", "1.03 ms", "ok"), ("bert-mini", "dynamic-index", "10.2 ms", "contended")]


def narrow_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))


def test_a_table_outside_a_terminal_is_as_wide_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(COLUMNS, ROWS, title="Plan")
    assert capsys.readouterr().out == (
        "Plan\n"
        "model      exit policy     median  verdict\n"
        "--------------------------------------------\n"
        "resnet18   last-exit      1.03 ms  ok\n"
        "bert-mini  dynamic-index  10.2 ms  contended\n"
    )


def test_headers_take_several_lines_before_anything_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow_terminal(monkeypatch, 20)
    render.table(("a", "wait up to"), [("x", "1.00 ms")], spare=("wait up to",))
    assert capsys.readouterr() == ("a  wait up to\n-------------\nx     1.00 ms\n", "")
    narrow_terminal(monkeypatch, 12)
    render.table(("a", "wait up to"), [("x", "1.00 ms")], spare=("wait up to",))
    assert capsys.readouterr() == ("   wait up\na       to\n----------\nx  1.00 ms\n", "")


def test_a_narrow_terminal_loses_spare_columns_and_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow_terminal(monkeypatch, 35)
    render.table(COLUMNS, ROWS, spare=("verdict", "median"))
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "model      exit policy     median"
    assert max(map(len, out.splitlines())) <= 35
    assert err == "narrow terminal: without verdict (widen it, or give --format json)\n"


def test_numbers_are_never_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_terminal(monkeypatch, 10)
    render.table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert "bert-mini  dynamic-index  10.2 ms  contended" in lines
    assert "-" * 10 in lines  # the rule ends where the terminal does


@pytest.mark.parametrize(("number", "text"), [(0, "0 cores"), (1, "1 core"), (2, "2 cores"), (100000, "100,000 cores")])
def test_one_is_singular(number: int, text: str) -> None:
    assert render.count(number, "core") == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0182, 0.0194, "18.2 to 19.4 ms"), (0.98, 1.07, "0.98 to 1.07 s"), (1e-6, 2.0, "1.00 us to 2.00 s")],
)
def test_an_interval_has_one_unit_where_one_suits(low: float, high: float, text: str) -> None:
    assert render.seconds_between(low, high) == text
