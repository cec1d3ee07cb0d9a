"""Models of independent units, from which annealing starts."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.models.rbm import RBM
from dbn.models.units import Units


@dataclass(frozen=True, eq=False)
class BaseRates:
    r"""The independent model that annealing starts from, as a constant field of an RBM's visible units.

    At inverse temperature :math:`\beta` the visible units have the field :math:`(1 - \beta) a + \beta W h` and the
    hidden ones :math:`\beta W^T v`: at 0 they are independent, with a log Z of two log partitions, and at 1 the model
    is the RBM. Any ``a`` gives estimates without bias.

    Attributes:
        field: ``a``, ``(n_visible,)``.
    """

    field: Tensor

    @classmethod
    def of_biases(cls, rbm: RBM) -> "BaseRates":
        """No field: the RBM without its weights."""
        return cls(rbm.weight.new_zeros(rbm.n_visible))

    @classmethod
    @torch.no_grad()
    def fitted(cls, rbm: RBM, v: Tensor) -> "BaseRates":
        """The field that gives visible units, without hidden ones, the means of some states.

        It is the difference between the units' biases and those that :meth:`dbn.models.units.Units.initialise_bias`
        fits, read off the energies, so that it is right for units with variances and for maps that share a bias.

        Args:
            rbm: the model.
            v: visible states ``(n, n_visible)``, such as training data.

        Raises:
            DataError: ``v`` cannot be states of the visible units.

        References:
            Salakhutdinov & Murray (2008), *On the quantitative analysis of deep belief networks*, section 4.1.1.
        """
        mean = rbm.visible_states(v).mean(0)
        fitted = deepcopy(rbm.visible)
        fitted.initialise_bias(mean)
        return cls(_slope(rbm.visible, mean) - _slope(fitted, mean))

    def log_z(self, rbm: RBM, v: Tensor) -> Tensor:
        """Log partition function of the independent model, in nats.

        Args:
            rbm: the model.
            v: states of the chains ``(chains, n_visible)``, of which totals count where visible units keep these.

        Returns:
            ``(1,)``, or ``(chains,)`` where the chains' documents differ in length.
        """
        visible = rbm.visible.log_partition(self.field[None])
        return visible + rbm.hidden.log_partition(rbm.hidden_field(v[: len(visible)], beta=0.0))

    def sample_visible(self, rbm: RBM, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Visible states of the independent model, ``(n, n_visible)``."""
        return rbm.visible.sample(self.field.repeat(n, 1), generator)


def _slope(units: Units, like: Tensor) -> Tensor:
    """How energies change from a state of zeros to each unit being one, ``(n,)``."""
    ones = torch.eye(units.size, dtype=like.dtype, device=like.device)
    return units.energy(ones) - units.energy(like.new_zeros(1, units.size))
