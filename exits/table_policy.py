"""What the policies solved on calibration records share: bins of confidence, tables over them, a price.

Axes: N samples, K exits, A active heads, S bins of a head.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from ttamer.exits.active_heads import Heads
from ttamer.exits.costs import ExitCosts
from ttamer.exits.decision import Decision, in_blocks
from ttamer.exits.head_policy import HeadPolicy
from ttamer.exits.head_sets import promising
from ttamer.exits.parameters import Rows
from ttamer.exits.sweep import Corner, corners
from ttamer.profiles.records import ExitRecords, Floats

# For each set of heads: on held-out halves of four sets of records no worse than 40 prices in even steps.
CORNERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePolicy(HeadPolicy, ABC):
    """Active heads with bins of confidence, and the price that the policy's own tables were solved at.

    edges: inner edges of each head's confidence bins. price: the errors one run of the backbone was worth.
    """

    edges: Rows
    price: float

    def decide(self, records: ExitRecords) -> Decision:
        """What the walk over the active heads decides. Raises InputError for records of another number of exits."""
        self.heads_K(records.exits)
        return in_blocks(self.walk, records.confidence_NK)

    @abstractmethod
    def walk(self, confidence_NK: Floats) -> Decision:
        """Where samples with these confidences stop and which exit answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptPolicy(TablePolicy):
    """A table policy whose optimum is known, with what it promises, as a function of the price."""

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima at the corners of the promised frontier, for several sets of active heads."""
        sets = promising(calibration, costs)
        return [policy for heads in sets for policy in cls.swept(calibration, costs, heads, CORNERS)]

    @classmethod
    def swept(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads, most: int | None = None) -> Sequence[Self]:
        """The optima over these heads at every corner of the promised frontier, slowest first.

        most: about this many, the widest gaps between them filled first; None for all.
        """
        solve = cls.solver(calibration, costs, heads)
        found = corners(cls.promise(calibration, costs, heads), most=most)
        return [solve(corner.price) for corner in found]

    @classmethod
    @abstractmethod
    def promise(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Corner]:
        """The loss and the time that the optimum over these heads promises, as a function of the price."""

    @classmethod
    @abstractmethod
    def solver(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Self]:
        """The optimum over these heads as a function of the price."""


def rows_of(tables: Sequence[Floats]) -> Rows:
    """Arrays as the rows of a table."""
    return tuple(tuple(row.tolist()) for row in tables)
