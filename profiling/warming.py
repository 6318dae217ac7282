"""Warming up: calling something until successive windows of calls agree on how long it takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ttamer.profiling.clock import TimeCalls

WINDOW_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """When a call is warm: `windows` in a row have medians within `agreement`, after at least `least_s`.

    most_s: seconds after which it counts as warm in any case, two calls being made.
    """

    windows: int
    agreement: float
    least_s: float
    most_s: float

    def within(self, measured_s: float, share: float) -> Self:
        """The same rule for something that is measured for so long, of which warming may take a share."""
        return replace(self, most_s=min(self.most_s, share * measured_s))


# Three windows within 5 %, half a second at least: the whole model warms weights, caches and threads for all parts.
WHOLE_MODEL = WarmUp(windows=3, agreement=0.05, least_s=0.5, most_s=3.0)
# In eager mode the second call of a part is within 1.0-1.5 x its median, later ones are at it.
PART = WarmUp(windows=2, agreement=0.2, least_s=0.0, most_s=0.25)


def warm_up(call: Callable[[], object], time_calls: TimeCalls, rule: WarmUp) -> float:
    """Seconds of a warm call: the median of the last window."""
    medians_s: list[float] = []
    spent_s, calls = 0.0, 0
    while True:
        window_s: list[float] = []
        while len(window_s) < WINDOW_CALLS and (calls < 2 or spent_s < rule.most_s):
            window_s.append(time_calls(call, 1).wall_s)
            spent_s, calls = spent_s + window_s[-1], calls + 1
        medians_s.append(float(np.median(window_s)) if len(window_s) == WINDOW_CALLS else min(window_s))
        recent_s = medians_s[-rule.windows :]
        agree = len(recent_s) == rule.windows and max(recent_s) <= (1 + rule.agreement) * min(recent_s)
        if spent_s >= rule.most_s or (agree and spent_s >= rule.least_s):
            return medians_s[-1]
