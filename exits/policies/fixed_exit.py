"""A shorter model: every sample stops at the same exit, no other head is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.parameters import integer, require_names
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True)
class FixedExit:
    """Stop and answer at one exit. Raises InputError if it is negative."""

    exit: int

    kind: ClassVar[str] = "fixed-exit"

    def __post_init__(self) -> None:
        if self.exit < 0:
            raise InputError(f"{self.kind} at exit {self.exit}", remedy="exits are counted from 0")

    def params(self) -> dict[str, Any]:
        """The exit."""
        return {"exit": self.exit}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with `exit` as given. Raises InputError if it is missing or no exit."""
        require_names(params, ("exit",), cls.kind)
        return cls(integer(params, "exit", cls.kind))

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The head of the one exit. Raises InputError if the model has no such exit."""
        if self.exit >= exits:
            raise InputError(f"{self.kind} at exit {self.exit} of {exits}", remedy=f"allowed: 0..{exits - 1}")
        return np.asarray(np.arange(exits) == self.exit)

    def decide(self, records: ExitRecords) -> Decision:
        """Every sample stops at the one exit."""
        self.heads_K(records.exits)
        exit_N = np.full(records.samples, self.exit, dtype=np.int64)
        return Decision(exit_N, exit_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Every exit but the last, which is the policy `last-exit`."""
        return [cls(k) for k in range(calibration.exits - 1)]
