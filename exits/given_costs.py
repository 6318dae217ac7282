"""What exits cost where nobody measured it: given by the user, by the records' own prices, or the same for all.

Axes: K exits.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ttamer.exits.costs import ExitCosts
from ttamer.exits.record_sources import RecordSource
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats
from ttamer.profiles.units import parse_duration_s

PRICES = "prices"
UNIFORM_S = 1e-3
PRICE_S = 1e-3  # one unit of price
EXAMPLE = "0.6ms+0.1ms for a stage and its head, a list of K of them, a CSV file with stage_s and head_s, or prices"


@dataclass(frozen=True, slots=True, eq=False)
class GivenCosts:
    """Costs, and in words where they come from."""

    costs: ExitCosts
    words: str


def given_costs(text: str | None, source: RecordSource) -> GivenCosts:
    """The costs that a text stands for; without one, every exit adds the same.

    `0.6ms` is a stage, or a model where each exit is one; `0.6ms+0.1ms` a stage and its head, of which the last exit
    has none; a list gives every exit its own; a file has the columns stage_s and head_s; `prices` are those in the
    records' file. Raises InputError for anything else, and where their number is not that of the exits.
    """
    test = source.splits["test"]
    costs, words = _costs(text, source, test.exits)
    return GivenCosts(replace(_checked(costs, test.exits), starts=test.starts), words)


def _costs(text: str | None, source: RecordSource, exits: int) -> tuple[ExitCosts, str]:
    """The costs and in words where they come from."""
    if text is None:
        what = "every model takes 1 ms" if source.separate else "every stage takes 1 ms and its head nothing"
        uniform = _even(UNIFORM_S, 0.0, exits, source.separate)
        return uniform, f"uniform, as none were given (--costs): {what}"
    if text == PRICES:
        return _of_prices(source), "the prices in the file, 1 ms for each unit of price"
    if Path(text).is_file():
        return _of_file(Path(text)), f"given in {Path(text).name}"
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1:
        return _listed(parts, source.separate), f"given: {text}"
    return _even(*_pair_s(parts[0]), exits, source.separate), f"given: {text}"


def _even(stage_s: float, head_s: float, exits: int, separate: bool) -> ExitCosts:
    if separate:
        return ExitCosts(np.zeros(exits), np.full(exits, stage_s + head_s))
    return ExitCosts(np.full(exits, stage_s), np.append(np.full(exits - 1, head_s), 0.0))


def _listed(parts: list[str], separate: bool) -> ExitCosts:
    pairs = np.array([_pair_s(part) for part in parts])
    if separate and not pairs[:, 1].any():
        pairs = pairs[:, ::-1]
    return ExitCosts(pairs[:, 0], pairs[:, 1])


def _pair_s(part: str) -> tuple[float, float]:
    stage, plus, head = part.partition("+")
    try:
        return parse_duration_s(stage.strip(), "--costs"), parse_duration_s(head.strip(), "--costs") if plus else 0.0
    except InputError as error:
        raise InputError(f"{error.message}, and no file of that name exists", remedy=f"give {EXAMPLE}") from None


def _of_prices(source: RecordSource) -> ExitCosts:
    if not source.price_K:
        raise InputError(f"the records of {source.model!r} tell no prices", remedy=f"give {EXAMPLE}")
    return ExitCosts(np.zeros(len(source.price_K)), PRICE_S * np.array(source.price_K))


def _of_file(path: Path) -> ExitCosts:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        stage_s_K = np.array([float(row["stage_s"]) for row in rows])
        head_s_K = np.array([float(row.get("head_s") or 0.0) for row in rows])
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the costs in {path} cannot be read: {error}", remedy="give the columns stage_s and head_s, a row an exit"
        ) from None
    return ExitCosts(stage_s_K, head_s_K)


def _checked(costs: ExitCosts, exits: int) -> ExitCosts:
    for what, values_K in (("stages", costs.stage_s_K), ("heads", costs.head_s_K)):
        if values_K.shape != (exits,):
            raise InputError(f"costs of {len(values_K)} {what} for {exits} exits", remedy="give one for every exit")
        if not _are_costs(values_K):
            raise InputError(f"costs of {what}: {values_K.tolist()}", remedy="give finite seconds, none below zero")
    if not (costs.stage_s_K.sum() + costs.head_s_K[-1]) > 0:
        raise InputError("the last exit costs nothing", remedy="give it a cost above zero")
    return costs


def _are_costs(values_K: Floats) -> bool:
    return bool(np.isfinite(values_K).all() and (values_K >= 0).all())
