"""Inference mode that costs nothing to enter where it is on already."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def inferring(call: Callable[P, T]) -> Callable[P, T]:
    """The call in inference mode.

    torch's own decorator takes as long as half a small head, also inside of inference mode, and a model that exits
    makes such a call for every stage and head.
    """

    @wraps(call)
    def infer(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.is_inference_mode_enabled():
            return call(*args, **kwargs)
        with torch.inference_mode():
            return call(*args, **kwargs)

    return infer
