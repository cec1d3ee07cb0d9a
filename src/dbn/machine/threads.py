"""Number of torch's threads: small products are faster with a single one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALLEST_SHARED = 700_000
"""Multiplications in a product from which several threads are faster.

Measured on an AMD EPYC (Zen 5) of two cores, whole steps of contrastive divergence: two threads take at 64 thousand 1.1
to 1.6 times as long as one, at 0.2 million 1 to 1.6 times, at 1 million 0.85 to 1.2 times, at 4 million 0.7 to 1.2
times; the larger values when the host was busy.
"""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Context in which torch uses one thread if products are small.

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
