"""The laws of many servers as arrays, to ask all their capacities at once.

Axes: N servers, T tilts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.queueing import SERVICE_SHARE, ServiceLaw
from ttamer.profiles.records import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawTable:
    """What `queueing.capacity_rps` needs of each law. stable_NT: the rate up to which each tilt's bound holds."""

    answer_s_N: Floats
    is_single_N: np.ndarray
    tilt_NT: Floats
    stable_NT: Floats
    lone_s_N: Floats
    busy_tail_NT: Floats
    excess_NT: Floats

    def capacity_N(self, slo_s: float) -> Floats:
        """`queueing.capacity_rps` of every law under this SLO."""
        capacity_N = np.zeros(len(self.answer_s_N))
        able = self.answer_s_N <= slo_s
        room_NT = self.tilt_NT[able] * slo_s - self.excess_NT[able]
        busy_room_NT = room_NT - self.busy_tail_NT[able]
        tail_NT = np.where(
            busy_room_NT >= 0, np.inf, np.exp(np.minimum(busy_room_NT, 0.0)) / self.lone_s_N[able, None]
        )  # fmt: skip
        tail_NT = np.where((room_NT >= 0) & self.is_single_N[able, None], np.inf, tail_NT)
        capacity_N[able] = np.minimum(self.stable_NT[able], tail_NT).max(axis=1, initial=0.0)
        return capacity_N


def make_law_table(laws: Sequence[ServiceLaw]) -> LawTable:
    """The laws as arrays; all of as many tilts."""
    tilt_NT = np.stack([law.tilt_T for law in laws])
    busy_NT = np.stack([law.busy_cumulant_T for law in laws])
    batch_N = np.array([law.batch for law in laws])
    with np.errstate(over="ignore"):  # an infinite one bounds the rate by zero
        stable_NT = tilt_NT / np.expm1(busy_NT / batch_N[:, None])
    log_queue_share_N = np.log([(1 - law.quantile) * (1 - SERVICE_SHARE) for law in laws])
    return LawTable(
        answer_s_N=np.array([law.answer_s for law in laws]),
        is_single_N=batch_N == 1,
        tilt_NT=tilt_NT,
        stable_NT=stable_NT,
        lone_s_N=np.array([law.lone_s for law in laws]),
        busy_tail_NT=np.stack([law.busy_tail_T for law in laws]),
        excess_NT=np.stack([law.answer_cumulant_T for law in laws]) - log_queue_share_N[:, None],
    )
