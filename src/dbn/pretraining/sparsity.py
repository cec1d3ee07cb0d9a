"""A target for how often hidden units are on."""

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM


class Sparsity:
    r"""Moves hidden biases towards a mean activation: adds :math:`\lambda (\bar h_j - \rho)` to their gradient.

    :math:`\bar h_j` is the mean of the unit over the minibatch, of a feature map over its positions, too. It is the
    derivative, by the bias, of the cross-entropy between :math:`\rho` and that mean, summed over units.

    Args:
        target: :math:`\rho`, in (0, 1).
        cost: :math:`\lambda`.

    References:
        Lee, Ekanadham & Ng (2008), *Sparse deep belief net model for visual area V2*, NIPS, who update the biases only;
        Hinton (2012), section 11, for the cross-entropy.
    """

    def __init__(self, target: float, cost: float) -> None:
        self.target = target
        self.cost = cost

    def check(self, rbm: RBM) -> None:
        """Refuse units that are not binary.

        Raises:
            SettingError: the hidden units are not in [0, 1], or have no bias of their own.
        """
        if rbm.hidden.interval != (0.0, 1.0) or not isinstance(rbm.hidden.bias, torch.nn.Parameter):
            raise SettingError(
                f"sparsity_target={self.target:g}: the hidden units are {rbm.hidden.value_type}, and only binary ones "
                "are on a fraction of the time. Use hidden=bernoulli, or sparsity_target=null."
            )

    def pull(self, rbm: RBM, mean: Tensor, share: float, weights: Tensor | None = None) -> Tensor:
        """What is added to the gradient of the hidden biases.

        Args:
            rbm: the model.
            mean: hidden means of the data ``(batch, n_hidden)``, in a group ``(members, batch, n_hidden)``.
            share: of the minibatch that this process has; those of all processes are added.
            weights: of the images ``(batch,)``, in a group ``(members, batch)``, whose mean activation is then the
                weighted one; the pull is in proportion to their sum, as the gradient is. None: 1 for all.

        Returns:
            Of the shape of the biases.
        """
        if weights is None:
            activation = mean.mean(-2, keepdim=True)
        else:
            each = (mean.to(weights) - self.target).mul_(weights.unsqueeze(-1))
            activation = each.mean(-2, keepdim=True).add_(self.target)
        if rbm.hidden.positions > 1:
            activation = activation.unflatten(-1, (rbm.hidden.positions, -1)).mean(-2)
        return activation.sub_(self.target).mul_(self.cost * share).view_as(rbm.hidden.bias)
