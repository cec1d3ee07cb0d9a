"""How many threads torch computes with: a small product is over before a second thread has begun."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALLEST_SHARED = 700_000
"""Multiplications in a product from which more threads than one pay.

Measured on an AMD EPYC (Zen 5) of two cores, whole steps of contrastive divergence: two threads take at 64 thousand 1.1
to 1.6 times as long as one, at 0.2 million 1 to 1.6 times, at 1 million 0.85 to 1.2 times, at 4 million 0.7 to 1.2
times; the larger figures at moments when the host gives both cores less.
"""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Within it torch computes with one thread if products are small, otherwise with as many as before.

    Args:
        multiplications: in the largest product.
    """
    before = torch.get_num_threads()
    if multiplications < SMALLEST_SHARED:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
