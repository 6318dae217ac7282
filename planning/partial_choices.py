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
    def start(cls, resources: int) -> "PartialChoices":
        """The one label before any stage."""
        return cls(np.zeros((1, resources)), np.zeros(1), np.ones(1), np.zeros(1))

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
