"""The clock that plans are made for: the timeout runs from the arrival of the oldest request, come what may.

>>> IDEAL([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=3.0)  # a timeout that ran out in the queue is over
(5.0, 2)
"""

from ttamer.planning.simulation.filling import Clock

IDEAL = Clock(from_pickup=False, held_s=float)
