"""The built-in unit types for training on a GPU: one kernel for mean and sample."""

import torch
from torch import Tensor

from dbn.machine.kernels.statistics import write_statistics
from dbn.machine.kernels.units import write_units
from dbn.models.gradients import gradient_of
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import Bernoulli
from dbn.models.units.gaussian import Gaussian
from dbn.models.units.relu import ReLU
from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import Noise

FUNCTIONS: dict[type[Units], str] = {Bernoulli: "sigmoid", Gaussian: "identity", ReLU: "relu"}
"""The kernels' name for each type. A subclass is not in here: what it overrides would not be called."""


class KernelUnits(Units):
    """Wraps units of a built-in type, or a group of them, and computes means and samples by kernels.

    Fields, means and states may be bfloat16, whose values kernels compute in float32 and round once. Noise comes from a
    :class:`dbn.random.device_noise.DeviceNoise`, within the kernel; from another source the wrapped units draw it.

    Args:
        units: the units, whose parameters are shared.
    """

    def __init__(self, units: Units) -> None:
        super().__init__(units.shape)
        self.units = units
        self.bias = units.bias
        self.function = FUNCTIONS[type(units)]
        self.interval, self.activation = units.interval, units.activation  # type: ignore[misc]  # of an instance

    def energy(self, x: Tensor) -> Tensor:
        """As for the wrapped units."""
        return self.units.energy(x)

    def log_partition(self, field: Tensor) -> Tensor:
        """As for the wrapped units."""
        return self.units.log_partition(field)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """See :meth:`Units.mean`."""
        out = torch.empty_like(field, dtype=self.bias.dtype) if out is None else out
        write_units(self.function, field, self.bias, mean=out)
        return out

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """See :meth:`Units.sample`; ``mean`` is computed again, which takes less time than reading it."""
        out = torch.empty_like(field, dtype=self.bias.dtype) if out is None else out
        if not isinstance(generator, DeviceNoise):
            return out.copy_(self.units.sample(field.to(self.bias.dtype), generator))
        write_units(self.function, field, self.bias, state=out, noise=generator)
        return out

    def mean_and_sample(self, field: Tensor, generator: Noise, mean: Tensor, out: Tensor) -> None:
        """See :meth:`Units.mean_and_sample`."""
        if isinstance(generator, DeviceNoise):
            write_units(self.function, field, self.bias, mean=mean, state=out, noise=generator)
        else:
            super().mean_and_sample(field, generator, mean, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """As for the wrapped units."""
        self.units.write_minus_energy_gradient(x.to(weights.dtype), weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """As for the wrapped units."""
        self.units.write_log_partition_gradient(field.to(weights.dtype), mean.to(weights.dtype), weights)

    def initialise_bias(self, data_mean: Tensor) -> None:
        """As for the wrapped units."""
        self.units.initialise_bias(data_mean)


def write_gradients_of_units(
    visible: KernelUnits, hidden: KernelUnits, v: Tensor, field: Tensor, weighted_mean: Tensor, weights: Tensor
) -> None:
    """Write the gradients of both layers' biases, and the hidden means times the states' weights, in one launch.

    Args:
        visible: visible units.
        hidden: hidden units.
        v: visible states ``(states, n_visible)``, in a group ``(phases, members, batch, n_visible)``.
        field: their hidden fields.
        weighted_mean: destination, of the shape of ``field``.
        weights: of the states, ``(states,)`` or ``(phases, members, batch)``.
    """
    write_statistics(
        hidden.function, v, field, hidden.bias, weights,
        weighted_mean=weighted_mean, visible_sum=gradient_of(visible.bias), hidden_sum=gradient_of(hidden.bias),
    )  # fmt: skip
