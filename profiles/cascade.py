"""Cascades: several models on the same samples, asked in a fixed order, with their exits numbered through.

A cascade is named by its members, `resnet20:resnet56`. Nothing is measured or recorded of a cascade itself: its stages
and heads are the members', and so are its records, joined by sample. What is left of one model goes to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats

if TYPE_CHECKING:
    from ttamer.profiles.profile import ModelSpec

SEPARATOR = ":"


def is_cascade(model: str) -> bool:
    """Whether this names several models.

    >>> is_cascade("resnet20:resnet56"), is_cascade("resnet20")
    (True, False)
    """
    return SEPARATOR in model


def members_of(model: str) -> tuple[str, ...]:
    """The models of a cascade in order, a single model as itself. Raises InputError on a name that names one twice.

    >>> members_of("resnet20:resnet56")
    ('resnet20', 'resnet56')
    """
    members = tuple(model.split(SEPARATOR))
    if "" in members or len(set(members)) < len(members):
        raise InputError(f"{model!r} is no cascade", remedy="join different models by colons, like resnet20:resnet56")
    return members


@dataclass(frozen=True, slots=True)
class Numbering:
    """The exits of a cascade's members numbered through. sizes: how many exits each member has, in order."""

    sizes: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The first exit of each member.

        >>> Numbering((9, 27)).starts
        (0, 9)
        """
        return tuple(accumulate(self.sizes[:-1], initial=0))

    def place(self, exit: int) -> tuple[int, int]:
        """Which member an exit belongs to, and its number there.

        >>> Numbering((9, 27)).place(10)
        (1, 1)
        """
        member = sum(start <= exit for start in self.starts) - 1
        return member, exit - self.starts[member]


def join_specs(name: str, specs: Sequence["ModelSpec"]) -> "ModelSpec":
    """The specification of a cascade, its exits numbered through. Raises InputError on members that do not fit."""
    first = specs[0]
    for other in specs[1:]:
        if (other.classes, other.input_shape) != (first.classes, first.input_shape):
            raise InputError(
                f"{first.name!r} tells {first.classes} classes of inputs {first.input_shape} apart, {other.name!r} "
                f"{other.classes} of {other.input_shape}",
                remedy="join models that read the same samples",
            )
    exits = tuple(f"{spec.name}/{exit}" for spec in specs for exit in spec.exits)
    weights = ",".join(spec.digest() for spec in specs)
    return replace(first, name=name, family="cascade", exits=exits, weights=weights, source="", variant=())


def join_records(records: Sequence[ExitRecords]) -> ExitRecords:
    """The records of a cascade, from its members' records of the same samples, in the order of the first.

    Raises InputError unless all are of one split of one data set, with the same samples and labels.
    """
    first, *others = records
    if not others:
        return first
    aligned = [first, *(_aligned(other, first) for other in others)]
    return replace(
        first,
        model=SEPARATOR.join(one.model for one in records),
        prediction_NK=np.hstack([one.prediction_NK for one in aligned]),
        confidence_NK=np.hstack([one.confidence_NK for one in aligned]),
        margin_NK=_hstack([one.margin_NK for one in aligned]),
        entropy_NK=_hstack([one.entropy_NK for one in aligned]),
        starts=Numbering(tuple(one.exits for one in records)).starts,
    )


def _aligned(other: ExitRecords, first: ExitRecords) -> ExitRecords:
    what = f"the {first.split} records of {first.model!r} and {other.model!r}"
    remedy = "fit both models on the same data with the same seed"
    if (other.dataset, other.split) != (first.dataset, first.split):
        raise InputError(
            f"{what} are of {first.dataset} ({first.split}) and {other.dataset} ({other.split})", remedy=remedy
        )
    order_N = np.argsort(other.sample_N)
    place_N = order_N[np.searchsorted(other.sample_N, first.sample_N, sorter=order_N) % other.samples]
    different = int((other.sample_N[place_N] != first.sample_N).sum())
    if different or other.samples != first.samples:
        missing = max(different, abs(other.samples - first.samples))
        raise InputError(f"{what} are not of the same samples: {missing} are in one alone", remedy=remedy)
    if (other.label_N[place_N] != first.label_N).any():
        raise InputError(f"{what} number the classes differently", remedy=remedy)
    return other.taken(place_N)


def _hstack(arrays: Sequence[Floats | None]) -> Floats | None:
    known = [array for array in arrays if array is not None]
    return np.hstack(known) if len(known) == len(arrays) else None
