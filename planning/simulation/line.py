"""Who comes when to a stage, a group or a replica: looked up a piece at a time, so that nobody is held twice.

Axes: N requests; of them, or of their places in a line, M.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.records import Floats, Ints

PIECE = 131_072  # places looked through at a time


class Arrivals(Protocol):
    """Seconds, ascending; an array is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice | Ints, /) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Line:
    """The requests in the order in which they are due; order_N is None if that is the order of their numbers.

    Whoever was served may be given another due time, as places before a piece are not looked at again.
    """

    due_s_N: Floats
    order_N: Ints | None

    @classmethod
    def of(cls, due_s_N: Floats) -> Self:
        """Everybody; of those who are due at once the lower number comes first."""
        if (due_s_N[1:] >= due_s_N[:-1]).all():
            return cls(due_s_N, None)
        return cls(due_s_N, np.argsort(due_s_N, kind="stable").astype(np.min_scalar_type(len(due_s_N))))

    def __len__(self) -> int:
        return len(self.due_s_N)

    def __getitem__(self, places: slice | Ints, /) -> Floats:
        return np.asarray(self.due_s_N[self.requests(places)])

    def requests(self, places: slice | Ints) -> slice | Ints:
        """The numbers of those at these places."""
        return places if self.order_N is None else self.order_N[places]


@dataclass(frozen=True, slots=True)
class Some:
    """Those of a line who stand at these places."""

    line: Arrivals
    place_M: Ints

    def __len__(self) -> int:
        return len(self.place_M)

    def __getitem__(self, places: slice | Ints, /) -> Floats:
        return self.line[self.place_M[places]]


def places_of(is_one_N: NDArray[np.bool_]) -> Ints:
    """The places where it is true, in as few bytes as they need."""
    small = np.min_scalar_type(len(is_one_N))
    pieces = [is_one_N[begun : begun + PIECE] for begun in range(0, len(is_one_N), PIECE)]
    found = [(np.flatnonzero(piece) + number * PIECE).astype(small) for number, piece in enumerate(pieces)]
    return np.concatenate([np.empty(0, small), *found])
