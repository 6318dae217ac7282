"""A policy while it runs: rows on their way through the heads, each told to stop or to go on.

Axes: B rows asked about, V classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

GOES_ON = -1
ALONE = (0,)  # the rows of a walk of one


class Walk(ABC):
    """The rows of one batch on their way through the heads."""

    __slots__ = ()

    @abstractmethod
    def awaits(self, row: int) -> int:
        """The head that a row under way is to be asked about next."""

    @abstractmethod
    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        """The exit that answers each of these rows, negative for a row that goes on."""

    def alone(self, exit: int, logits_BV: Tensor) -> int:
        """The same for the one row of a walk."""
        return self.step(exit, ALONE, logits_BV)[0]


class RowWalk(Walk):
    """A walk that reads what a head says of all rows at once and decides on one after the other."""

    __slots__ = ()

    @abstractmethod
    def read(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[Any]:
        """What the head says of each row. Raises InputError on NaN or infinity where the logits are looked at."""

    @abstractmethod
    def decide(self, exit: int, row: int, said: Any) -> int:
        """The exit that answers the row, negative if it goes on."""

    def step(self, exit: int, rows: Sequence[int], logits_BV: Tensor) -> list[int]:
        """The exit that answers each of these rows, negative for a row that goes on."""
        said = self.read(exit, rows, logits_BV)
        return [self.decide(exit, row, one) for row, one in zip(rows, said, strict=True)]

    def alone(self, exit: int, logits_BV: Tensor) -> int:
        """The same for the one row of a walk, without a list."""
        return self.decide(exit, 0, self.read(exit, ALONE, logits_BV)[0])


class Decider(Protocol):
    """A policy ready to run on a model. heads: those that may be asked, ascending.

    is_line: every head is asked in order until one answers.
    """

    @property
    def heads(self) -> tuple[int, ...]: ...

    @property
    def is_line(self) -> bool: ...

    def walk(self, numbers: Sequence[int]) -> Walk:
        """A walk of the requests of these numbers, as rows 0, 1, ..."""
        ...
