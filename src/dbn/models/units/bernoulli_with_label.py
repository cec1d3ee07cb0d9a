"""Binary units beside a label, which is summed out: the hidden units of a class RBM."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.gradients import gradient_of, write_weighted_sum
from dbn.models.label_scores import label_scores, score_gradients
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE, Bernoulli
from dbn.random.noise import bernoulli, uniform
from dbn.random.streams import Noise
from dbn.settings import check_number

ITERATIONS = 200
"""Steps in which :meth:`BernoulliWithLabel.initialise_bias` solves for the biases."""


class BernoulliWithLabel(Units):
    r"""Binary units :math:`h \in \{0, 1\}^n` beside a label :math:`y`, one of ``n_labels`` classes.

    Together they have the energy :math:`E(h, y) = -\sum_j c_j h_j - d_y - \sum_j U_{yj} h_j`; that of :math:`h` alone
    is what remains when the label is summed out, :math:`E(h) = -\log \sum_y e^{-E(h, y)}`. As hidden units of an RBM
    they make it the class RBM, whose visible units :math:`v` and label :math:`y` are both joined to :math:`h`: in the
    field :math:`f = v W`

    .. math:: \log p(y \mid v) = s_y - \log \sum_{y'} e^{s_{y'}}, \quad s_y = d_y + \sum_j \log(1 + e^{f_j + c_j +
        U_{yj}}),

    exactly, with one product with ``W`` for all classes. The RBM's free energy, samples and gradient are those of
    :math:`v` without its label; :mod:`dbn.models.class_rbm` has those with it.

    Args:
        shape: number of binary units ``n``.
        n_labels: number of classes, from 2.

    Attributes:
        bias: ``c``, ``(n,)``.
        label_bias: ``d``, ``(n_labels,)``.
        label_weight: ``U``, ``(n_labels, n)``; in a group ``(members, 1, n_labels, n)``.

    Raises:
        SettingError: fewer than two classes, or units that lie as maps.

    References:
        Larochelle & Bengio (2008), *Classification using discriminative restricted Boltzmann machines*, ICML, equation
        2; Hinton, Osindero & Teh (2006), Neural Computation 18:1527, for the label in the top RBM of a DBN.
    """

    kind: ClassVar[str] = "bernoulli_with_label"
    has_one_bias: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ("n_labels",)
    activation = "bernoulli_with_label"
    """No network has it: the mean depends on weights of the label, see :class:`dbn.models.free_energy.FreeEnergy`."""
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, shape: int | Sequence[int], n_labels: int = 10) -> None:
        super().__init__(shape)
        check_number("n_labels", n_labels, low=2, whole=True)
        if len(self.shape) > 1:
            raise SettingError(
                f"hidden={self.kind}: its units lie as maps, {self.shape}, and a label has no place in a picture. Use "
                "it for a dense layer, {n_hidden: 500, hidden: {kind: bernoulli_with_label, n_labels: 10}}."
            )
        self.n_labels = n_labels
        self.label_bias = nn.Parameter(torch.zeros(n_labels))
        self.label_weight = nn.Parameter(torch.zeros(n_labels, self.size))

    @classmethod
    def check_options(cls, key: str, options: Mapping[str, Any]) -> None:
        """``n_labels``."""
        check_number(f"{key}.n_labels", options.get("n_labels", 10), low=2, whole=True)

    def matrix(self) -> Tensor:
        """``U``, ``(n_labels, n)``; in a group ``(members, n_labels, n)``."""
        return self.label_weight if self.label_weight.dim() == 2 else self.label_weight.squeeze(-3)

    def label_scores(self, field: Tensor) -> Tensor:
        """``s_y = log sum_h exp(-E(h, y) + field . h)``: ``(batch, n)`` -> ``(batch, n_labels)`` in nats."""
        return label_scores(field + self.bias, self.matrix()) + self.label_bias

    def field_of_label(self, labels: Tensor) -> Tensor:
        """Field that the binary units receive from their label, ``(batch,)`` int64 -> ``(batch, n)``."""
        return F.one_hot(labels, self.n_labels).to(self.label_weight) @ self.matrix()

    def mean_given_label(self, field: Tensor, labels: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[h | field, y]``, ``(batch, n)``; ``labels`` are ``(batch,)`` int64, ``out`` may be ``field`` itself."""
        return torch.add(field, self.field_of_label(labels), out=out).add_(self.bias).sigmoid_()

    def sample_label(self, log_probabilities: Tensor, generator: Noise = None) -> Tensor:
        """One label for each row of unnormalised log probabilities, ``(batch, n_labels)`` -> ``(batch,)`` int64."""
        up_to = torch.softmax(log_probabilities, -1).cumsum(-1)
        point = uniform(up_to[..., :1], generator).mul_(up_to[..., -1:])  # the sum may differ from 1 by rounding
        return (up_to <= point).sum(-1).clamp_(max=self.n_labels - 1)

    def label_fields(self, h: Tensor) -> Tensor:
        """``d_y + h . U_y``, the log probability of each label given ``h`` up to a constant, ``(batch, n_labels)``."""
        return h @ self.matrix().mT + self.label_bias

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)`` with any label; returns ``(batch,)`` in nats."""
        return -(x @ self.bias) - self.label_fields(x).logsumexp(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_(h, y) exp(-E(h, y) + field . h)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return self.label_scores(field).logsumexp(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[h | field]``, ``(batch, n)``, over all labels by their probabilities."""
        probability, with_bias, weight = self.label_scores(field).softmax(-1), field + self.bias, self.matrix()
        total = torch.zeros_like(with_bias)
        for y in range(self.n_labels):
            total = total + probability[..., [y]] * torch.sigmoid(with_bias + weight[..., [y], :])
        return total if out is None else out.copy_(total)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Zeros and ones, ``(batch, n)``: first a label, then the units, which depend on each other through it.

        ``mean`` is not used: units drawn from it independently would be no sample.
        """
        labels = self.sample_label(self.label_scores(field), generator)
        return bernoulli(self.mean_given_label(field, labels), generator, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/dc = x``; those of the label's parameters are ``p(y | x)``, and that times ``x``."""
        write_weighted_sum(self.bias, x, weights)
        probability = self.label_fields(x).softmax(-1) * weights.unsqueeze(-1)
        of_weight = probability.mT @ x
        self._write_label_gradients(probability, of_weight if of_weight.dim() == 2 else of_weight.sum(0))

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """The gradient of each label's score, times its probability."""
        self.write_score_gradients(field, self.label_scores(field).softmax(-1) * weights.unsqueeze(-1))

    def write_score_gradients(self, field: Tensor, coefficients: Tensor) -> Tensor:
        r"""Write :math:`\sum_s \sum_y r_{sy}\,\partial s_y(f_s)` into each ``grad``.

        Every gradient of a class RBM is one of these: of the joint free energy of ``v`` and ``y`` with coefficients
        that are 1 for ``y``, of that of ``v`` alone with :math:`p(y \mid v)`, of :math:`-\log p(y \mid v)` with their
        difference.

        Args:
            field: ``f``, ``(states, n)``, in a group ``(phases, members, batch, n)``.
            coefficients: ``r``, ``(states, n_labels)``, in a group ``(phases, members, batch, n_labels)``.

        Returns:
            The derivative by the fields, of their shape: what the connection multiplies visible states with.
        """
        by_field, by_weight = score_gradients(field + self.bias, self.matrix(), coefficients)
        bias = by_field.sum(0) if by_field.dim() == 2 else by_field.sum((0, -2))
        gradient_of(self.bias).copy_(bias.view_as(self.bias))
        self._write_label_gradients(coefficients, by_weight)
        return by_field

    def _write_label_gradients(self, of_states: Tensor, of_weight: Tensor) -> None:
        """Write the gradients of ``label_bias``, a sum over states, and of ``label_weight``."""
        of_bias = of_states.sum(0) if of_states.dim() == 2 else of_states.sum((0, -2))
        gradient_of(self.label_bias).copy_(of_bias.view_as(self.label_bias))
        gradient_of(self.label_weight).copy_(of_weight.view_as(self.label_weight))

    def states(self) -> Tensor:
        """All ``2^n`` states of the binary units, see :meth:`dbn.models.units.Bernoulli.states`."""
        if self.size > MAX_ENUMERABLE:
            raise SettingError(
                f"{self.size} binary units have 2^{self.size} states: enumeration stops at {MAX_ENUMERABLE} units."
            )
        return Bernoulli(self.size).to(self.bias).states()

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """Solve for the biases by which, without a field, the mean is ``data_mean``, clipped to [1/1000, 999/1000]."""
        wanted, none = torch.logit(data_mean, eps=1e-3).to(self.bias), torch.zeros_like(self.bias)[None]
        self.bias.copy_(wanted)
        for _ in range(ITERATIONS):
            self.bias.add_(wanted - torch.logit(self.mean(none)[0], eps=1e-6), alpha=0.5)
