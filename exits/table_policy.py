"""What the policies solved on calibration records share: bins of confidence, tables over them, a price.

Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ttamer.exits.active_heads import Heads, head_choices
from ttamer.exits.confidence_chain import PRICES
from ttamer.exits.costs import ExitCosts
from ttamer.exits.head_policy import HeadPolicy
from ttamer.exits.parameters import Rows
from ttamer.profiles.records import ExitRecords, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePolicy(HeadPolicy):
    """Active heads with bins of confidence, and the price that the policy's own tables were solved at.

    edges: inner edges of each head's confidence bins. price: the errors one run of the backbone was worth.
    """

    edges: Rows
    price: float

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima for a range of prices and several sets of active heads."""
        return [policy for heads in head_choices(calibration.exits) for policy in cls._fit(calibration, costs, heads)]

    @classmethod
    def _fit(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Iterator[Self]:
        solve = cls.solver(calibration, costs, heads)
        return (solve(price) for price in PRICES.tolist())

    @classmethod
    def solver(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Self]:
        """The optimum over these heads as a function of the price."""
        raise NotImplementedError


def rows_of(tables: Sequence[Floats]) -> Rows:
    """Arrays as the rows of a table."""
    return tuple(tuple(row.tolist()) for row in tables)
