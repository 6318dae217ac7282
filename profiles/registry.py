"""Finding a plug-in or a model by name, and saying which name was probably meant."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os.path import commonprefix
from typing import TypeVar

from ttamer.profiles.errors import InputError

T = TypeVar("T")


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str = "", also: str = "") -> InputError:
    """The error for a name that is not known, with the nearest one that is.

    where: follows the name, as in ` for 'resnet20'`; also: what else may be given, as in `, or a path`.
    """
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    nearest = max(close, key=lambda one: len(commonprefix([one, name.lower()])), default=None)  # noqa: RUF071 - names, no paths
    meant = f"did you mean {nearest!r}? " if nearest else ""
    return InputError(f"unknown {kind} {name!r}{where}", remedy=f"{meant}known: {', '.join(names)}{also}")


def lookup(registry: Mapping[str, T], name: str, kind: str) -> T:
    """The entry of a registry. Raises InputError that names the nearest known one.

    >>> lookup({"poisson": 1}, "poisson", "arrival process")
    1
    """
    if name not in registry:
        raise unknown_name(kind, name, registry)
    return registry[name]
