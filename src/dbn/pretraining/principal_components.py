"""Principal components as the weights of a layer, without training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.data.image_weights import sum_of_rows, total_weight, weighted_chunks
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.models import flops
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.connections import Dense
from dbn.models.layer import Layer
from dbn.models.units import Units, make_units
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import RBMS, PretrainingMethod
from dbn.pretraining.settings import LayerSettings
from dbn.settings import check_flag, check_number, format_value

SMALLEST_VARIANCE = 1e-6
"""Components with less of the largest variance than this are noise of rounding, and are not scaled up."""


class PrincipalComponents(PretrainingMethod):
    r"""Layers whose units respond to the leading principal components of their inputs over the training images.

    A unit's pre-activation is :math:`s\,z_k`, with :math:`z_k = (x - \bar x)^T u_k / \sqrt{\lambda_k}` of variance one
    over the training images for a whitened component. So activations work round the middle of their range: with
    :math:`s = 1` a sigmoid between 0.27 and 0.73 for two thirds of the images. A sigmoid keeps the component's sign; a
    rectifier does not, and half its information would be lost: units that cannot be negative and are unbounded above
    therefore come in pairs, :math:`+z_k` and :math:`-z_k`. Where there are more units than components, the others
    respond to random combinations :math:`r^T z` with :math:`\lVert r \rVert = 1`, of the same variance.

    Without whitening all components have one scale, that which makes their mean variance one: the leading ones are
    larger in proportion to their standard deviations.

    Args:
        whiten: scale every component to the same variance.
        scale: standard deviation of the pre-activations, :math:`s`.

    Raises:
        SettingError: an invalid value.

    Of the settings of a layer the number and type of its hidden units take part; connections must be dense.
    """

    is_closed_form: ClassVar[bool] = True

    def __init__(self, whiten: bool = True, scale: float = 1.0) -> None:
        check_flag("method.whiten", whiten)
        check_number("method.scale", scale, low=0, above=True)
        self.whiten = whiten
        self.scale = scale

    def new_layer(
        self,
        input_type: str | Mapping[str, Any],
        input_shape: Sequence[int],
        settings: LayerSettings,
        *,
        generator: torch.Generator | None = None,
        images: ImageSet | None = None,
    ) -> TiedAutoencoder:
        """See :meth:`PretrainingMethod.new_layer`; with ``images`` the layer is complete.

        Raises:
            SettingError: the connection is not dense, or hidden units are mixed.
        """
        if settings.connection != Dense.kind:
            raise SettingError(
                f"{settings.key('connection')}={format_value(settings.connection)}: principal components are a dense "
                f"matrix. Use dense layers, stack.layers=[200], with stack.every_layer.connection=dense, or {RBMS}."
            )
        visible = make_units(input_type, input_shape, "stack.visible")
        hidden = make_units(settings.hidden, settings.n_hidden, "stack.every_layer.hidden")
        if not isinstance(hidden.bias, nn.Parameter):
            raise SettingError(
                f"{settings.key('hidden')}={hidden.kind}: principal components set the bias of units of one type. Use "
                "bernoulli or relu."
            )
        layer = TiedAutoencoder(visible, hidden, Dense(input_shape, settings.n_hidden))
        if images is not None:
            mean, directions = self.directions(images, settings.n_hidden, is_rectified(hidden), generator)
            with torch.no_grad():
                layer.weight.copy_(directions)
                hidden.bias.copy_(-(mean @ directions))
                visible.initialise_bias(images.mean())
        return layer

    def directions(
        self, images: ImageSet, n: int, in_pairs: bool, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Mean of the images ``(n_features,)``, and weights of ``n`` units ``(n_features, n)``, in float64.

        Args:
            images: training images.
            n: number of units.
            in_pairs: each component with both signs.
            generator: source of random combinations.
        """
        mean, variances, components = principal_components(images)
        kept = variances > SMALLEST_VARIANCE * variances[0]
        variances, components = variances[kept], components[:, kept]
        n_components = min(len(variances), math.ceil(n / 2) if in_pairs else n)
        of_scale = variances[:n_components]
        whitened = components / (variances if self.whiten else of_scale.mean()).sqrt()
        leading = whitened[:, :n_components]
        if in_pairs:
            leading = torch.stack([leading, -leading], -1).flatten(1)[:, :n]
        others = n - leading.shape[1]
        mixtures = torch.randn(len(variances), others, generator=generator, dtype=torch.float64)
        mixtures /= mixtures.norm(dim=0).clamp(min=torch.finfo(torch.float64).tiny)
        return mean, self.scale * torch.cat([leading, whitened @ mixtures], 1)

    def closed_form_flops(self, layer: Layer, n_images: int) -> int:
        """See :func:`dbn.models.flops.principal_components`."""
        return flops.principal_components(n_images, math.prod(layer.input_shape))

    def training(self, layer: Layer | JointLayers, settings: LayerSettings, **options: Any) -> LayerTraining:
        """Nothing is left to train.

        Raises:
            SettingError: always.
        """
        raise SettingError("method=pca: layers are computed, not trained by minibatches.")


def is_rectified(units: Units) -> bool:
    """Whether units lose the sign of their pre-activation: they are not negative and have no upper bound."""
    low, high = units.interval
    return low == 0 and high == math.inf


@torch.no_grad()
def principal_components(images: ImageSet) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variances and directions of all principal components, in float64 on the CPU.

    Args:
        images: ``n`` images, which are read twice.

    Returns:
        mean: ``(n_features,)``.
        variances: ``(n_features,)``, with divisor ``n - 1``, the largest first; of images with weights both moments
            are weighted, and ``n`` is the sum of their weights.
        components: orthonormal columns ``(n_features, n_features)``; the entry of largest size of each is positive.
    """
    n, zero = total_weight(images), torch.zeros(images.n_features, dtype=torch.float64)
    mean = sum((sum_of_rows(*own).cpu() for own in weighted_chunks(images)), zero) / n
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for chunk, weights in weighted_chunks(images):
        centred = chunk.cpu() - mean
        covariance.addmm_(centred.T, centred if weights is None else centred * weights.cpu().unsqueeze(1))
    variances, vectors = torch.linalg.eigh(covariance / max(1, n - 1))
    variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
    largest = vectors.abs().argmax(0, keepdim=True)
    return mean, variances, vectors * vectors.gather(0, largest).sign()
