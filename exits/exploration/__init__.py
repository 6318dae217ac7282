"""Exact exploration: when to stop opening boxes that cost something and show random losses (T-Tamer)."""

from ttamer.exits.exploration.bounds import prophet_free, prophet_paid
from ttamer.exits.exploration.chain import Chain, Forest, Node, chain_of
from ttamer.exits.exploration.index import (
    IndexSolution,
    Split,
    SplitSolution,
    solve_forest,
    solve_with_split,
    split_value,
)
from ttamer.exits.exploration.line import (
    GridSolution,
    LineSolution,
    loss_grid,
    solve_line,
    solve_on_grid,
    split_on_grid,
)
from ttamer.exits.exploration.no_recall import no_recall_value
from ttamer.exits.exploration.skippable import STOP, SkippableChain, SkipSolution, solve_skippable
from ttamer.exits.exploration.thresholds import (
    best_exit_thresholds_no_recall,
    best_threshold_no_recall,
    best_threshold_recall,
)

__all__ = [
    "STOP",
    "Chain",
    "Forest",
    "GridSolution",
    "IndexSolution",
    "LineSolution",
    "Node",
    "SkipSolution",
    "SkippableChain",
    "Split",
    "SplitSolution",
    "best_exit_thresholds_no_recall",
    "best_threshold_no_recall",
    "best_threshold_recall",
    "chain_of",
    "loss_grid",
    "no_recall_value",
    "prophet_free",
    "prophet_paid",
    "solve_forest",
    "solve_line",
    "solve_on_grid",
    "solve_skippable",
    "solve_with_split",
    "split_on_grid",
    "split_value",
]
