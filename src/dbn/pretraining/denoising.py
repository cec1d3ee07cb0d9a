"""Autoencoders with tied weights that learn to undo a corruption of their inputs: one layer at a time, or all jointly.

The gradient of both is that of :class:`DenoisingStep`, by backpropagation written out for layers of units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.data.blocks import Minibatch
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients
from dbn.machine.precision import choose_precision
from dbn.models import flops
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.gradients import gradient_of
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import RBMS, PretrainingMethod
from dbn.pretraining.new_unit_pair import new_unit_pair
from dbn.pretraining.settings import LayerSettings
from dbn.random.noise import normal, uniform
from dbn.random.streams import Noise
from dbn.settings import check_choice, check_number

CORRUPTIONS = ("masking", "gaussian")


class Corruption:
    """What a denoising autoencoder's inputs go through: a fraction is set to zero, or Gaussian noise is added.

    Args:
        kind: ``masking`` or ``gaussian``.
        level: probability of setting an input to zero, or the noise's standard deviation; 0 leaves inputs as they are.

    Raises:
        SettingError: an unknown kind, or a level out of range.

    References:
        Vincent et al. (2010), section 3.4: they tried 10, 25 and 40 % of masking noise for digits.
    """

    def __init__(self, kind: str = "masking", level: float = 0.25) -> None:
        check_choice("method.corruption", kind, CORRUPTIONS)
        if kind == "masking":
            check_number("method.level", level, low=0, high=1, below=True)
        else:
            check_number("method.level", level, low=0)
        self.kind = kind
        self.level = level

    def __call__(self, x: Tensor, generator: Noise = None) -> Tensor:
        """Corrupted inputs, ``(batch, n)``; ``x`` is left as it is."""
        if self.kind == "masking":
            return x * (uniform(x, generator) >= self.level)
        return torch.add(x, normal(x, generator), alpha=self.level)


class DenoisingStep:
    r"""One update of a deep autoencoder with tied weights from one minibatch.

    The encoder is :math:`h_k = m(h_{k-1} W_k)` from the corrupted input :math:`h_0`, the decoder
    :math:`g_{k-1} = m(g_k W_k^T)` from :math:`g_L = h_L`, with the units' means :math:`m`. The loss is
    :meth:`TiedAutoencoder.loss` of the clean input, whose gradient with respect to the lowest visible field is
    :math:`g_0 - x`. With :math:`\alpha_k` and :math:`\beta_k` the gradients with respect to the fields of the encoder
    and of the decoder, that of the weight is :math:`h_{k-1}^T \alpha_k + \beta_k^T g_k`: one product of the states of
    two phases, as for an RBM, so that every connection can be trained.

    Args:
        layers: from the data upwards; one for the autoencoder of a single layer. In a group
            (:meth:`~dbn.models.unit_pair.UnitPair.group`) every member is updated.
        corruption: of the inputs.
        precision: of the matrix products, ``float32`` or ``bf16``.
    """

    def __init__(self, layers: Sequence[TiedAutoencoder], corruption: Corruption, precision: str = "float32") -> None:
        self.layers = [layer.in_precision(precision) for layer in layers]
        self.corruption = corruption
        self.module = nn.ModuleList(self.layers)

    @torch.no_grad()
    def __call__(
        self, x: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step.

        Args:
            x: clean inputs ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            optimizer: any torch optimiser of the layers' parameters.
            generator: source of the corruption.
            count: images in the minibatch over all processes; default ``batch``.
            weights: of the images' losses, ``(batch,)``, in a group ``(members, batch)``; None: 1 for all.
        """
        for layer in self.layers:
            layer.connection.refresh()
        self.write_gradient(self.corruption(x, generator), x, count, weights)
        add_gradients(self.module)
        optimizer.step()

    def write_gradient(
        self, corrupted: Tensor, x: Tensor, count: int | None = None, weights: Tensor | None = None
    ) -> None:
        """Write the gradient of the losses' weighted sum over ``count`` (default: the batch) into every ``grad``."""
        layers = self.layers
        encoded = [corrupted]
        for layer in layers:
            encoded.append(layer.hidden.mean(layer.connection.hidden_field(encoded[-1])))
        decoded = [encoded[-1]]
        for layer in reversed(layers):
            decoded.insert(0, layer.visible.mean(layer.connection.visible_field(decoded[0])))

        error = (decoded[0] - x).mul_(1 / (count or x.shape[-2]))
        if weights is not None:
            error.mul_(weights.unsqueeze(-1))
        of_decoder = []
        for layer, states in zip(layers, decoded[1:], strict=True):
            of_decoder.append(error)
            above = layers[len(of_decoder)].visible if len(of_decoder) < len(layers) else layer.hidden
            error = layer.connection.hidden_field(error).mul_(above.mean_slope(states))
        for number in reversed(range(len(layers))):
            layer = layers[number]
            write_bias_gradient(layer.visible.bias, of_decoder[number])
            write_bias_gradient(layer.hidden.bias, error)
            below = error
            if number:
                slope = layers[number - 1].hidden.mean_slope(encoded[number])
                error = layer.connection.visible_field(below).mul_(slope)
            v = two_phases(encoded[number], of_decoder[number])
            layer.connection.write_gradient(v, two_phases(below, decoded[number + 1]), v.new_ones(v.shape[:-1]))


def two_phases(first: Tensor, second: Tensor) -> Tensor:
    """States of two phases as connections take them: ``(2 * batch, n)``, in a group ``(2, members, batch, n)``."""
    return torch.cat([first, second]) if first.dim() == 2 else torch.stack([first, second])


def write_bias_gradient(bias: nn.Parameter, error: Tensor) -> None:
    """Sum of ``error`` ``(batch, n)`` over the minibatch into ``bias.grad``; in a group that of each member."""
    torch.sum(error, -2, keepdim=bias.dim() == error.dim(), out=gradient_of(bias))


@dataclass(frozen=True)
class Products:
    """What :func:`choose_precision` asks of layers that train in one precision: a product's size, what all support."""

    operations: int
    precisions: tuple[str, ...]


class DenoisingTraining(LayerTraining):
    """Trains an autoencoder, or a group of them, by :class:`DenoisingStep`.

    Args:
        layer: a single layer, or all layers of a stack.
        settings: training settings.
        corruption: of the inputs.
        **options: of :class:`LayerTraining`.
    """

    weighs_images: ClassVar[bool] = True

    layer: TiedAutoencoder | JointLayers

    def __init__(
        self, layer: TiedAutoencoder | JointLayers, settings: LayerSettings, corruption: Corruption, **options: Any
    ) -> None:
        super().__init__(layer, settings, **options)
        self.corruption = corruption

    @property
    def layers(self) -> list[TiedAutoencoder]:
        """The layers, from the data upwards."""
        return self.layer.layers if isinstance(self.layer, JointLayers) else [self.layer]

    @property
    def flops(self) -> int:
        """Operations per image of the step's products with the weights."""
        return flops.tied_autoencoder([layer.operations for layer in self.layers])

    def on_fit_start(self) -> None:
        """Choose the precision, which depends on the device, for all layers by the largest."""
        connections = [layer.connection for layer in self.layers]
        shared = [own for own in connections[0].precisions if all(own in each.precisions for each in connections)]
        products = Products(self.layer.operations, tuple(shared))
        choice = choose_precision(self.precision, products, self.batch_size, self.device, "rbm")
        self.precision, self.precision_decided_by = choice.precision, choice.decided_by
        self.step = DenoisingStep(self.layers, self.corruption, self.precision)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`DenoisingStep`."""
        self.step(batch.features, optimizer, self.generator, batch.count, batch.weights)

    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """See :func:`autoencoder_metrics`."""
        return autoencoder_metrics(member, train, validation)


class DenoisingAutoencoder(PretrainingMethod):
    """Pretraining of denoising autoencoders with tied weights, each on the codes of the clean images below.

    The loss follows from the type of the visible units, see :meth:`TiedAutoencoder.loss`.

    Args:
        corruption: ``masking`` or ``gaussian``, see :class:`Corruption`.
        level: of the corruption; 0 for autoencoders without it.

    Raises:
        SettingError: an invalid value.

    References:
        Vincent et al. (2010), JMLR 11:3371. Glorot, Bordes & Bengio (2011), *Domain adaptation for large-scale
        sentiment classification*, ICML, with rectifiers.
    """

    def __init__(self, corruption: str = "masking", level: float = 0.25) -> None:
        self.corruption = Corruption(corruption, level)

    def new_layer(
        self,
        input_type: str | Mapping[str, Any],
        input_shape: Sequence[int],
        settings: LayerSettings,
        *,
        generator: torch.Generator | None = None,
        images: ImageSet | None = None,
    ) -> TiedAutoencoder:
        """See :meth:`PretrainingMethod.new_layer`."""
        layer = new_unit_pair(TiedAutoencoder, input_type, input_shape, settings, generator, images)
        if layer.connection.positions > 1:
            raise SettingError(
                f"stack.layers: {type(self).__name__} trains dense layers, and these are convolutional. Use dense "
                f"ones, stack.layers=[200], or {RBMS}."
            )
        for units in (layer.visible, layer.hidden):
            units.mean_slope(units.bias.detach())  # refuses types without one before training
        return layer

    def watchable(self, input_type: str | Mapping[str, Any]) -> tuple[str, ...]:
        """The reconstruction error."""
        return ("validation_reconstruction_error",)

    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> DenoisingTraining:
        """See :meth:`PretrainingMethod.training`."""
        return DenoisingTraining(layer, settings, self.corruption, **options)


class JointAutoencoder(DenoisingAutoencoder):
    """Pretraining of all layers at once, as the encoder of one deep denoising autoencoder with tied weights.

    Rates, epochs and size of minibatches are those of the first layer.

    Args:
        corruption: as for :class:`DenoisingAutoencoder`.
        level: of the corruption; 0 for a plain autoencoder.

    References:
        Hinton & Salakhutdinov (2006), Science 313:504, whose deep autoencoders start from RBMs, however.
    """

    is_joint: ClassVar[bool] = True


@torch.no_grad()
def autoencoder_metrics(member: Any, train: Tensor, validation: Tensor | None = None) -> dict[str, float]:
    """Metrics of an autoencoder for monitoring, without corruption.

    Args:
        member: a layer, or all layers of a stack.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.

    Returns:
        ``reconstruction_error``: squared error of the reconstruction, summed over inputs, mean over images;
        ``validation_reconstruction_error``: the same for validation images, where there are any.
        ``weight_norm``: Frobenius norm of all weights.
        ``fraction_inactive``: fraction of code units whose mean over training images is below 0.01.
    """
    code = member.up(train)
    metrics = {
        "reconstruction_error": F.mse_loss(member.down(code), train) * train.shape[1],
        "weight_norm": torch.stack([weight.norm() for weight in member.weights()]).norm(),
        "fraction_inactive": (code.mean(0) < 0.01).float().mean(),
    }
    if validation is not None and len(validation):
        error = F.mse_loss(member.down(member.up(validation)), validation)
        metrics["validation_reconstruction_error"] = error * train.shape[1]
    return {name: float(value) for name, value in metrics.items()}
