"""The reference kernel: a fixed piece of work timed beside every sample.

On a shared machine the clock itself drifts by 10 % within seconds. What was measured over the reference
beside it repeats four times better (cv of the median of 20 samples: 1.5 % instead of 7-9 %).
"""

from collections.abc import Callable

import torch

REPEATS = 4  # 4 products of 512 x 512 take 5-15 ms on one core, as long as a small model


def reference_kernel(device: str, size: int) -> Callable[[], object]:
    """A call that multiplies two square float32 matrices REPEATS times, into memory of its own."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(size, size, generator=generator).to(device) for _ in range(2))
    product = torch.empty_like(left)

    def multiply() -> None:
        for _ in range(REPEATS):
            torch.mm(left, right, out=product)

    return multiply
