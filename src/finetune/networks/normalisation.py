"""Normalisation of a hidden layer's fields, between weights and activation: over the minibatch, or over the units.

A convolutional layer has one scale and one shift for each map.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.fitting.processes import summed_over_all
from dbn.fitting.ranks import is_distributed
from dbn.models.linear import WeightLayer
from dbn.models.registry import Registered
from dbn.settings import check_number


class Normalisation(Registered, nn.Module):
    """Normalises fields, then scales and shifts each unit's; scale and shift are learned.

    Computed in float32 where products are in bfloat16: layers of weights return float32. A user-defined type sets
    ``kind``, see :class:`Registered`, and ``of_maps`` if it can normalise those.

    Args:
        size: number of units ``n``, or of maps.

    Attributes:
        scale: ``(n,)``, starts at 1; in a group ``(members, 1, n)``.
        shift: likewise, starts at 0.
        positions: number of positions of a map; 1: units without space.

    Shape:
        ``(batch, positions * n)`` -> the same; in a group ``(members, batch, positions * n)``.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}
    of_maps: ClassVar[bool] = False
    """Whether it can normalise the maps of convolutional layers."""
    of_units: ClassVar[bool] = True
    """Whether it can normalise the units of dense layers."""
    of_responses: ClassVar[bool] = False
    """Whether it follows the activation, and normalises responses, not fields."""
    positions: int = 1

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.scale = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.zeros(size))

    @classmethod
    def of_layer(cls, wanted: str | Mapping[str, Any], key: str, layer: WeightLayer) -> "Normalisation | None":
        """Normalisation of a layer's fields; None for a dense layer where it is for maps only.

        Args:
            wanted: kind, or kind and options.
            key: name of the setting, for messages.
            layer: the layer of weights.

        Raises:
            SettingError: no such normalisation, or it cannot normalise maps.
        """
        *space, size = layer.shape_out
        made: Normalisation = cls.create(wanted, key, size)
        if not space:
            return made if made.of_units else None
        if not made.of_maps:
            raise SettingError(
                f"{key}={made.kind}: {type(made).__name__} normalises dense layers only. Set of_maps in its class if "
                "it can normalise maps, or use batch, layer or response."
            )
        made.positions = torch.Size(space).numel()
        return made

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
        joined.positions = members[0].positions
        for name, _ in [*joined.named_parameters(), *joined.named_buffers()]:
            stacked = torch.stack([getattr(member, name).detach() for member in members]).unsqueeze(1)
            setattr(joined, name, nn.Parameter(stacked) if isinstance(getattr(joined, name), nn.Parameter) else stacked)
        return joined

    @torch.no_grad()
    def copy_member(self, number: int, single: "Normalisation") -> None:
        """Copy parameters and running statistics of member ``number`` of a group into ``single``."""
        for name, own in [*single.named_parameters(), *single.named_buffers()]:
            own.copy_(getattr(self, name)[number, 0])

    def by_unit(self, field: Tensor) -> Tensor:
        """Fields with one row for each position: ``(batch, positions * n)`` -> ``(batch * positions, n)``."""
        return field if self.positions == 1 else field.unflatten(-1, (self.positions, -1)).flatten(-3, -2)

    def extra_repr(self) -> str:
        """Number of units and options, for ``print(network)``."""
        return ", ".join([str(self.size), *(f"{name}={getattr(self, name):g}" for name in self.options)])


class BatchNorm(Normalisation):
    r"""Batch normalisation: each unit by its mean and variance over the minibatch.

    .. math:: y = \gamma\,\frac{z - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta

    In training, :math:`\mu, \sigma^2` are those of the minibatch, in a run of several processes of the whole one, so
    that the number of processes changes nothing but rounding. In evaluation they are running averages. A minibatch of a
    single image (the last of an epoch may be one) has no variance: it is normalised by the running averages, which it
    leaves as they are. A map's mean and variance are over all its positions as well (section 3.2), so that a single
    image has them.

    Args:
        size: number of units, or of maps.
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
    of_maps: ClassVar[bool] = True

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
        rows = self.by_unit(field)
        normalised = self._of_all_processes(rows) if self.training and is_distributed() else self._of_rows(rows)
        return normalised.reshape(field.shape)

    def _of_rows(self, field: Tensor) -> Tensor:
        """Normalise fields with a row for each image or position."""
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
            (self.by_unit(field), self.running_mean, self.running_variance),
            (self.by_unit(wanted), self.shift, self.scale),
        ):
            mean.copy_(fields.mean(0))
            variance.copy_(fields.var(0, correction=min(1, len(fields) - 1)))
        self.scale.add_(self.epsilon).sqrt_()


class LayerNorm(Normalisation):
    r"""Layer normalisation: the units of an image by their mean and variance, in training and evaluation alike.

    Mean and variance of a convolutional layer are over all positions of all maps.

    Args:
        size: number of units, or of maps.
        epsilon: added to variances.

    Raises:
        SettingError: an invalid value.

    References:
        Ba, Kiros & Hinton (2016), *Layer normalization*, arXiv:1607.06450, equation 3.
    """

    kind: ClassVar[str] = "layer"
    options: ClassVar[tuple[str, ...]] = ("epsilon",)
    of_maps: ClassVar[bool] = True

    def __init__(self, size: int, epsilon: float = 1e-5) -> None:
        super().__init__(size)
        check_number("network.normalisation.epsilon", epsilon, low=0, above=True)
        self.epsilon = epsilon

    def forward(self, field: Tensor) -> Tensor:
        """Normalise each image's fields."""
        normalised = F.layer_norm(field, field.shape[-1:], None, None, self.epsilon)
        return torch.addcmul(self.shift, self.by_unit(normalised), self.scale).reshape(field.shape)

    @property
    def slope(self) -> Tensor:
        """``scale``; the factor that all units share is an image's own."""
        return self.scale

    @torch.no_grad()
    def start_at(self, field: Tensor, wanted: Tensor) -> None:
        r"""Least squares for each unit: :math:`\gamma = \mathrm{cov}(\hat z, z)/\mathrm{var}(\hat z)`, means equal.

        No scale and shift per unit undo what each image is divided by: this is the nearest start to ``wanted``.
        """
        normalised = self.by_unit(F.layer_norm(field, field.shape[-1:], None, None, self.epsilon))
        wanted = self.by_unit(wanted)
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
