"""Ray Serve: the timeout runs from the moment at which the free replica takes the first request of a batch.

A request may so wait for a whole batch and then for the timeout: `@serve.batch` runs one batch at a time
(max_concurrent_batches=1), and `wait_for_batch` starts its clock when it has taken the first request out of the queue.
Source: ray, python/ray/serve/batching.py.

>>> RAY_SERVE([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=3.0)
(8.0, 2)
"""

from ttamer.planning.simulation.filling import Clock

RAY_SERVE = Clock(from_pickup=True, held_s=float)
