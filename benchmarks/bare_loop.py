"""The plainest torch training loop, which our fine-tuning is measured beside."""

from collections.abc import Callable
from typing import Any


def bare_loop(net: Any, X: Any, y: Any, batch: int) -> Callable[[], int]:
    """A pass through ``X`` with labels ``y``: cross-entropy, torch's fused SGD with Nesterov's momentum."""
    import torch
    from torch.nn import functional as F

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)

    def work() -> int:
        for x, target in zip(X.split(batch), y.split(batch), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(net(x), target).backward()
            optimizer.step()
        return len(X)

    return work
