"""Better choices by exchange: one stage's option at a time, then two stages' at once, while it helps.

Axes: S stages, O and P options of two stages, D resources.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ttamer.planning.options import FULL, StageOptions
from ttamer.profiles.records import Floats

MOST_ROUNDS = 60
EXCESS = 1e9  # what a unit of a limit that is exceeded costs: more than any objective


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The stages' options and how a choice of them is judged: within the limits first, then by the objective."""

    stages: Sequence[StageOptions]
    weight: float
    loading_weight: float

    def worth(self, choice: Sequence[int]) -> float:
        """The objective of a choice, less a great deal for what exceeds the limits."""
        *front, last = choice
        return float(self._worth_O(front, list(range(len(front))), len(front))[last])

    def is_within_limits(self, choice: Sequence[int]) -> bool:
        """Whether the choice exceeds no limit."""
        return bool((self._totals(choice, range(len(choice)))[0] <= FULL).all())

    def improved(self, choice: Sequence[int], *, pairs: bool) -> list[int]:
        """A choice that no exchange of one option, or with pairs of two, makes better. Deterministic."""
        best, worth = list(choice), self.worth(choice)
        for _ in range(MOST_ROUNDS):
            found, found_worth = self._best_single(best)
            if pairs and found_worth <= worth + _grain(worth):
                found, found_worth = self._best_pair(best)
            if found_worth <= worth + _grain(worth):
                break
            best, worth = found, found_worth
        return best

    def _best_single(self, choice: list[int]) -> tuple[list[int], float]:
        found, best = choice, -np.inf
        for place in range(len(choice)):
            others = [number for number in range(len(choice)) if number != place]
            worth_O = self._worth_O([choice[number] for number in others], others, place)
            option = int(np.argmax(worth_O))
            if worth_O[option] > best:
                found, best = [*choice[:place], option, *choice[place + 1 :]], float(worth_O[option])
        return found, best

    def _best_pair(self, choice: list[int]) -> tuple[list[int], float]:
        found, best = choice, -np.inf
        for one, two in combinations(range(len(choice)), 2):
            others = [number for number in range(len(choice)) if number not in (one, two)]
            left, right = self.stages[one], self.stages[two]
            used_D, penalty, factor, load_s = self._totals([choice[number] for number in others], others)
            used_OPD = used_D + left.use_OD[:, None, :] + right.use_OD[None, :, :]
            worth_OP = self._judged(
                used_OPD, penalty + left.penalty_O[:, None] + right.penalty_O,
                factor * left.factor_O[:, None] * right.factor_O,
                np.maximum(load_s, np.maximum(left.load_s_O[:, None], right.load_s_O)),
            )  # fmt: skip
            place = int(np.argmax(worth_OP))
            if worth_OP.flat[place] > best:
                found, best = list(choice), float(worth_OP.flat[place])
                found[one], found[two] = divmod(place, len(right.penalty_O))
        return found, best

    def _worth_O(self, chosen: Sequence[int], others: Sequence[int], place: int) -> Floats:
        """What the choice is worth with each option of one stage."""
        options = self.stages[place]
        used_D, penalty, factor, load_s = self._totals(chosen, others)
        return self._judged(
            used_D + options.use_OD, penalty + options.penalty_O, factor * options.factor_O,
            np.maximum(load_s, options.load_s_O),
        )  # fmt: skip

    def _totals(self, chosen: Sequence[int], others: Sequence[int]) -> tuple[Floats, float, float, float]:
        used_D, penalty, factor, load_s = np.zeros(self.stages[0].use_OD.shape[1]), 0.0, 1.0, 0.0
        for number, option in zip(others, chosen, strict=True):
            options = self.stages[number]
            used_D = used_D + options.use_OD[option]
            penalty += float(options.penalty_O[option])
            factor *= float(options.factor_O[option])
            load_s = max(load_s, float(options.load_s_O[option]))
        return used_D, penalty, factor, load_s

    def _judged(self, used: Floats, penalty: Floats, factor: Floats, load_s: Floats) -> Floats:
        excess = np.minimum(np.maximum(used - FULL, 0.0), 1e6).sum(axis=-1)
        return np.asarray(self.weight * factor - penalty - self.loading_weight * load_s - EXCESS * excess)


def fastest(stages: Sequence[StageOptions]) -> list[int]:
    """The option of each stage whose scarcest resource it uses least."""
    return [
        int(np.argmin(options.use_OD.max(axis=1))) if options.use_OD.shape[1] else int(np.argmin(options.penalty_O))
        for options in stages
    ]


def _grain(worth: float) -> float:
    """Improvements below rounding do not count."""
    return 1e-13 * max(1.0, abs(worth))
