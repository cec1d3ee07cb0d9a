"""The interface of pretraining methods: a method makes a layer, and the module that trains it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from dbn.data.images import DataSet, ImageSet
from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.settings import LayerSettings

RBMS = "RBMs, which may be convolutional: method=rbm of dbn-pretrain, start=dbn or start=dbn_relu of dbn-finetune"
"""What messages advise where a method is for dense layers only; a start says the method, and names the arm."""


class PretrainingMethod(ABC):
    """A method of pretraining a layer; it has no state.

    A user-defined method is selected by ``method._target_`` in a configuration, or passed to
    :func:`dbn.pretraining.greedy.pretrain_stack`.
    """

    progress_metric: ClassVar[str] = "reconstruction_error"
    """The metric of :meth:`LayerTraining.metrics_of` that the progress display shows."""
    is_joint: ClassVar[bool] = False
    """Whether :meth:`training` trains all layers of a stack at once, as :class:`dbn.pretraining.joint.JointLayers`."""
    is_closed_form: ClassVar[bool] = False
    """Whether :meth:`new_layer` returns trained layers, so that nothing is left to train."""
    uses_labels: ClassVar[bool] = False
    """Whether layers learn from the labels of the training images."""

    @abstractmethod
    def new_layer(
        self,
        input_type: str | Mapping[str, Any],
        input_shape: Sequence[int],
        settings: LayerSettings,
        *,
        generator: torch.Generator | None = None,
        images: ImageSet | None = None,
    ) -> Layer:
        """Create an untrained layer.

        Args:
            input_type: type of the units below.
            input_shape: their shape.
            settings: of the layer.
            generator: source of the initial weights; None: zero weights, for a layer of which only shapes are needed.
            images: training images as inputs of the layer, to initialise biases from; None where they are unknown: for
                upper layers that are trained jointly with those below.
        """

    def check_settings(self, settings: LayerSettings) -> None:
        """Refuse settings of a layer that this method has no use for: those of the gradient of an RBM.

        Raises:
            SettingError: one has another value than that without an effect.
        """
        check_no_gradient_settings(type(self).__name__, settings)

    def in_place(self, settings: Sequence[LayerSettings]) -> list[LayerSettings]:
        """The settings of all layers as this method needs them where they are in the stack; here as they are.

        Args:
            settings: of each layer, from the data upwards.

        Raises:
            SettingError: it cannot train such a stack.
        """
        return list(settings)

    def last_stage(self, settings: Sequence[LayerSettings]) -> LayerSettings | None:
        """Training settings of a last stage, in which all layers are trained as one; None: there is none.

        Args:
            settings: of each layer, from the data upwards.
        """
        return None

    def composed(self, layers: Sequence[Any]) -> list[Layer]:
        """What the trained layers of a stack become for the last stage, whose :meth:`training` gets them jointly."""
        return list(layers)

    def check_data(self, data: DataSet, layers: Sequence[LayerSettings]) -> None:  # noqa: B027
        """Refuse a data set, or layers for it, that the method cannot be used with.

        Raises:
            SettingError: it cannot.
        """

    def settings_of(self, layers: Sequence[LayerSettings]) -> Sequence[LayerSettings]:
        """Settings by which this method trains layers of which ``layers`` are the settings: these themselves."""
        return layers

    def starting_layers(self, layers: list[Layer], start: DBN | None) -> list[Layer]:
        """The layers of a stage with the weights that training starts from, in place of new ones.

        Args:
            layers: new ones, see :meth:`new_layer`.
            start: a trained stack to start from, see :class:`dbn.pretraining.growing.StackRun`.

        Raises:
            SettingError: this method does not start from a stack.
        """
        if start is not None:
            raise SettingError(
                f"method={type(self).__name__}: it trains new layers and does not go on from a stack. Leave start away."
            )
        return layers

    def watchable(self, input_type: str | Mapping[str, Any]) -> tuple[str, ...]:
        """Metrics of validation images that :attr:`LayerSettings.watch` may name, for a layer on units of this type.

        They are among :meth:`LayerTraining.metrics_of`; lower is better, except for
        :data:`dbn.pretraining.patience.HIGHER_IS_BETTER`.
        """
        return ()

    def closed_form_flops(self, layer: Layer, n_images: int) -> int:
        """Operations of a :attr:`is_closed_form` method's :meth:`new_layer` with ``n_images`` training images."""
        raise NotImplementedError

    @abstractmethod
    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> LayerTraining:
        """The module that trains a layer or a group of layers; ``options`` are those of :class:`LayerTraining`."""
