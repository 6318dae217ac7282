"""The reference kernel: a fixed piece of work timed beside every sample, whose drift is divided out of it.

On a shared machine the clock itself drifts by 10 % within seconds. What was measured over the reference beside it
repeats four times better (cv of the median of 20 samples: 1.5 % instead of 7-9 %). The kernel computes and moves
memory, about as a model does that reads its weights once: computing alone left whole runs 4-7 % apart that were
3-4 % apart with both (ResNet-18 and BERT-mini at batch 1, one core, a machine with busy neighbours).
"""

from collections.abc import Callable

import torch

REPEATS = 4  # 4 products of 512 x 512 take 5-15 ms on one core, as long as a small model


def reference_kernel(device: str, size: int, moved_bytes: int) -> Callable[[], object]:
    """A call that multiplies two square float32 matrices REPEATS times and copies memory, into memory of its own."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(size, size, generator=generator).to(device) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.zeros(moved_bytes // 4, device=device)
    target = torch.empty_like(source)

    def multiply_and_copy() -> None:
        for _ in range(REPEATS):
            torch.mm(left, right, out=product)
        target.copy_(source)

    return multiply_and_copy
