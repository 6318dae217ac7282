"""Choices for the first stages of a pipeline, as arrays: the labels of a search.

Axes: N labels, D resources.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.options import StageOptions
from ttamer.profiles.records import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class PartialChoices:
    """What N choices for the first stages use, lose, multiply to and load."""

    used_ND: Floats
    penalty_N: Floats
    factor_N: Floats
    load_s_N: Floats

    @classmethod
    def start(cls, resources: int, count: int = 1) -> "PartialChoices":
        """So many labels before any stage."""
        return cls(np.zeros((count, resources)), np.zeros(count), np.ones(count), np.zeros(count))

    def grown(self, options: StageOptions) -> tuple["PartialChoices", Ints, Ints]:
        """Each label with each option, the label's number and the option's."""
        count = len(options.penalty_O)
        parent_N = np.repeat(np.arange(len(self.penalty_N)), count)
        option_N = np.tile(np.arange(count), len(self.penalty_N))
        used_ND = (self.used_ND[:, None, :] + options.use_OD[None, :, :]).reshape(len(parent_N), -1)
        penalty_N = (self.penalty_N[:, None] + options.penalty_O).ravel()
        factor_N = (self.factor_N[:, None] * options.factor_O).ravel()
        load_s_N = np.maximum(self.load_s_N[:, None], options.load_s_O).ravel()
        return PartialChoices(used_ND, penalty_N, factor_N, load_s_N), parent_N, option_N

    def extended(self, options: StageOptions, option_N: Ints) -> "PartialChoices":
        """Each label with one option of its own."""
        return PartialChoices(
            self.used_ND + options.use_OD[option_N], self.penalty_N + options.penalty_O[option_N],
            self.factor_N * options.factor_O[option_N], np.maximum(self.load_s_N, options.load_s_O[option_N]),
        )  # fmt: skip

    @classmethod
    def together(cls, parts: Sequence["PartialChoices"]) -> "PartialChoices":
        """The labels of all parts."""
        return cls(
            np.concatenate([part.used_ND for part in parts]), np.concatenate([part.penalty_N for part in parts]),
            np.concatenate([part.factor_N for part in parts]), np.concatenate([part.load_s_N for part in parts]),
        )  # fmt: skip

    def chosen(self, kept: Ints) -> "PartialChoices":
        """Some of the labels."""
        return PartialChoices(self.used_ND[kept], self.penalty_N[kept], self.factor_N[kept], self.load_s_N[kept])
