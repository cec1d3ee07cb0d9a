"""Dropout of an RBM's hidden units while it trains."""

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import MaxPooled, Units
from dbn.random.noise import uniform
from dbn.random.streams import Noise
from dbn.samplers import ContrastiveDivergence, Sampler


class HiddenDropout:
    """Leaves out hidden units at random, others for every image of every minibatch, the same ones in both phases.

    A step is one of an RBM without these units, for each image its own. What is left after training is the RBM of all
    units, whose means are the features; none of its weights are scaled. Units that are left out count as off in means
    over a minibatch, such as those of a sparsity target.

    Args:
        rate: probability of leaving out a unit, in (0, 1).

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov (2014), *Dropout: a simple way to prevent neural
        networks from overfitting*, JMLR 15, section 8.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.masks: dict[torch.Size, Tensor] = {}
        self.mask: Tensor | None = None

    def check(self, rbm: RBM) -> None:
        """Refuse units that others of their layer depend on.

        Raises:
            SettingError: the hidden units exclude each other, or are of several types.
        """
        if isinstance(rbm.hidden, MaxPooled) or not isinstance(rbm.hidden.activation, str):
            raise SettingError(
                f"dropout_hidden={self.rate:g}: {rbm.hidden.kind} units cannot be left out one by one. Use "
                "dropout_hidden=0, or hidden=bernoulli without pooling."
            )

    def check_sampler(self, sampler: Sampler) -> None:
        """Refuse chains that outlive a minibatch: they are of the model with all units.

        Raises:
            SettingError: the sampler is not contrastive divergence.
        """
        if not isinstance(sampler, ContrastiveDivergence):
            raise SettingError(
                f"dropout_hidden={self.rate:g}: the chains of {type(sampler).__name__} belong to no image, for which "
                "units could be left out. Use sampler=cd, or dropout_hidden=0."
            )

    def applied(self, rbm: RBM, sampler: Sampler) -> RBM:
        """An RBM with the same parameters whose hidden units are left out as :meth:`draw` says.

        Raises:
            SettingError: its units or the sampler do not go with that.
        """
        self.check(rbm)
        self.check_sampler(sampler)
        return RBM(rbm.visible, DroppedUnits(rbm.hidden, self), rbm.connection)

    def draw(self, v: Tensor, n_hidden: int, generator: Noise) -> None:
        """Draw which hidden units are left out for the images ``v`` ``(batch, n_visible)``, of each member its own."""
        mask = self.masks.get(v.shape[:-1])
        if mask is None:
            with torch.inference_mode(False):
                mask = self.masks[v.shape[:-1]] = v.new_empty(2, *v.shape[:-1], n_hidden)
        torch.ge(uniform(mask[0], generator), self.rate, out=mask[0])
        mask[1].copy_(mask[0])
        self.mask = mask

    def mask_of(self, field: Tensor) -> Tensor:
        """Ones for units that are kept, of the shape of fields of one phase, or of both; before training for all."""
        if self.mask is None:
            return field.new_ones(())
        return self.mask[0] if field.shape == self.mask.shape[1:] else self.mask.view(field.shape)


class DroppedUnits(Units):
    """Wraps hidden units, or a group of them, and sets those to zero that are left out.

    Args:
        units: the units, whose parameters are shared.
        dropout: says which.
    """

    def __init__(self, units: Units, dropout: HiddenDropout) -> None:
        super().__init__(units.shape)
        self.units = units
        self.bias = units.bias
        self.positions = units.positions
        self.has_one_bias = units.has_one_bias  # type: ignore[misc]  # of an instance
        self.interval, self.activation = units.interval, units.activation  # type: ignore[misc]  # of an instance
        self.dropout = dropout

    def energy(self, x: Tensor) -> Tensor:
        """As for the wrapped units."""
        return self.units.energy(x)

    def log_partition(self, field: Tensor) -> Tensor:
        """As for the wrapped units, none of which is left out."""
        return self.units.log_partition(field)

    def gain(self) -> Tensor | None:
        """As for the wrapped units."""
        return self.units.gain()

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """See :meth:`Units.mean`; 0 for units that are left out."""
        return self.units.mean(field, out).mul_(self.dropout.mask_of(field))

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """See :meth:`Units.sample`; 0 for units that are left out. ``mean`` is computed anew."""
        return self.units.sample(field, generator, out).mul_(self.dropout.mask_of(field))

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """As for the wrapped units."""
        self.units.write_minus_energy_gradient(x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """See :meth:`Units.write_log_partition_gradient`; units that are left out have no part in it."""
        self.units.write_log_partition_gradient(field * self.dropout.mask_of(field), mean, weights)

    def initialise_bias(self, data_mean: Tensor) -> None:
        """As for the wrapped units."""
        self.units.initialise_bias(data_mean)
