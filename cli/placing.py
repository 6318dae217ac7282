"""Where a plan says its profile lies: relative to the plan's own file, so that both can move together."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ttamer.profiles.plan import Plan


def placed(plan: "Plan", profile: Path, file: Path) -> "Plan":
    """The plan with the path of its profile's folder as seen from the file it will be written to."""
    reference = plan.profile.model_copy(update={"path": _from(file.parent, profile)})
    return plan.model_copy(update={"profile": reference})


def profile_of(plan: "Plan", file: Path) -> Path:
    """The folder of the profile named in a plan that was read from this file; where it has gone, one of its name."""
    from ttamer.profiles.shelf import find_profile

    folder = Path(os.path.normpath(file.parent / plan.profile.path))
    namesake = find_profile(plan.profile.name)
    return folder if (folder / "profile.yaml").is_file() or not (namesake / "profile.yaml").is_file() else namesake


def refuse_overwriting(read: Iterable[Path], *files: Path) -> None:
    """Raise InputError if one of the files to be written is one that is read."""
    from ttamer.profiles.errors import InputError

    written = {file.resolve() for file in files}
    for file in read:
        if file.resolve() in written:
            raise InputError(f"this would overwrite {file}, which it reads", remedy="give another --out")


def refuse_unfit(out: Path, format: str, table: bool = False) -> None:
    """Raise InputError if what is to be written cannot lie there, before any time is spent on it.

    table: a Parquet table of the same name will lie beside it.
    """
    from ttamer.profiles.documents import spare
    from ttamer.profiles.errors import InputError

    if table and out.suffix == ".parquet":
        raise InputError(f"{out} is where the plan's table would lie", remedy=f"give {out.with_suffix('.yaml')}")
    spare(out, format)


def _from(start: Path, folder: Path) -> str:
    """The folder as seen from another one, with slashes; absolute where no relative path leads there."""
    try:
        relative = os.path.relpath(folder.resolve(), start.resolve())
    except ValueError:  # another drive
        return folder.resolve().as_posix()
    return Path(relative).as_posix()
