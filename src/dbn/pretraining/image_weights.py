"""Weights of a minibatch's images in the gradient of an RBM."""

import torch
from torch import Tensor

from dbn.fitting.processes import sum_over_all
from dbn.models.phases import ImageWeights
from dbn.samplers import Sampler


def image_weights(weights: Tensor, sampler: Sampler, count: int | None, dtype: torch.dtype) -> ImageWeights:
    """Weights of a minibatch's images and of the sampler's chains, for :meth:`dbn.models.phases.Phases.weights`.

    A minibatch's gradient is that of its weighted log-likelihood, in which the model's term counts as often as all
    images together. Chains that belong to no image share that equally.

    Args:
        weights: of the images in this process, ``(batch,)``, in a group ``(members, batch)``.
        sampler: of the negative phase.
        count: images in the minibatch over all processes; None: ``batch``.
        dtype: of the gradient.
    """
    values = weights.to(dtype)
    if sampler.chains_of_images:
        return ImageWeights(values)
    (total,) = sum_over_all(values.sum(-1, keepdim=values.dim() > 1))
    return ImageWeights(values, total / (count or values.shape[-1]))
