"""Training of a network that is a class RBM, discriminatively and generatively at once."""

from typing import ClassVar

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.models import flops
from dbn.models.free_energy import FreeEnergy
from dbn.models.units import Units
from dbn.random.noise import bernoulli
from dbn.random.streams import Source
from finetune.tasks.classifier import Classifier


class HybridClassifier(Classifier):
    r"""Trains a network whose last two layers are a class RBM by the hybrid objective.

    To the loss of the classes it adds :math:`-\alpha \log p(x, y)` of the class RBM, :math:`\alpha` being
    ``training.generative``, by the gradient of contrastive divergence (CD-1): hidden states given image and label, a
    reconstruction, and all labels of that summed out. What the layers below compute is data to this term, which does
    not train them. The logged loss is that of the classes.

    Args:
        *args: as for :class:`Classifier`.
        **kwargs: as for :class:`Classifier`.

    References:
        Larochelle & Bengio (2008), *Classification using discriminative restricted Boltzmann machines*, ICML, section
        5: 1.28 % on MNIST with 1500 hidden units, a learning rate of 0.05 and alpha = 0.01.
    """

    recordable: ClassVar[bool] = False
    """No test has recorded its steps as a CUDA graph."""

    noise: Source
    phases: tuple[Tensor, Tensor]

    def begin_block(self, block: Block) -> Block:
        """Open the stream of the chains as well."""
        block = super().begin_block(block)
        counters = (self.current_epoch, block.number, self.global_rank)
        self.noise = self.block_noise("gibbs", *counters, device=block.device)
        return block

    @property
    def output(self) -> FreeEnergy:
        """The output layer."""
        layer = self.network.layers[-1]
        assert isinstance(layer, FreeEnergy)
        return layer

    @property
    def visible(self) -> Units:
        """The class RBM's visible units."""
        assert self.output.visible is not None
        return self.output.visible

    def objective(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """Mean loss of the classes plus the weighted mean contrast, and the loss of each image."""
        assert batch.labels is not None
        *below, hidden, output = self.network.blocks
        x = batch.features
        for block in below:
            x = block(x)
        fields = hidden(x)
        logits = output(fields)
        losses = self.losses(logits, batch)
        if x.requires_grad or hidden.dropout.probability:
            x = x.detach()
            fields = hidden.layer(x)
            logits = output.layer(fields)
        contrast = batch.weighed(self.contrast(x, fields, logits, batch.labels))
        return (losses.sum() + self.settings.generative * contrast.sum()) / batch.count, losses

    def contrast(self, x: Tensor, fields: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """``F(x, y) - F(x')`` of each image and its reconstruction, without the energies of the visible units.

        Those have no part in the gradients of weights; see :meth:`add_gradients_of_loss`.

        Args:
            x: what the class RBM sees, ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            fields: of its hidden units, with their biases, ``(batch, n_hidden)``.
            logits: of the classes, ``(batch, n_classes)``.
            labels: ``(batch,)`` int64.
        """
        hidden, output = self.network.layers[-2], self.output
        with torch.no_grad():
            one_hot = torch.zeros_like(logits).scatter_(-1, labels.unsqueeze(-1), 1.0)
            h = bernoulli(torch.sigmoid(fields + one_hot @ output.weight), self.noise)
            reconstruction = self.visible.reconstruction(h @ hidden.weight, self.noise)
        self.phases = (x, reconstruction)
        free: Tensor = output(hidden(reconstruction)).logsumexp(-1)
        return free - logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)

    def add_gradients_of_loss(self, batch: Minibatch) -> None:
        """Write the gradients of the visible units, whose energies autograd does not see."""
        x, reconstruction = self.phases
        scale = self.settings.generative / batch.count
        weights = x.new_full(x.shape[:-1], scale)
        if batch.weights is not None:
            weights.mul_(batch.weights)
        states = torch.cat([x, reconstruction]) if x.dim() == 2 else torch.stack([x, reconstruction])
        both = torch.cat([-weights, weights]) if x.dim() == 2 else torch.stack([-weights, weights])
        with torch.no_grad():
            self.visible.write_minus_energy_gradient(states, both)

    def further_operations(self, n_images: int) -> int:
        """Three products of the generative term that the loss of the classes lacks; with layers below they are five."""
        products = 3 if len(self.network.blocks) == 2 else 5
        return n_images * products * flops.forward(self.network.operations[-2:-1])
