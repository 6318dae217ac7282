"""What the policies solved on calibration records share: active heads, bins of confidence, tables, a price.

Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, head_choices, head_mask
from ttamer.exits.confidence_chain import PRICES
from ttamer.exits.costs import ExitCosts
from ttamer.exits.parameters import Rows, integer_rows, integers, number, number_rows, require_names
from ttamer.profiles.records import ExitRecords, Floats

Whole = tuple[tuple[int, ...], ...]

Reader = Callable[[Mapping[str, Any], str, str], Any]

READERS: dict[str, Reader] = {"heads": integers, "price": number}


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePolicy:
    """Active heads with bins of confidence, tables over the bins, and the price they were solved at.

    edges: inner edges of each head's confidence bins. price: the errors one run of the backbone was worth. Every other
    field of a policy is a table of rows, of whole numbers where `whole` names it.
    """

    heads: Heads
    edges: Rows
    price: float

    kind: ClassVar[str]
    whole: ClassVar[tuple[str, ...]] = ()

    def params(self) -> dict[str, Any]:
        """Active heads, tables and price."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these tables. Raises InputError on a missing or impossible one."""
        names = [field.name for field in fields(cls)]
        require_names(params, names, cls.kind)
        readers: dict[str, Reader] = {name: integer_rows if name in cls.whole else number_rows for name in names}
        values: dict[str, Any] = {name: (readers | READERS)[name](params, name, cls.kind) for name in names}
        return cls(**values)

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The active heads. Raises InputError unless the last of them is the last of K exits."""
        return head_mask(self.heads, exits)

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


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
