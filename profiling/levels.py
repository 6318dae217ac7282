"""The level of the reference kernel: the time at which all points of a profile are stated.

A machine that its neighbours slow down runs everything slower for minutes, a whole sweep long. So the level is not
taken anew by every sweep: it is the one the profile has, else that of the oldest profile beside it which was measured
on the same machine with the same torch, so that two profiles can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttamer.profiles.documents import load_yaml
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.profile import Machine, PointKey, Profile
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.visits import Visit, reference_level_s

Levels = Mapping[str, float]
SAME = 0.15  # relative: a level further off is of another state of the machine, and is not taken over


def level_name(device: str, cores: int) -> str:
    """The name of a level in a profile's settings.

    >>> level_name("cpu", 2)
    'cpu/2'
    """
    return f"{device}/{cores}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Levels by device and cores. lasting: those that later sweeps take over; others saw a disturbed kernel alone."""

    levels: Levels
    lasting: Levels

    def of(self, key: PointKey) -> float:
        """The level of a point."""
        return self.levels[level_name(key.device, key.cores)]


def choose_levels(
    visits: Sequence[Visit], profile: Profile | None, folder: Path, machine: Machine, torch: object
) -> Chosen:
    """The level of every device and core count visited, and of those that the profile knows."""
    lasting = dict(profile.settings.get("reference_s", {})) if profile else {}
    elsewhere = levels_beside(folder, machine, torch)
    passing: dict[str, float] = {}
    for name in dict.fromkeys(_name(visit) for visit in visits):
        some = [visit for visit in visits if _name(visit) == name]
        quiet = [visit for visit in some if not visit.is_contended]
        own_s = reference_level_s(quiet or some)
        other_s = elsewhere.get(name, own_s)
        if quiet:
            lasting.setdefault(name, other_s if abs(other_s / own_s - 1) <= SAME else own_s)
        passing[name] = lasting.get(name, own_s)
    return Chosen(levels=lasting | passing, lasting=lasting)


def levels_beside(folder: Path, machine: Machine, torch: object) -> dict[str, float]:
    """The levels of the oldest other profiles on the shelf that this machine measured with this torch."""
    found: list[tuple[str, Mapping[str, float]]] = []
    for path in sorted(folder.parent.glob("*/profile.yaml")):
        if path.parent != folder:
            found += _levels_in(path, machine, torch)
    levels: dict[str, float] = {}
    for _, some in sorted(found, key=lambda one: one[0], reverse=True):
        levels |= some
    return levels


def _levels_in(path: Path, machine: Machine, torch: object) -> list[tuple[str, Mapping[str, float]]]:
    try:
        header = load_yaml(path)
        measured, settings = header["machine"], header["settings"]
        if measured["fingerprint"] != machine.fingerprint or measured["facts"].get("torch") != torch:
            return []
        if settings.get("protocol") != PROTOCOL:
            return []
        return [(str(header["created"]), {name: float(level) for name, level in settings["reference_s"].items()})]
    except (DocumentError, KeyError, TypeError, ValueError, AttributeError):
        return []  # somebody else's file: this sweep does without it


def _name(visit: Visit) -> str:
    return level_name(visit.key.device, visit.key.cores)
