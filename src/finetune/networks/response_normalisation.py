"""AlexNet's local response normalisation: each map's responses by those of its neighbours at the same position."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.settings import check_number
from finetune.networks.normalisation import Normalisation


class ResponseNormalisation(Normalisation):
    r"""Local response normalisation across maps, between activation and pooling; nothing in it is learned.

    .. math:: b_i = a_i \Big/ \Big(k + \alpha \sum_{j=i-\lfloor n/2 \rfloor}^{i+\lfloor (n-1)/2 \rfloor} a_j^2
        \Big)^{\beta}

    where :math:`a_j` is the response of map :math:`j` at the same position, zero for maps that do not exist. (Torch's
    ``LocalResponseNorm`` divides its :math:`\alpha` by :math:`n`.)

    Args:
        size: number of maps.
        neighbours: maps that are summed over, the map itself included, :math:`n`.
        offset: :math:`k`.
        alpha: weight of the squares.
        beta: exponent.

    Raises:
        SettingError: an invalid value.

    References:
        Krizhevsky, Sutskever & Hinton (2012), *ImageNet classification with deep convolutional neural networks*, NIPS,
        section 3.3.
    """

    kind: ClassVar[str] = "response"
    options: ClassVar[tuple[str, ...]] = ("neighbours", "offset", "alpha", "beta")
    of_maps: ClassVar[bool] = True
    of_units: ClassVar[bool] = False
    of_responses: ClassVar[bool] = True

    def __init__(
        self, size: int, neighbours: int = 5, offset: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
    ) -> None:
        nn.Module.__init__(self)  # no scale and shift
        check_number("network.normalisation.neighbours", neighbours, low=1, whole=True)
        check_number("network.normalisation.offset", offset, low=0, above=True)
        check_number("network.normalisation.alpha", alpha, low=0)
        check_number("network.normalisation.beta", beta, low=0)
        self.size = size
        self.neighbours, self.offset, self.alpha, self.beta = neighbours, offset, alpha, beta

    def forward(self, field: Tensor) -> Tensor:
        """Responses ``(..., positions * size)``, normalised."""
        responses = field.unflatten(-1, (-1, self.size))
        below = self.neighbours // 2
        squares = F.pad(responses.square(), (below, self.neighbours - 1 - below))
        summed = squares[..., : self.size]
        for shift in range(1, self.neighbours):
            summed = summed + squares[..., shift : shift + self.size]
        normalised: Tensor = responses * summed.mul(self.alpha).add(self.offset).pow(-self.beta)
        return normalised.flatten(-2)

    @property
    def slope(self) -> Tensor:
        """1: at small responses all units are divided by the same."""
        return torch.ones(self.size)

    def start_at(self, field: Tensor, wanted: Tensor) -> None:
        """Nothing: there is nothing to set."""

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """The same for all members: it has no parameters."""
        return cls(members[0].size, **{name: getattr(members[0], name) for name in cls.options})
