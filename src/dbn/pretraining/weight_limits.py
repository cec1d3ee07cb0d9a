"""What keeps an RBM's weights small or sparse, beside the weight cost."""

from torch import Tensor

from dbn.models.connections import Connection
from dbn.models.gradients import gradient_of


class WeightLimits:
    r"""An L1 penalty on weights, and a largest norm of the weights of each hidden unit.

    The penalty adds :math:`\lambda\,\mathrm{sign}(W)` to the gradient, as the weight cost adds :math:`\lambda W`: a
    subgradient, so that weights come close to zero and cross it, but are not set to it. The constraint scales the
    weights of a hidden unit back whenever an update has made their Euclidean norm larger.

    Args:
        l1_cost: :math:`\lambda`, from 0.
        max_norm: the largest norm; None: any. Of a convolution, that of each map's filter.

    References:
        Hinton (2012), section 10, for L1; Srebro & Shraibman (2005) and Srivastava et al. (2014), section 5.1, for the
        norm.
    """

    def __init__(self, l1_cost: float = 0.0, max_norm: float | None = None) -> None:
        self.l1_cost = l1_cost
        self.max_norm = max_norm

    def add_gradient(self, connection: Connection) -> None:
        """Add the penalty's derivative to the gradient of the weight."""
        if self.l1_cost:
            gradient_of(connection.weight).add_(connection.weight.sign(), alpha=self.l1_cost)

    def constrain(self, connection: Connection) -> None:
        """Scale weights back that are too large, after an update."""
        if self.max_norm is not None:
            connection.weight.mul_(norm_factors(connection.weight, connection.fan_in_dimensions, self.max_norm))


def norm_factors(weight: Tensor, dimensions: tuple[int, ...], largest: float) -> Tensor:
    """Factors that bring norms over ``dimensions`` of ``weight`` down to ``largest``: exactly 1 for smaller ones."""
    norms: Tensor = weight.square().sum(dimensions, keepdim=True).sqrt_()
    return largest / norms.clamp_(min=largest)
