"""Batching clocks by the name of their server: when the time is up that a batch may wait to fill.

The same plan behaves differently on each, because the servers count its batch timeout from different moments.
"""

from collections.abc import Mapping

from ttamer.planning.simulation.clocks.ideal import ideal
from ttamer.planning.simulation.clocks.kserve import kserve
from ttamer.planning.simulation.clocks.ray_serve import ray_serve
from ttamer.planning.simulation.clocks.triton import triton
from ttamer.planning.simulation.filling import Clock

CLOCKS: Mapping[str, Clock] = {
    "ideal": ideal,
    "ray-serve": ray_serve,
    "triton": triton,
    "kserve": kserve,
}
