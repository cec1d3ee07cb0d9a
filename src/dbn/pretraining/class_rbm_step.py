"""One update of a class RBM: what it learns from images and labels, generatively, discriminatively, or both."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients
from dbn.models.gradients import gradient_of
from dbn.models.phases import Phase, Phases
from dbn.models.rbm import RBM
from dbn.models.units import BernoulliWithLabel
from dbn.pretraining.contrastive import without_autograd
from dbn.pretraining.image_weights import image_weights
from dbn.pretraining.sparsity import Sparsity
from dbn.random.noise import bernoulli
from dbn.random.streams import Noise
from dbn.samplers import Sampler
from dbn.settings import check_choice, check_number

OBJECTIVES = ("generative", "discriminative", "hybrid")


@dataclass(frozen=True)
class Objective:
    r"""What a class RBM minimises.

    ``generative``: :math:`-\log p(v, y)`, by the sampler's negative phase; ``discriminative``: :math:`-\log p(y \mid
    v)`, exactly; ``hybrid``: :math:`-\log p(y \mid v) - \alpha \log p(v, y)`, where the second term regularises.

    Attributes:
        kind: one of these.
        generative_weight: :math:`\alpha`, of ``hybrid`` only.

    Raises:
        SettingError: no such objective, or a weight that is not above 0.

    References:
        Larochelle & Bengio (2008), sections 3 to 5; Larochelle, Mandel, Pascanu & Bengio (2012), *Learning algorithms
        for the classification restricted Boltzmann machine*, JMLR 13:643.
    """

    kind: str = "generative"
    generative_weight: float = 0.01

    def __post_init__(self) -> None:
        """Check both values."""
        check_choice("method.objective", self.kind, OBJECTIVES)
        check_number("method.generative_weight", self.generative_weight, low=0, above=True)

    @property
    def discriminative(self) -> float:
        """Weight of ``-log p(y | v)``."""
        return 0.0 if self.kind == "generative" else 1.0

    @property
    def generative(self) -> float:
        """Weight of ``-log p(v, y)``."""
        return {"generative": 1.0, "discriminative": 0.0, "hybrid": self.generative_weight}[self.kind]


class LabelledPhase(Phase):
    """A positive phase whose images have labels: hidden means and samples are those given image and label.

    Attributes:
        labels: ``(batch,)`` int64, in a group ``(members, batch)``; set before :meth:`condition_on_visible`.
    """

    __slots__ = ("_units", "labels")

    labels: Tensor
    _units: BernoulliWithLabel | None

    @classmethod
    def of(cls, phase: Phase) -> "LabelledPhase":
        """A phase with the buffers of another one."""
        labelled = cls(phase.v, phase.field, phase._mean, phase.h)
        labelled._units = None
        return labelled

    def condition_on_visible(self, rbm: RBM) -> None:
        """Compute the field from the visible states alone; the means, with the label's, once they are asked for."""
        rbm.hidden_field(self.v, out=self.field)
        assert isinstance(rbm.hidden, BernoulliWithLabel)
        self._units = rbm.hidden

    @property
    def mean(self) -> Tensor:
        """Hidden means given image and label ``(batch, n_hidden)``."""
        if self._units is not None:
            self._units.mean_given_label(self.field, self.labels, out=self._mean)
            self._units = None
        return self._mean

    def sample_hidden(self, rbm: RBM, generator: Noise, out: Tensor | None = None) -> None:
        """Sample hidden states given image and label into ``out``, contiguous; None: ``h``."""
        bernoulli(self.mean, generator, self.h if out is None else out)


class ClassRBMStep:
    r"""One update of a class RBM from one minibatch of images with labels.

    The negative phase is that of any RBM: the sampler draws images, of which all labels are summed out, by their exact
    :math:`p(y \mid v)`. A chain of contrastive divergence starts at hidden states given image and label.

    Args:
        rbm: an RBM whose hidden units are :class:`BernoulliWithLabel`, updated in place; in a group every member is.
        sampler: sampler of the negative phase; the discriminative objective has none.
        objective: what to minimise.
        precision: of the matrix products.
        sparsity: how often hidden units should be on, given image and label; None: as it comes.
    """

    def __init__(
        self, rbm: RBM, sampler: Sampler, objective: Objective, precision: str = "float32",
        sparsity: Sparsity | None = None,
    ) -> None:  # fmt: skip
        self.rbm = rbm.in_precision(precision)
        self.sampler = sampler
        self.objective = objective
        self.sparsity = sparsity
        self.phases: dict[int, Phases] = {}
        if sparsity is not None:
            sparsity.check(rbm)

    @property
    def hidden(self) -> BernoulliWithLabel:
        """The hidden units with their label."""
        assert isinstance(self.rbm.hidden, BernoulliWithLabel)
        return self.rbm.hidden

    def __call__(
        self, v: Tensor, labels: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step.

        Args:
            v: images ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            labels: class numbers ``(batch,)`` int64, in a group ``(members, batch)``.
            optimizer: any torch optimiser of the model's parameters.
            generator: source of the sampler's noise.
            count: images in the minibatch over all processes; default ``batch``.
            weights: how much each image counts, as of :class:`dbn.pretraining.contrastive.ContrastiveStep`.
        """
        with without_autograd(v.device):
            self.write_gradient(v, labels, generator, count, weights)
            add_gradients(self.rbm)
            optimizer.step()

    def write_gradient(
        self, v: Tensor, labels: Tensor, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Write the gradient of the objective, summed over images and divided by ``count``, into every ``grad``."""
        rbm, hidden, phases = self.rbm, self.hidden, self.phases_of(v.shape[-2])
        positive, negative = phases.positive, phases.negative
        assert isinstance(positive, LabelledPhase)
        rbm.connection.refresh()
        if v.data_ptr() != positive.v.data_ptr():
            positive.v.copy_(v)
        positive.labels = labels
        positive.condition_on_visible(rbm)
        discriminative, generative = self.objective.discriminative, self.objective.generative
        dtype = rbm.weight.dtype
        images = None if weights is None else image_weights(weights, self.sampler, count, dtype)
        # of -log p(y | v): p(y' | v) minus 1 for y' = y; of -log p(v, y): -1 for y, and in the negative phase p(y' | v)
        coefficients = F.one_hot(labels, hidden.n_labels).to(dtype).mul_(-(discriminative + generative))
        if discriminative:
            coefficients.add_(hidden.label_scores(positive.field).softmax(-1))
        if images is not None:
            coefficients.mul_(images.values.unsqueeze(-1))
        second = torch.zeros_like(coefficients)
        if generative:
            self.sampler.write_negative_states(rbm, positive, negative.v, generator)
            negative.condition_on_visible(rbm)
            self.sampler.continue_chains(rbm, phases, generator)
            second = hidden.label_scores(negative.field).softmax(-1).mul_(generative)
            if images is not None:
                second.mul_(images.of_negative.unsqueeze(-1))
            rbm.visible.write_minus_energy_gradient(phases.v, phases.weights(count, dtype, images) * generative)
        pull = None
        if self.sparsity is not None:
            share = 1 if count is None else v.shape[-2] / count
            pull = self.sparsity.pull(rbm, positive.mean, share, None if images is None else images.values)
        self._write_products(phases, coefficients, second, 1 / (count or v.shape[-2]))
        if pull is not None:
            gradient_of(hidden.bias).add_(pull)

    def _write_products(self, phases: Phases, first: Tensor, second: Tensor, scale: float) -> None:
        """Gradients of the hidden units and the connection, from the coefficients of both phases' label scores."""
        v, field = phases.v, phases.field
        if not self.objective.generative:
            if field.dim() == 2:  # half of the work
                v, field = phases.positive.v, phases.positive.field
                both = first
            else:
                phases.negative.v.zero_()
                phases.negative.field.zero_()
                both = torch.stack([first, second])
            for parameter in self.rbm.visible.parameters():
                gradient_of(parameter).zero_()
        else:
            both = torch.cat([first, second]) if field.dim() == 2 else torch.stack([first, second])
        weighted = self.hidden.write_score_gradients(field, both.mul_(scale))
        self.rbm.connection.write_weighted_gradient(v, weighted)

    def destination(self, batch: int) -> Tensor:
        """Reusable buffer for the features of ``batch`` images, which saves the step a copy."""
        return self.phases_of(batch).positive.v

    def phases_of(self, batch: int) -> Phases:
        """The buffers for minibatches of ``batch`` images."""
        phases = self.phases.get(batch)
        if phases is None:
            phases = self.phases[batch] = Phases(self.rbm, batch)
            phases.positive = LabelledPhase.of(phases.positive)
        return phases
