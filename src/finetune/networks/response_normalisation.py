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
        settings = (self.neighbours, self.offset, self.alpha, self.beta)
        if torch.is_grad_enabled() and field.requires_grad:
            normalised: Tensor = NormalisedResponses.apply(responses, *settings)
        else:  # the same in operations that exporters can follow
            normalised = responses * divisors(responses, *settings[:3]).pow(-self.beta)
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


class NormalisedResponses(torch.autograd.Function):
    r"""Responses ``(..., maps)`` by those of their neighbours; the gradient is written by hand.

    With :math:`d_i` for the divisor before its power, the gradient is :math:`g_i d_i^{-\beta} - 2 \alpha \beta a_i
    \sum_j g_j b_j / d_j` over the maps :math:`j` of which :math:`i` is a neighbour. Autograd would fill a tensor with
    zeros for each neighbour.
    """

    @staticmethod
    def forward(ctx: Any, responses: Tensor, neighbours: int, offset: float, alpha: float, beta: float) -> Tensor:
        """See :class:`ResponseNormalisation`."""
        divisor = divisors(responses, neighbours, offset, alpha)
        factor = divisor.pow(-beta)
        ctx.save_for_backward(responses, divisor, factor)
        ctx.settings = neighbours, alpha, beta
        return responses * factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the responses."""
        responses, divisor, factor = ctx.saved_tensors
        neighbours, alpha, beta = ctx.settings
        own = gradient * factor
        others = sum_of_neighbours((own * responses).div_(divisor), neighbours, above=neighbours // 2)
        own.addcmul_(responses, others, value=-2 * alpha * beta)
        return own, None, None, None, None


def divisors(responses: Tensor, neighbours: int, offset: float, alpha: float) -> Tensor:
    """What responses ``(..., maps)`` are divided by, before its power."""
    squares = sum_of_neighbours(responses.square(), neighbours, above=(neighbours - 1) // 2)
    return squares.mul(alpha).add(offset)


def sum_of_neighbours(x: Tensor, neighbours: int, *, above: int) -> Tensor:
    """Sums of ``x`` ``(..., maps)`` over so many neighbouring maps, ``above`` of them above; missing ones are zero."""
    size = x.shape[-1]
    padded = F.pad(x, (neighbours - 1 - above, above))
    total = padded[..., :size]
    for shift in range(1, neighbours):
        total = total + padded[..., shift : shift + size]
    return total
