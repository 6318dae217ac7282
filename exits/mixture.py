"""Two policies, one or the other by request: the best there is under a constraint on a mean.

Between two neighbours on a frontier lies what neither reaches alone. Which one serves a request is decided by a hash of
its sample number, so that the same request is always served alike. It is no plug-in: it is made by choosing among the
others, and whoever serves it must number the requests.

Axes: N samples, K exits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.parameters import number, require_names
from ttamer.exits.policies import POLICIES
from ttamer.exits.policies.protocol import Decision, ExitCosts, Policy
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints
from ttamer.profiles.registry import lookup

SHARES = (0.25, 0.5, 0.75)
MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # of SplitMix64
WORD = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The first policy for about `share` of the samples, the second for the others.

    Raises InputError unless the share lies within 0 and 1.
    """

    first: Policy
    second: Policy
    share: float

    kind: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"{self.kind} with a share of {self.share}", remedy="allowed: 0 to 1")

    def params(self) -> dict[str, Any]:
        """Both policies and the share of the first."""
        return {"first": _plain(self.first), "second": _plain(self.second), "share": self.share}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The mixture of these policies. Raises InputError on a missing or impossible parameter."""
        require_names(params, ("first", "second", "share"), cls.kind)
        return cls(
            first=_policy(params["first"], cls.kind),
            second=_policy(params["second"], cls.kind),
            share=number(params, "share", cls.kind),
        )

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The heads that either policy evaluates."""
        return np.asarray(self.first.heads_K(exits) | self.second.heads_K(exits))

    def decide(self, records: ExitRecords) -> Decision:
        """What its own policy decides for each sample."""
        one, other = self.first.decide(records), self.second.decide(records)
        takes_N = drawn_N(records.sample_N) < self.share
        heads_NK = [
            decision.heads_NK(policy.heads_K(records.exits))
            for decision, policy in ((one, self.first), (other, self.second))
        ]
        return Decision(
            np.where(takes_N, one.stop_N, other.stop_N),
            np.where(takes_N, one.answer_N, other.answer_N),
            np.where(takes_N[:, np.newaxis], *heads_NK),
        )

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """Each threshold with the next one at several shares; better mixtures come from `exits/choosing.py`."""
        settings = ConfidenceThreshold.family(calibration, costs)
        pairs = [(a, b) for a, b in pairwise(settings) if a.heads == b.heads]
        return [cls(first=a, second=b, share=share) for a, b in pairs for share in SHARES]


def drawn_N(sample_N: Ints) -> Floats:
    """A number in [0, 1) for each sample, even over all samples and always the same for one.

    Source: the finalizer of SplitMix64, Steele, Lea and Flood (2014).
    """
    mixed_N = sample_N.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in MIXERS:
        mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * np.uint64(factor)
    mixed_N ^= mixed_N >> np.uint64(31)
    return np.asarray((mixed_N >> np.uint64(11)) * 2.0**-53)


def drawn(sample: int) -> float:
    """The same for one sample, in plain numbers: a served request comes alone.

    >>> bool(drawn(7) == drawn_N(np.array([7]))[0])
    True
    """
    mixed = (sample + 0x9E3779B97F4A7C15) & WORD
    for shift, factor in MIXERS:
        mixed = (mixed ^ (mixed >> shift)) * factor & WORD
    return ((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53


def _plain(policy: Policy) -> dict[str, Any]:
    return {"kind": policy.kind, "params": policy.params()}


def _policy(plain: Any, kind: str) -> Policy:
    if not isinstance(plain, Mapping) or not {"kind", "params"} <= plain.keys():
        raise InputError(f"{kind} of {plain!r}", remedy="give kind and params of both policies")
    return lookup(POLICIES, str(plain["kind"]), "exit policy").from_params(plain["params"])


# Every kind that a plan may name.
KINDS: dict[str, type[Policy]] = {**POLICIES, Mixture.kind: Mixture}
