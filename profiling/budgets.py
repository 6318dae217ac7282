"""How long a group of parts is measured: rounds, seconds and the precision that is enough."""

from dataclasses import dataclass

from ttamer.profiles.errors import InputError

PROTOCOL = 1  # changes when points of two versions must not stand in one profile
FLOOR_ROUNDS = 6  # the fewest samples whose range bounds the median at 95 %: 2 x 0.5^6 = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a group has been measured enough.

    half_width: of the median's 95 % interval, relative to the median; enough after min_rounds.
    group_s: seconds for one group. A group too slow for min_rounds in twice that still gets FLOOR_ROUNDS.
    Raises InputError unless FLOOR_ROUNDS <= min_rounds <= max_rounds and group_s > 0.
    """

    name: str
    min_rounds: int
    max_rounds: int
    group_s: float
    half_width: float

    def __post_init__(self) -> None:
        if not FLOOR_ROUNDS <= self.min_rounds <= self.max_rounds or self.group_s <= 0:
            raise InputError(
                f"budget {self.name!r} measures {self.min_rounds} to {self.max_rounds} rounds in {self.group_s} s",
                remedy=f"at least {FLOOR_ROUNDS} rounds, no fewer at most than at least, and a time above zero",
            )

    def is_spent(self, rounds: int, elapsed_s: float, *, precise: bool) -> bool:
        """Whether to stop after so many rounds."""
        if rounds >= self.max_rounds:
            return True
        if rounds >= self.min_rounds:
            return precise or elapsed_s >= self.group_s
        return rounds >= FLOOR_ROUNDS and elapsed_s >= 2 * self.group_s


# On a shared 2-core machine the median of 10 interleaved samples repeats within 2-4 %, that of 40 within 1-2 %.
BUDGETS = {
    "quick": Budget(name="quick", min_rounds=8, max_rounds=12, group_s=3.0, half_width=0.03),
    "default": Budget(name="default", min_rounds=30, max_rounds=40, group_s=12.0, half_width=0.02),
}
