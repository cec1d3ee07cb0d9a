"""Mixup: training on convex combinations of pairs of images and of their labels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data.blocks import Block
from dbn.random.streams import Generators


def mix(block: Block, alpha: float, n_classes: int, generators: Generators) -> Block:
    r"""A block whose images are mixed with others of their minibatch, with class probabilities as labels.

    .. math:: \tilde x = \lambda x_i + (1 - \lambda) x_j, \qquad \tilde y = \lambda y_i + (1 - \lambda) y_j

    Each minibatch has one :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`, and :math:`j` from a random permutation
    of its images; of several processes, each mixes its own share. Cross-entropy is linear in the label, so that the
    loss is the mixture of the losses, each with its image's weight where images have some: these are then factors of
    the labels. All is drawn at once on the block's device.

    Args:
        block: features ``(n, n_features)`` and labels ``(n,)``; in a group both with the members as first dimension.
        alpha: of the beta distribution; small values leave most images nearly unmixed.
        n_classes: number of classes.
        generators: source of randomness on the block's device; in a group one for each member.

    Returns:
        The block with features of the same shape and labels ``(n, n_classes)``.

    References:
        Zhang, Cisse, Dauphin & Lopez-Paz (2018), *mixup: beyond empirical risk minimization*, ICLR, equation 1.
    """
    features, labels = block.features, block.labels
    assert labels is not None
    lengths = torch.tensor(block.lengths, device=features.device)
    if not isinstance(generators, Sequence):
        return block.holding(*_mixed(features, labels, block.weights, lengths, alpha, n_classes, generators))
    weights = [None] * len(features) if block.weights is None else block.weights
    mixed = [
        _mixed(own, classes, factors, lengths, alpha, n_classes, generator)
        for own, classes, factors, generator in zip(features, labels, weights, generators, strict=True)
    ]
    return block.holding(*map(torch.stack, zip(*mixed, strict=True)))


def _mixed(
    features: Tensor, labels: Tensor, weights: Tensor | None, lengths: Tensor, alpha: float, n_classes: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Features and class probabilities of one model's block."""
    n, device = len(features), features.device
    shares = draw_shares(alpha, len(lengths), generator).to(features)
    share = shares.repeat_interleave(lengths, output_size=n).unsqueeze(1)
    minibatch = torch.arange(len(lengths), device=device).repeat_interleave(lengths, output_size=n)
    keys = minibatch + torch.rand(n, generator=generator, device=device, dtype=torch.float64)
    partner = keys.argsort()  # a permutation of each minibatch's images among themselves
    targets = F.one_hot(labels, n_classes).to(features)
    if weights is not None:
        targets *= weights.unsqueeze(1)
    return torch.lerp(features[partner], features, share), torch.lerp(targets[partner], targets, share)


def draw_shares(alpha: float, n: int, generator: torch.Generator) -> Tensor:
    r""":math:`\lambda` of ``n`` minibatches, ``(n,)`` float64: a beta variable is a gamma's share of the sum of two."""
    gammas = torch.full((2, n), alpha, dtype=torch.float64, device=generator.device)
    gammas = torch._standard_gamma(gammas, generator=generator)
    return gammas[0] / gammas.sum(0)
