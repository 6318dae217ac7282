"""The backbone as it is: no early head is asked, every sample runs to the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import head_mask
from ttamer.exits.parameters import require_names
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.profiles.records import ExitRecords


@dataclass(frozen=True, slots=True)
class LastExit:
    """Stop and answer at the last exit."""

    kind: ClassVar[str] = "last-exit"

    def params(self) -> dict[str, Any]:
        """No parameters."""
        return {}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy. Raises InputError if any parameter is given."""
        require_names(params, (), cls.kind)
        return cls()

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The backbone's own classifier alone."""
        return head_mask((exits - 1,), exits)

    def decide(self, records: ExitRecords) -> Decision:
        """Every sample stops at the last exit."""
        last_N = np.full(records.samples, records.exits - 1, dtype=np.int64)
        return Decision(last_N, last_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The only setting there is."""
        return [cls()]
