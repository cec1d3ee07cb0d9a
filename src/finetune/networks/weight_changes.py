"""How far fine-tuning moves the weights of each layer."""

from typing import Any

import torch

from finetune.networks.network import Network


@torch.no_grad()
def weight_changes(before: Network, after: Network) -> list[dict[str, Any]]:
    """Weights (without biases) of two states of one network compared, layer by layer.

    Args:
        before: with its starting weights.
        after: trained.

    Returns:
        For each layer ``layer`` (from 1), ``change``: the Frobenius norm of the difference over that of the starting
        weights, ``cosine`` of the angle between the two, ``norm_start`` and ``norm_end``. ``change`` is None where the
        layer starts at zero, ``cosine`` where it starts or ends there.
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
