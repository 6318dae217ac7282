"""How many threads torch should use for small work."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_if(small: bool) -> Iterator[None]:
    """Let torch use one thread inside the block if the work is small.

    Threads of a team wait for each other in a loop after every operation: where another program holds one of the
    cores, small operations on two threads were measured to take ten times as long as on one.
    """
    before = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
