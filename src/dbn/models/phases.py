"""The two phases of an RBM's gradient: visible states with hidden fields and means, in reusable buffers."""

import torch
from torch import Tensor

from dbn.models.rbm import RBM


class Phase:
    """Visible states with the hidden units' field and means: one phase of the gradient.

    In a group all shapes have the members as first dimension, ``(members, batch, n)``.

    Attributes:
        v: visible states ``(batch, n_visible)``.
        field: hidden field ``(batch, n_hidden)``.
        mean: hidden means ``(batch, n_hidden)``.
        h: a buffer for hidden states ``(batch, n_hidden)``, for samplers.
    """

    __slots__ = ("field", "h", "mean", "v")

    def __init__(self, v: Tensor, field: Tensor, mean: Tensor, h: Tensor) -> None:
        self.v = v
        self.field = field
        self.mean = mean
        self.h = h

    def condition_on_visible(self, rbm: RBM) -> None:
        """Compute field and means of the hidden units from the visible states."""
        rbm.hidden_field(self.v, out=self.field)
        rbm.hidden.mean(self.field, out=self.mean)


class Phases:
    """Both phases of a minibatch, concatenated, in buffers that all steps reuse.

    In a group all shapes are ``(2, members, batch, n)`` instead of ``(2 * batch, n)``.

    Args:
        rbm: gives number of units, number of members in a group, dtype and device.
        batch: states per phase.

    Attributes:
        v: visible states ``(2 * batch, n_visible)``.
        field: hidden fields ``(2 * batch, n_hidden)``.
        mean: hidden means ``(2 * batch, n_hidden)``.
        positive: the first half of each.
        negative: the second half.
    """

    __slots__ = ("field", "mean", "negative", "positive", "v", "weights_by_count")

    def __init__(self, rbm: RBM, batch: int) -> None:
        new, members = rbm.weight.detach().new_empty, rbm.connection.members
        v, h = new(2, *members, batch, rbm.n_visible), new(*members, batch, rbm.n_hidden)
        field, mean = new(2, *h.shape), new(2, *h.shape)
        self.positive = Phase(v[0], field[0], mean[0], h)
        self.negative = Phase(v[1], field[1], mean[1], h)
        self.v, self.field, self.mean = (x if members else x.flatten(0, 1) for x in (v, field, mean))
        self.weights_by_count: dict[int | None, Tensor] = {}

    def weights(self, count: int | None = None) -> Tensor:
        """Weight of each state's ``-F(v)`` in the gradient: ``(2 * batch,)``, in a group ``(2, members, batch)``.

        Weights are ``-1/count`` in the positive phase, ``1/count`` in the negative one.

        Args:
            count: images in the minibatch over all processes, whose gradients are then added; default ``batch``.
        """
        weights = self.weights_by_count.get(count)
        if weights is None:
            scale = 1 / (count or self.positive.v.shape[-2])
            positive = self.v.new_full(self.positive.v.shape[:-1], scale)
            weights = self.weights_by_count[count] = torch.stack([-positive, positive]).view(self.v.shape[:-1])
        return weights

    def write_gradient(self, rbm: RBM, count: int | None = None) -> None:
        """Write the gradient of a minibatch, see :meth:`dbn.models.rbm.RBM.write_gradient`; overwrites ``mean``."""
        rbm.write_gradient(self.v, self.field, self.mean, self.weights(count))
