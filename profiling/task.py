"""What one measuring process is asked for: one model at one core count, group by group."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The request that goes to a measuring process on its standard input.

    cpus: those the process binds itself to; threads: of its numeric libraries. budget: fields of a Budget.
    groups: (batch, parts to leave out because they are measured already), by ascending batch.
    measure: `parts` of a Target, a `workload` as a whole, or a Target's whole `steady`, until the process is ended.
    """

    model: str
    factory: str
    arguments: Mapping[str, Any]
    identity: str
    device: str
    cores: int
    cpus: tuple[int, ...]
    threads: int
    budget: Mapping[str, Any]
    groups: tuple[tuple[int, tuple[tuple[str, int], ...]], ...]
    measure: str = "parts"

    def to_json(self) -> str:
        """The task as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The task in a line."""
        fields = json.loads(line)
        groups = tuple((batch, tuple((part, exit) for part, exit in done)) for batch, done in fields["groups"])
        return cls(**{**fields, "cpus": tuple(fields["cpus"]), "groups": groups})
