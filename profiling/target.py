"""What can be measured: anything made of stages and heads, and where a fresh process finds it.

Axes: K exits, shallow to deep; stage k leads from exit k-1 to exit k, head k answers at exit k.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import ModelSpec


class Target(Protocol):
    """A model with K exits, on its device and ready to answer.

    `state` is whatever one stage hands to the next; a call must not change the state it is given,
    because every part is timed many times on the same input. Logits have shape (batch, classes).
    """

    spec: ModelSpec

    def example(self, batch: int) -> Any:
        """The input of stage 0 for a batch."""
        ...

    def run_stage(self, k: int, state: Any) -> Any:
        """The state after stage k."""
        ...

    def run_head(self, k: int, state: Any) -> Any:
        """The logits of exit k, from the state after stage k."""
        ...

    def ask_head(self, k: int, state: Any) -> Any:
        """How sure exit k is of each row, read out of the device: what a policy waits for."""
        ...

    def run_whole(self, state: Any) -> Any:
        """The logits of the last exit: all K stages and head K-1, no early head."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSource:
    """A function that builds a Target, named so that a fresh process can import and call it.

    factory: `package.module:function`, called with the arguments and the keyword `device`.
    arguments: plain data that JSON can carry.
    identity: short hash of how the model is built. A measured point carries it as its spec_digest, and a
    point of another identity is measured again. By default it hashes factory and arguments; give one
    where a file behind an argument (fitted heads) changes what is built.
    Raises InputError if the factory is not of that form or an argument is not plain data.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""

    def __post_init__(self) -> None:
        module, _, function = self.factory.partition(":")
        if not module or not function.isidentifier():
            raise InputError(f"{self.factory!r} names no function", remedy="write it like package.module:function")
        try:
            text = json.dumps([self.factory, dict(self.arguments)], sort_keys=True)
        except TypeError as error:
            raise InputError(
                f"the arguments of {self.factory} are not plain data: {error}", remedy="use numbers, strings and lists"
            ) from None
        if not self.identity:
            object.__setattr__(self, "identity", hashlib.sha256(text.encode()).hexdigest()[:12])
