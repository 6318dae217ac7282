"""Every number of the exploration instances with known optima, recomputed by the public functions."""

import json
import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ttamer.exits import exploration as ex

VALUE_TOLERANCE = 1e-9
INDEX_TOLERANCE = 1e-7  # relative to max(1, |index|)

ANY_KIND = {
    "no_recall": ex.no_recall_value,
    "prophet_paid": ex.prophet_paid,
    "prophet_free": ex.prophet_free,
}
LINE_ONLY = {
    "best_threshold_recall": ex.best_threshold_recall,
    "best_threshold_no_recall": ex.best_threshold_no_recall,
    "best_exit_thresholds_no_recall": ex.best_exit_thresholds_no_recall,
}


def _folder() -> Path:
    checkout = Path(__file__).resolve().parents[2]
    shared = Path(os.environ.get("TTAMER_SHARED", checkout.parent / "shared"))
    return Path(os.environ.get("TTAMER_GOLDEN", shared / "golden"))


@cache
def _cases() -> dict[str, dict[str, Any]]:
    files = [_folder() / "tamer.jsonl", _folder() / "tamer_large.jsonl"]
    rows = [json.loads(line) for file in files if file.is_file() for line in file.read_text().splitlines()]
    return {row["id"]: row for row in rows}


def _ids(*kinds: str) -> list[Any]:
    ids = [name for name, case in _cases().items() if case["kind"] in kinds]
    reason = f"no exploration instances of kind {kinds} in {_folder()}: set TTAMER_GOLDEN"
    return ids or [pytest.param("absent", marks=pytest.mark.skip(reason=reason))]


def _forest(case: dict[str, Any]) -> ex.Forest:
    nodes = tuple(ex.Node(n["parent"], n["cost"], n["loss"], n["trans"]) for n in case["nodes"])
    kind = ex.Chain if case["kind"] in ("line", "skip") else ex.Forest
    return kind(nodes, math.inf if case["x0"] is None else case["x0"])


def _close(computed: float, expected: float) -> None:
    assert abs(computed - expected) <= VALUE_TOLERANCE, f"{computed!r} against {expected!r}"


def _close_index(computed: tuple[Any, ...], expected: list[list[float]] | None) -> None:
    if expected is None:
        return
    for computed_P, expected_P in zip(computed, expected, strict=True):
        room_P = INDEX_TOLERANCE * np.maximum(1.0, np.abs(expected_P))
        assert computed_P.shape == room_P.shape
        assert (np.abs(computed_P - expected_P) <= room_P).all(), (computed_P, expected_P)


@pytest.mark.parametrize("name", _ids("line", "multiline", "forest"))
def test_value_indices_split_and_bounds_equal_the_known_ones(name: str) -> None:
    case = _cases()[name]
    forest, expected = _forest(case), case["expected"]
    solution, split = ex.solve_forest(forest), ex.split_value(forest)
    _close(solution.value, expected["value"])
    _close_index(solution.index, expected["index"])
    _close(split.value, expected["value"])
    if expected["split"] is not None:
        _close(split.expected_loss, expected["split"][0])
        _close(split.expected_cost, expected["split"][1])
    for field, compute in ANY_KIND.items():
        if expected.get(field) is not None:
            _close(compute(forest), expected[field])


@pytest.mark.parametrize("name", _ids("line"))
def test_the_line_programs_equal_the_known_optima(name: str) -> None:
    case = _cases()[name]
    chain, expected = _forest(case), case["expected"]
    assert isinstance(chain, ex.Chain)
    on_line, on_grid = ex.solve_line(chain), ex.solve_on_grid(chain)
    by_table = ex.split_on_grid(chain, on_grid.stop_at)
    _close(on_line.value, expected["value"])
    _close_index(on_line.index, expected["index"])
    _close(on_grid.value, expected["value"])
    _close(by_table.value, expected["value"])
    if expected["split"] is not None:
        for split in (on_line, by_table):
            _close(split.expected_loss, expected["split"][0])
            _close(split.expected_cost, expected["split"][1])
    for field, compute in LINE_ONLY.items():
        if expected.get(field) is not None:
            _close(compute(chain), expected[field])


@pytest.mark.parametrize("name", _ids("skip"))
def test_skipping_heads_equals_the_known_optima(name: str) -> None:
    case = _cases()[name]
    exits = _forest(case)
    assert isinstance(exits, ex.Chain)
    solution = ex.solve_skippable(ex.SkippableChain(exits, case["head"]))
    _close(solution.value, case["expected"]["value"])
    _close(solution.value_without_skipping, case["expected"]["value_without_skipping"])
