"""Change of the weights of each layer by fine-tuning."""

from typing import Any

import torch

from finetune.networks.network import Network


@torch.no_grad()
def weight_changes(before: Network, after: Network) -> list[dict[str, Any]]:
    """Compare the weights (without biases) of a network before and after training, layer by layer.

    Args:
        before: the network with its initial weights.
        after: the trained network.

    Returns:
        For each layer: ``layer``, its number from 1; ``change``, the Frobenius norm of the difference divided by that
        of the initial weights; ``cosine`` of the angle between both; ``norm_start`` and ``norm_end``. ``change`` and
        ``cosine`` are None if a norm that they divide by is zero.
    """
    rows = []
    pairs = zip(before.layers, after.layers, strict=True)
    for number, (first, last) in enumerate(pairs, start=1):
        start, end = first.weight.double(), last.weight.double()
        norm_start, norm_end = float(start.norm()), float(end.norm())
        product = norm_start * norm_end
        rows.append(
            {
                "layer": number,
                "change": float((end - start).norm()) / norm_start if norm_start else None,
                "cosine": float((start * end).sum()) / product if product else None,
                "norm_start": norm_start,
                "norm_end": norm_end,
            }
        )
    return rows
