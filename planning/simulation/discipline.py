"""How requests wait: in which order they are taken, how many may wait, and for how long."""

from dataclasses import dataclass
from typing import Literal

from ttamer.profiles.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Discipline:
    """The rules of a queue.

    order: `fifo`, or `edf`, the earliest deadline first, a deadline being when the request was sent plus the SLO.
    limit: so many may wait at one queue, who comes then is dropped. patience_s: who has waited longer when a server
    could take it is dropped. drops_late: so is who has already missed its deadline. None and False: nobody is.
    Raises InputError on a limit below 1 or a patience of 0 or less.
    """

    order: Literal["fifo", "edf"] = "fifo"
    limit: int | None = None
    patience_s: float | None = None
    drops_late: bool = False

    def __post_init__(self) -> None:
        if self.order not in ("fifo", "edf"):
            raise InputError(f"unknown order of a queue {self.order!r}", remedy="allowed: fifo, edf")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"a queue limit of {self.limit}", remedy="give 1 or more, or none")
        if self.patience_s is not None and not self.patience_s > 0:
            raise InputError(f"a patience of {self.patience_s} s", remedy="give more than 0 s, or none")

    @property
    def is_plain(self) -> bool:
        """First come, first served, and nobody is turned away."""
        return self.order == "fifo" and not self.drops

    @property
    def drops(self) -> bool:
        """Whether anybody can be turned away."""
        return self.limit is not None or self.patience_s is not None or self.drops_late

    def check_batch(self, size: int) -> None:
        """Raise InputError if batches of this size can never fill because so many may not wait."""
        if self.limit is not None and self.limit < size:
            raise InputError(
                f"a queue limit of {self.limit} lets no batch of {size} fill", remedy=f"allow {size} or more to wait"
            )


PLAIN = Discipline()
