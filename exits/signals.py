"""What a head's logits say to a policy: how sure it is, how decided, and which class it names.

Few logits are read out and reduced in plain Python, which costs less than the three calls of torch that it saves; many
stay on the device. Everything is in double precision.

Axes: B rows, V classes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ttamer.profiles.errors import InputError

FEW_LOGITS = 128  # up to here plain Python is faster
NO_NUMBER, CHECK = "a head answers with NaN or infinity", "check the weights, the heads and the input"
LARGEST_EXPONENT = 700.0  # e^700 and e^-700 are ordinary double-precision numbers


def confidences(logits_BV: Tensor) -> list[float]:
    """The largest softmax probability of each row. Raises InputError on NaN or infinity."""
    if logits_BV.numel() <= FEW_LOGITS and not logits_BV.is_cuda:
        found = [_confidence(row) for row in logits_BV.tolist()]
    else:
        found = torch.softmax(logits_BV, dim=1, dtype=torch.float64).amax(dim=1).tolist()
    total = found[0] if len(found) == 1 else sum(found)
    if total != total:  # NaN alone; the quickest of ways to ask
        raise InputError(NO_NUMBER, remedy=CHECK)
    return found


def decidedness(logits_BV: Tensor) -> list[float]:
    """The negative entropy of each row's softmax, in nats. Raises InputError on NaN or infinity."""
    if is_read_out(logits_BV):
        found = [_decidedness(row) for row in logits_BV.tolist()]
    else:
        log_BV = torch.log_softmax(logits_BV, dim=1, dtype=torch.float64)
        found = (log_BV.exp() * log_BV).sum(dim=1).tolist()
    return _numbers(found)


def classes(logits_BV: Tensor) -> list[int]:
    """The class of each row's highest logit, the first of equals. Raises InputError on NaN or infinity."""
    if is_read_out(logits_BV):
        rows = logits_BV.tolist()
        _numbers([sum(row) for row in rows])
        return [row.index(max(row)) for row in rows]
    _numbers([float(logits_BV.sum(dtype=torch.float64))])
    highest: list[int] = logits_BV.argmax(dim=1).tolist()
    return highest


def is_read_out(logits_BV: Tensor) -> bool:
    """Whether there are so few logits that plain Python is faster."""
    return logits_BV.numel() <= FEW_LOGITS and not logits_BV.is_cuda


def _confidence(logits: list[float]) -> float:
    if len(logits) == 2:
        lead = abs(logits[0] - logits[1])
        return 1 / (1 + math.exp(-lead)) if lead < LARGEST_EXPONENT else lead - lead + 1  # NaN and infinity stay
    highest = max(logits)
    if -LARGEST_EXPONENT < highest < LARGEST_EXPONENT:
        return math.exp(highest) / sum(map(math.exp, logits))
    return 1 / sum(math.exp(logit - highest) for logit in logits)


def _decidedness(logits: list[float]) -> float:
    highest = max(logits)
    below = [logit - highest for logit in logits]
    weights = [math.exp(gap) for gap in below]
    total = sum(weights)
    return sum(map(float.__mul__, below, weights)) / total - math.log(total)


def _numbers(found: Sequence[float]) -> list[float]:
    if not math.isfinite(sum(found)):
        raise InputError(NO_NUMBER, remedy=CHECK)
    return list(found)
