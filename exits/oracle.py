"""What the oracles share: they look at the label or at later exits, so they bound what any policy can do.

An oracle pays for one head, the one that answers: it knows which without asking the others.

Axes: N samples, K exits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.costs import ExitCosts
from ttamer.exits.parameters import require_names
from ttamer.profiles.records import ExitRecords, Ints


@dataclass(frozen=True, slots=True)
class Oracle:
    """A bound without parameters."""

    kind: ClassVar[str]

    def params(self) -> dict[str, Any]:
        """No parameters."""
        return {}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The oracle. Raises InputError if any parameter is given."""
        require_names(params, (), cls.kind)
        return cls()

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """Every head: which one answers depends on the sample."""
        return np.ones(exits, dtype=np.bool_)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The only setting there is."""
        return [cls()]


def first_good(good_NK: NDArray[np.bool_]) -> Ints:
    """The first good exit of each sample, the last one where none is."""
    last_N1 = np.ones((len(good_NK), 1), dtype=np.bool_)
    return np.asarray(np.hstack([good_NK[:, :-1], last_N1]).argmax(axis=1), dtype=np.int64)


def only_head(stop_N: Ints, exits: int) -> NDArray[np.bool_]:
    """The heads evaluated where only the answering one is."""
    return np.asarray(np.arange(exits) == stop_N[:, np.newaxis])
