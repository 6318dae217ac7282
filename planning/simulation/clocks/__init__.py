"""Batching clocks by the name of their server: when the time is up that a batch may wait to fill.

The same plan behaves differently on each, because the servers count its batch timeout from different moments.
"""

from collections.abc import Mapping

from ttamer.planning.simulation.clocks.ideal import IDEAL
from ttamer.planning.simulation.clocks.kserve import KSERVE
from ttamer.planning.simulation.clocks.ray_serve import RAY_SERVE
from ttamer.planning.simulation.clocks.triton import TRITON
from ttamer.planning.simulation.filling import Clock

CLOCKS: Mapping[str, Clock] = {
    "ideal": IDEAL,
    "ray-serve": RAY_SERVE,
    "triton": TRITON,
    "kserve": KSERVE,
}
