"""Normalisation of a hidden layer's fields, between weights and activation: over the minibatch, or over the units."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.fitting.processes import summed_over_all
from dbn.fitting.ranks import is_distributed
from dbn.models.registry import Registered
from dbn.settings import check_number


class Normalisation(Registered, nn.Module):
    """Normalises fields, then scales and shifts each unit's; scale and shift are learned.

    Computed in float32 where products are in bfloat16: layers of weights return float32. A user-defined type sets
    ``kind``, see :class:`Registered`.

    Args:
        size: number of units ``n``.

    Attributes:
        scale: ``(n,)``, starts at 1; in a group ``(members, 1, n)``.
        shift: likewise, starts at 0.

    Shape:
        ``(batch, n)`` -> ``(batch, n)``; in a group ``(members, batch, n)``.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.zeros(size))

    @property
    @abstractmethod
    def slope(self) -> Tensor:
        """Derivative of a unit's output by its field in evaluation mode, up to a factor all units share; ``(n,)``."""

    @abstractmethod
    def start_at(self, field: Tensor, wanted: Tensor) -> None:
        """Set scale and shift such that the output for ``field`` is ``wanted``, or nearly so.

        Args:
            field: fields of the units for some images, ``(images, n)``.
            wanted: what the units should get for the same images, ``(images, n)``.
        """

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """One module whose parameters and running statistics are ``(members, 1, n)``."""
        joined = cls(members[0].scale.shape[-1], **{name: getattr(members[0], name) for name in cls.options})
        for name, _ in [*joined.named_parameters(), *joined.named_buffers()]:
            stacked = torch.stack([getattr(member, name).detach() for member in members]).unsqueeze(1)
            setattr(joined, name, nn.Parameter(stacked) if isinstance(getattr(joined, name), nn.Parameter) else stacked)
        return joined

    @torch.no_grad()
    def copy_member(self, number: int, single: "Normalisation") -> None:
        """Copy parameters and running statistics of member ``number`` of a group into ``single``."""
        for name, own in [*single.named_parameters(), *single.named_buffers()]:
            own.copy_(getattr(self, name)[number, 0])

    def extra_repr(self) -> str:
        """Number of units and options, for ``print(network)``."""
        return ", ".join([str(self.scale.shape[-1]), *(f"{name}={getattr(self, name):g}" for name in self.options)])


class BatchNorm(Normalisation):
    r"""Batch normalisation: each unit by its mean and variance over the minibatch.

    .. math:: y = \gamma\,\frac{z - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta

    In training, :math:`\mu, \sigma^2` are those of the minibatch, in a run of several processes of the whole one, so
    that the number of processes changes nothing but rounding. In evaluation they are running averages. A minibatch of a
    single image (the last of an epoch may be one) has no variance: it is normalised by the running averages, which it
    leaves as they are.

    Args:
        size: number of units.
        momentum: share of a minibatch in the running averages after it, in (0, 1].
        epsilon: added to variances.

    Raises:
        SettingError: an invalid value.

    References:
        Ioffe & Szegedy (2015), *Batch normalization: accelerating deep network training by reducing internal covariate
        shift*, ICML, algorithms 1 and 2.
    """

    kind: ClassVar[str] = "batch"
    options: ClassVar[tuple[str, ...]] = ("momentum", "epsilon")

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, size: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(size)
        check_number("network.normalisation.momentum", momentum, low=0, high=1, above=True)
        check_number("network.normalisation.epsilon", epsilon, low=0, above=True)
        self.momentum = momentum
        self.epsilon = epsilon
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_variance", torch.ones(size))

    def forward(self, field: Tensor) -> Tensor:
        """Normalise by the minibatch in training, by running averages in evaluation."""
        if self.training and is_distributed():
            return self._of_all_processes(field)
        in_training = self.training and field.shape[-2] > 1
        columns = field if field.dim() == 2 else field.transpose(0, 1).flatten(1)  # (batch, members * n)
        output = F.batch_norm(
            columns, self.running_mean.view(-1), self.running_variance.view(-1), self.scale.view(-1),
            self.shift.view(-1), in_training, self.momentum, self.epsilon,
        )  # fmt: skip
        return output if field.dim() == 2 else output.unflatten(1, (len(field), -1)).transpose(0, 1)

    def _of_all_processes(self, field: Tensor) -> Tensor:
        """Normalise by mean and variance over the shares of all processes; gradients pass through both."""
        count = summed_over_all(field.new_tensor(float(len(field))))
        mean = summed_over_all(field.sum(0)) / count
        centred = field - mean
        variance = summed_over_all(centred.square().sum(0)) / count
        with torch.no_grad():
            single = count <= 1
            mean_used = torch.where(single, self.running_mean, mean)
            variance_used = torch.where(single, self.running_variance, variance * (count / (count - 1)))
            self.running_mean.lerp_(mean_used, self.momentum)
            self.running_variance.lerp_(variance_used, self.momentum)
        centred = torch.where(single, field - self.running_mean, centred)
        variance = torch.where(single, self.running_variance, variance)
        return torch.addcmul(self.shift, centred, self.scale * (variance + self.epsilon).rsqrt())

    @property
    def slope(self) -> Tensor:
        """``scale / sqrt(running_variance + epsilon)``."""
        return self.scale * (self.running_variance + self.epsilon).rsqrt()

    @torch.no_grad()
    def start_at(self, field: Tensor, wanted: Tensor) -> None:
        """Take mean and variance of ``field`` as running averages, and of ``wanted`` as shift and square of the scale.

        Where ``wanted`` is ``field``, evaluation then computes the identity, and a minibatch in training nearly does.
        """
        for fields, mean, variance in (
            (field, self.running_mean, self.running_variance),
            (wanted, self.shift, self.scale),
        ):
            mean.copy_(fields.mean(0))
            variance.copy_(fields.var(0, correction=min(1, len(fields) - 1)))
        self.scale.add_(self.epsilon).sqrt_()


class LayerNorm(Normalisation):
    r"""Layer normalisation: the units of an image by their mean and variance, in training and evaluation alike.

    Args:
        size: number of units.
        epsilon: added to variances.

    Raises:
        SettingError: an invalid value.

    References:
        Ba, Kiros & Hinton (2016), *Layer normalization*, arXiv:1607.06450, equation 3.
    """

    kind: ClassVar[str] = "layer"
    options: ClassVar[tuple[str, ...]] = ("epsilon",)

    def __init__(self, size: int, epsilon: float = 1e-5) -> None:
        super().__init__(size)
        check_number("network.normalisation.epsilon", epsilon, low=0, above=True)
        self.epsilon = epsilon

    def forward(self, field: Tensor) -> Tensor:
        """Normalise each image's fields."""
        normalised = F.layer_norm(field, field.shape[-1:], None, None, self.epsilon)
        return torch.addcmul(self.shift, normalised, self.scale)

    @property
    def slope(self) -> Tensor:
        """``scale``; the factor that all units share is an image's own."""
        return self.scale

    @torch.no_grad()
    def start_at(self, field: Tensor, wanted: Tensor) -> None:
        r"""Least squares for each unit: :math:`\gamma = \mathrm{cov}(\hat z, z)/\mathrm{var}(\hat z)`, means equal.

        No scale and shift per unit undo what each image is divided by: this is the nearest start to ``wanted``.
        """
        normalised = F.layer_norm(field, field.shape[-1:], None, None, self.epsilon)
        mean, wanted_mean = normalised.mean(0), wanted.mean(0)
        deviations = normalised - mean
        variance = deviations.square().mean(0)
        covariance = (deviations * (wanted - wanted_mean)).mean(0)
        self.scale.copy_(torch.where(variance > 0, covariance / variance, torch.ones_like(variance)))
        self.shift.copy_(wanted_mean - self.scale * mean)


def running_statistics(network: nn.Module) -> dict[str, Tensor]:
    """Running averages of a network's normalisation by name; with the parameters they are all that training changes."""
    return {
        f"{path}.{name}": buffer
        for path, module in network.named_modules()
        if isinstance(module, Normalisation)
        for name, buffer in module.named_buffers()
    }
