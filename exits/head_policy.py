"""What policies with a set of active heads share: their parameters as plain data, and the heads they evaluate.

Axes: K exits, A active heads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, head_mask, require_ascending
from ttamer.exits.parameters import integer, integer_rows, integers, number, number_rows, require_names

Reader = Callable[[Mapping[str, Any], str, str], Any]
Whole = tuple[tuple[int, ...], ...]


def numbers(params: Mapping[str, Any], name: str, kind: str) -> tuple[float, ...]:
    """The parameter as a list of finite numbers, else InputError."""
    return number_rows({name: [params[name]]}, name, kind)[0]


# What each parameter holds, by its name; the others are tables of rows of numbers.
READERS: dict[str, Reader] = {
    "heads": integers,
    "price": number,
    "threshold": number,
    "thresholds": numbers,
    "patience": integer,
    "action": integer_rows,
    "first": integer,
    "grid": numbers,
    "next_head": integer_rows,
    "lines": integers,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPolicy:
    """A policy whose parameters are its fields, the active heads among them.

    heads: the exits whose heads are evaluated; the last of them answers whatever is left. Raises InputError unless they
    ascend.
    """

    heads: Heads

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        require_ascending(self.heads, self.kind)

    def params(self) -> dict[str, Any]:
        """The fields as plain data."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these parameters. Raises InputError on a missing or impossible one."""
        names = [field.name for field in fields(cls)]
        require_names(params, names, cls.kind)
        values: dict[str, Any] = {name: _reader(name)(params, name, cls.kind) for name in names}
        return cls(**values)

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The active heads. Raises InputError if K exits are too few for them."""
        return head_mask(self.heads, exits)


def _reader(name: str) -> Reader:
    return READERS.get(name, number_rows)


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
