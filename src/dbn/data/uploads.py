"""Transfers to a GPU that the host does not wait for."""

import torch
from torch import Tensor


def pinned(x: Tensor, device: torch.device) -> Tensor:
    """``x``, in memory that a transfer to ``device`` reads without the host waiting."""
    return x.pin_memory() if device.type == "cuda" and x.device.type == "cpu" else x


def upload(x: Tensor, device: torch.device) -> Tensor:
    """``x`` on ``device``; work on the current stream finds it there, and the host does not wait."""
    return pinned(x, device).to(device, non_blocking=True)
