"""How long a group of parts is measured: in how many processes, for how long, and the precision that is enough."""

import math
from dataclasses import dataclass, replace
from typing import Self

from ttamer.profiles.errors import InputError
from ttamer.profiles.intervals import quantile_samples_needed

PROTOCOL = 5  # changes when points of two versions must not stand in one profile
FLOOR_ROUNDS = 6  # the fewest samples whose range bounds the median at 95 %: 2 x 0.5^6 = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a group has been measured enough, over all the processes that measure it.

    A group is done when every median's 95 % interval is at most half_width wide to either side, relative, and there
    are as many samples as bound the quantile that is planned on; or when its group_s seconds are spent. A group too
    slow for min_rounds in twice that time still gets FLOOR_ROUNDS.
    error: the most that a median may be wrong, relative, and still be called `ok`; half_width leaves room below it.
    Raises InputError unless FLOOR_ROUNDS <= min_rounds, group_s > 0, processes >= 1 and 0 < quantile < 1.
    """

    name: str
    processes: int = 2
    min_rounds: int
    group_s: float
    half_width: float
    error: float = 0.021
    quantile: float = 0.99

    def __post_init__(self) -> None:
        floor = math.ceil(FLOOR_ROUNDS / self.processes) if self.processes > 0 else FLOOR_ROUNDS
        if self.processes < 1 or self.min_rounds < floor or self.group_s <= 0 or not 0 < self.quantile < 1:
            raise InputError(
                f"budget {self.name!r} measures {self.min_rounds} rounds in {self.processes} processes and "
                f"{self.group_s} s, for quantile {self.quantile}",
                remedy=f"at least {FLOOR_ROUNDS} rounds, one process, a time above zero, a quantile within 0 and 1",
            )

    def samples_needed(self) -> int:
        """The samples that bound the planned quantile at 95 %."""
        return quantile_samples_needed(self.quantile)

    def enough_rounds(self) -> int:
        """Rounds of one process after which it may stop as soon as it is precise."""
        return math.ceil(max(self.min_rounds, self.samples_needed()) / self.processes)

    def process_s(self) -> float:
        """Seconds of one process for one group."""
        return self.group_s / self.processes

    def process_half_width(self) -> float:
        """Half-width that one process needs so that all together have the budget's."""
        return self.half_width * math.sqrt(self.processes)

    def is_spent(self, rounds: int, elapsed_s: float, *, precise: bool) -> bool:
        """Whether one process stops after so many rounds."""
        if precise and rounds >= self.enough_rounds():
            return True
        if rounds * self.processes >= self.min_rounds:
            return elapsed_s >= self.process_s()
        return rounds * self.processes >= FLOOR_ROUNDS and elapsed_s >= 2 * self.process_s()

    def for_quantile(self, quantile: float) -> Self:
        """The same budget for another planned quantile."""
        return replace(self, quantile=quantile)


# Over the reference kernel, on a shared 2-core machine, the median of 20 samples repeats within 1.5 % and that of
# 40 within 1.1 %; two processes differ by as much again.
BUDGETS = {
    "quick": Budget(name="quick", min_rounds=8, group_s=3.0, half_width=0.03, error=0.05),
    "default": Budget(name="default", min_rounds=30, group_s=12.0, half_width=0.015),
    "thorough": Budget(name="thorough", processes=3, min_rounds=60, group_s=180.0, half_width=0.01, error=0.02),
}
