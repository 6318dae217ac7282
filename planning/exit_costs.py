"""What stages and heads of a measured model cost at every batch size.

Axes: K exits.
"""

import numpy as np

from ttamer.exits.policies.protocol import ExitCosts
from ttamer.planning.model_choice import profiling
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import Floats


def costs_by_batch(profile: Profile, model: str, device: str) -> dict[int, ExitCosts]:
    """Mean seconds of every stage and head at each batch size at which all were measured, on the most cores.

    Raises InputError if there is none, and for a cascade: there is no plain model that its heads are ramps of.
    """
    if len(profile.members(model)) > 1:
        raise InputError(f"{model!r} is a cascade, not one model with ramps", remedy="name one of its models")
    exits = range(len(profile.spec(model).exits))
    cores = max((setting[1] for setting in profile.settings_of(model) if setting[0] == device), default=0)
    parts = [(part, exit) for part in ("stage", "head") for exit in exits]
    measured = [set(profile.batches(model, part, exit, device=device, cores=cores)) for part, exit in parts]
    sizes = sorted(set.intersection(*measured))
    if not sizes or profile.is_imported(model):
        raise InputError(
            f"stages and heads of {model!r} were not measured on {device}",
            remedy=f"run: {profiling(profile, [model], device)}",
        )

    def seconds_K(part: str, size: int) -> Floats:
        points = [profile.point(model, part, exit, device=device, cores=cores, batch=size) for exit in exits]
        return np.array([point.samples.mean_s() for point in points])

    return {size: ExitCosts(seconds_K("stage", size), seconds_K("head", size)) for size in sizes}
