"""One update of a DBN by the up-down algorithm, contrastive wake-sleep."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients
from dbn.models.layer import Layer
from dbn.models.phases import ImageWeights, Phases
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, BernoulliWithLabel
from dbn.models.untied import Untied
from dbn.pretraining.class_rbm_step import ClassRBMStep, Objective
from dbn.pretraining.contrastive import without_autograd
from dbn.random.streams import Noise
from dbn.samplers import ContrastiveDivergence
from dbn.samplers.steps import Steps, checked_schedule


class UpDownStep:
    r"""One update of all layers of a DBN from one minibatch, as in the pseudocode of Hinton, Osindero & Teh (2006).

    Wake phase: hidden states are drawn upwards by the recognition weights, and the generative weights learn to
    reconstruct each layer from the one above. The top RBM starts at the states that this ends with (and the label),
    and learns by contrastive divergence. Sleep phase: from where its chain has ended, states are drawn downwards by the
    generative weights, and the recognition weights learn to recover the causes of each layer. All gradients are of
    local log-probabilities,

    .. math:: -\sum_l \log p(h_{l-1} \mid h_l), \quad -\log p(h_{L-1}, y) \text{ by CD-}k, \quad
        -\sum_l \log q(h_l \mid h_{l-1}),

    and are written without autograd. It differs from the pseudocode in two ways: statistics of the top RBM are those of
    hidden means, not states, and in its chain the label is drawn with the hidden units given the states below, not with
    these given the hidden units; of both, expectations are the same.

    Args:
        layers: :class:`Untied` ones below an RBM, updated in place; in a group every member is.
        steps: of Gibbs sampling in the top RBM, or a schedule, see :class:`dbn.samplers.steps.GibbsSampler`.
        sample_visible: the sleep phase draws the visible units; false: they are at their means, as in the paper, which
            look more like grey images. Only with states is training at rest where it has found the true posterior.
        precision: of the matrix products.

    Raises:
        SettingError: the layers are no DBN of such parts.

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527,
        section 5 and appendix B.
    """

    def __init__(
        self, layers: Sequence[Layer], steps: Steps = 1, *, sample_visible: bool = False, precision: str = "float32"
    ) -> None:
        *lower, top = layers
        check_parts(lower, top)
        self.parameters = nn.ModuleList(layers)
        self.lower: list[Untied] = [layer.in_precision(precision) for layer in lower if isinstance(layer, Untied)]
        self.sampler = ContrastiveDivergence(checked_schedule(steps, "method.steps"), sample_visible=True)
        assert isinstance(top, RBM)
        self.labelled: ClassRBMStep | None = None
        if isinstance(top.hidden, BernoulliWithLabel):
            self.labelled = ClassRBMStep(top, self.sampler, Objective("generative"), precision)
        self.top = top.in_precision(precision) if self.labelled is None else self.labelled.rbm
        self.sample_visible = sample_visible

    def __call__(
        self, v: Tensor, labels: Tensor | None, optimizer: Optimizer | Any, generator: Noise = None,
        count: int | None = None, weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step; arguments as of :meth:`write_gradient`, and any torch optimiser of the parameters."""
        with without_autograd(v.device):
            self.write_gradient(v, labels, generator, count, weights)
            add_gradients(self.parameters)
            optimizer.step()

    def write_gradient(
        self, v: Tensor, labels: Tensor | None = None, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Write the gradients, summed over images and divided by ``count``, into every ``grad``.

        Args:
            v: images ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            labels: class numbers ``(batch,)`` int64, in a group ``(members, batch)``; None: the top RBM has no label.
            generator: source of noise.
            count: images in the minibatch over all processes; default ``batch``.
            weights: how much each image counts, and what is dreamt from it, ``(batch,)``, in a group ``(members,
                batch)``; None: all count the same.
        """
        for layer in self.lower:
            layer.connection.refresh()
            layer.generative.refresh()
        of_pairs = pair_weights(v, count, weights)

        # Wake phase: the generative weights reconstruct what the recognition weights have made of the images.
        awake = [v]
        for layer in self.lower:
            awake.append(layer.hidden.sample(layer.connection.hidden_field(awake[-1]), generator))
        for layer, (below, above) in zip(self.lower, pairwise(awake), strict=True):
            layer.write_generative_gradient(below, above, of_pairs)

        # The top RBM's Gibbs chain, from the states of the wake phase.
        dream = self.write_top_gradient(awake[-1], labels, generator, count, weights)

        # Sleep phase: the recognition weights recover the causes of what the generative weights make of the chain.
        for layer in reversed(self.lower):
            above, field = dream, layer.generative.visible_field(dream)
            if layer is self.lower[0] and not self.sample_visible:
                dream = layer.visible.mean(field)
            else:
                dream = layer.visible.sample(field, generator)
            layer.write_recognition_gradient(dream, above, of_pairs)

    def write_top_gradient(
        self, x: Tensor, labels: Tensor | None, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Write the top RBM's gradient of contrastive divergence; returns the states at the end of its chain.

        Args:
            x: states of its visible units ``(batch, n)``, in a group ``(members, batch, n)``.
            labels: as of :meth:`write_gradient`.
            generator: source of noise.
            count: as of :meth:`write_gradient`.
            weights: likewise.
        """
        if self.labelled is not None:
            assert labels is not None  # UpDownPretraining.check_data has made sure
            self.labelled.write_gradient(x, labels, generator, count, weights)
            return self.labelled.phases_of(x.shape[-2]).negative.v
        rbm, phases = self.top, Phases(self.top, x.shape[-2])
        positive, negative = phases.positive, phases.negative
        rbm.connection.refresh()
        positive.v.copy_(x)
        positive.condition_on_visible(rbm)
        self.sampler.write_negative_states(rbm, positive, negative.v, generator)
        negative.condition_on_visible(rbm)
        phases.write_gradient(rbm, count, None if weights is None else ImageWeights(weights.to(rbm.weight.dtype)))
        return negative.v


TOO_FEW = (
    "stack.layers: up-down training is for stacks of two layers or more; a single RBM has no weights to untie. "
    "Give stack.layers=[500,500], or use method=rbm or method=class_rbm."
)


def pair_weights(v: Tensor, count: int | None, weights: Tensor | None = None) -> Tensor:
    """Weights of pairs of states with the data's sign and the model's: ``(2 * batch,)``, in a group ``(2, ...)``."""
    each = v.new_full(v.shape[:-1], 1 / (count or v.shape[-2]))
    if weights is not None:
        each.mul_(weights)
    return torch.cat([-each, each]) if v.dim() == 2 else torch.stack([-each, each])


def check_parts(lower: Sequence[Layer], top: Layer) -> None:
    """Raise :class:`SettingError` unless these are untied layers below an RBM with binary hidden units."""
    if not lower:
        raise SettingError(TOO_FEW)
    hidden = top.hidden if isinstance(top, RBM) else None
    if not all(isinstance(layer, Untied) for layer in lower) or not isinstance(hidden, Bernoulli | BernoulliWithLabel):
        kinds = ", ".join(layer.kind for layer in (*lower, top))
        raise SettingError(
            f"layers of the kinds {kinds}: up-down training is for untied layers below an RBM with bernoulli or "
            "bernoulli_with_label hidden units. Untied.of(rbm) makes such a layer of an RBM."
        )
