"""Up-down training of a whole DBN, from a greedily pretrained stack or from random weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data import DataSet
from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.machine.precision import choose_precision
from dbn.models import flops
from dbn.models.connections import Connection, Dense
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Units
from dbn.models.untied import Untied, check_visible_units
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.class_rbm import ClassRBMPretraining, has_label
from dbn.pretraining.contrastive import RBMPretraining
from dbn.pretraining.denoising import Products
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import GRADIENT_SETTINGS, LayerSettings
from dbn.pretraining.up_down_step import TOO_FEW, UpDownStep, check_parts
from dbn.random.streams import Source
from dbn.samplers.steps import Steps, checked_schedule
from dbn.settings import check_flag, check_number

OF_GREEDY_LEARNING = (*GRADIENT_SETTINGS, "patience", "final_learning_rate")
"""Settings of layers that up-down training itself has no use for."""
OF_LOWER_LAYER = 6
"""Products with each weight of a lower layer: two fields and one gradient of each of its two weights."""


class UpDownTraining(LayerTraining):
    """Trains the layers of a DBN, or of a group of them, by :class:`UpDownStep`.

    Args:
        layer: :class:`Untied` layers below an RBM.
        settings: training settings.
        steps: of Gibbs sampling, see :class:`UpDownStep`.
        sample_visible: see :class:`UpDownStep`.
        **options: of :class:`LayerTraining`.
    """

    weighs_images: ClassVar[bool] = True

    layer: JointLayers
    step: UpDownStep

    def __init__(
        self, layer: JointLayers, settings: LayerSettings, steps: Steps = 1, *, sample_visible: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(layer, settings, **options)
        self.gibbs_steps = checked_schedule(steps, "method.steps")
        self.sample_visible = sample_visible

    @property
    def flops(self) -> int:
        """Operations per image of the steps' products with the weights, with the chain's present number of steps."""
        *lower, top = [layer.operations for layer in self.layer.layers]
        return OF_LOWER_LAYER * flops.forward(lower) + flops.contrastive_divergence(top, self.step.sampler.products)

    def stand_at(self, epoch: int) -> None:
        """Set the number of Gibbs steps."""
        self.step.sampler.begin_epoch(epoch)

    def on_fit_start(self) -> None:
        """Choose the precision, which depends on the device, for all layers by the largest."""
        connections = [layer.connection for layer in self.layer.layers]
        shared = [own for own in connections[0].precisions if all(own in each.precisions for each in connections)]
        products = Products(self.layer.operations, tuple(shared))
        choice = choose_precision(self.precision, products, self.batch_size, self.device, "rbm")
        self.precision, self.precision_decided_by = choice.precision, choice.decided_by
        self.step = UpDownStep(
            self.layer.layers, self.gibbs_steps, sample_visible=self.sample_visible, precision=self.precision
        )

    def begin_block(self, block: Block) -> Block:
        """Set the number of Gibbs steps, and open the block's random stream."""
        self.step.sampler.begin_epoch(self.current_epoch)
        return super().begin_block(block)

    def open_streams(self, name: str, *counters: int, device: torch.device) -> Source:
        """Streams of its own: those of contrastive divergence have been used by the stack that it starts from."""
        return super().open_streams(f"up_down_{name}", *counters, device=device)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take an :class:`UpDownStep`."""
        labels = None if self.step.labelled is None else batch.labels
        self.step(batch.features, labels, optimizer, self.generator, batch.count, batch.weights)

    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """See :func:`up_down_metrics`."""
        return up_down_metrics(member.layers, train, validation)


@torch.no_grad()
def up_down_metrics(layers: Sequence[Any], train: Tensor, validation: Tensor | None = None) -> dict[str, float]:
    """Metrics of a DBN for monitoring.

    Args:
        layers: untied ones, below an RBM.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.

    Returns:
        ``reconstruction_error``: of the layers below the top RBM, means up by the recognition weights and down by the
        generative ones; squared error, summed over pixels, mean over images; ``validation_reconstruction_error``: the
        same for validation images. ``weight_norm``: Frobenius norm of all weights.
    """
    lower = DBN(layers[:-1])
    metrics = {
        "reconstruction_error": F.mse_loss(lower.reconstruct(train), train) * train.shape[1],
        "weight_norm": torch.stack([weight.norm() for layer in layers for weight in layer.weights()]).norm(),
    }
    if validation is not None and len(validation):
        error = F.mse_loss(lower.reconstruct(validation), validation)
        metrics["validation_reconstruction_error"] = error * train.shape[1]
    return {name: float(value) for name, value in metrics.items()}


class UpDownPretraining(PretrainingMethod):
    """Up-down training of all layers of a DBN, with untied recognition and generative weights below its top RBM.

    Batch size, momentum and weight cost are those of the layers, which must have the same. A run starts from a stack
    that is pretrained first, by ``greedy`` with the settings of the layers; :func:`dbn.pretraining.pretrain_stacks`
    from :attr:`dbn.pretraining.StackRun.start`.

    Args:
        greedy: how runs pretrain the stack that they start from, :class:`RBMPretraining` or
            :class:`ClassRBMPretraining`, whose top layer has the label; None: they start from random weights.
        epochs: passes through the training images.
        learning_rate: of all weights and biases.
        steps: of Gibbs sampling in the top RBM; or a schedule, ``{0: 3, 100: 6, 200: 10}``, as in the paper.
        sample_visible: draw the visible units of the sleep phase, see :class:`UpDownStep`.

    Raises:
        SettingError: an invalid value.

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527, sections 5 and 6.1: 300 epochs, 1.25 % on MNIST.
    """

    is_joint: ClassVar[bool] = True
    uses_labels: ClassVar[bool] = True

    def __init__(
        self, greedy: PretrainingMethod | None = None, epochs: int = 30, learning_rate: float = 0.03,
        steps: Steps = 3, sample_visible: bool = False,
    ) -> None:  # fmt: skip
        if greedy is not None and not isinstance(greedy, RBMPretraining):
            raise SettingError(
                f"method.greedy={type(greedy).__name__}: up-down training starts from RBMs. Use "
                "method@method.greedy=class_rbm, or rbm for a top layer without label; null: random weights."
            )
        check_number("method.epochs", epochs, low=1, whole=True)
        check_number("method.learning_rate", learning_rate, low=0, above=True)
        checked_schedule(steps, "method.steps")
        check_flag("method.sample_visible", sample_visible)
        self.greedy, self.epochs, self.learning_rate, self.steps = greedy, epochs, learning_rate, steps
        self.sample_visible = sample_visible

    def new_layer(
        self, input_type: str | Mapping[str, Any], input_shape: Sequence[int], settings: LayerSettings, *,
        generator: torch.Generator | None = None, images: ImageSet | None = None,
    ) -> RBM:  # fmt: skip
        """A new RBM; :meth:`starting_layers` unties those below the top."""
        rbm = RBMPretraining().new_layer(input_type, input_shape, settings, generator=generator, images=images)
        check_visible_units(rbm.visible)
        return rbm

    def settings_of(self, layers: Sequence[LayerSettings]) -> Sequence[LayerSettings]:
        """Those of the layers with the method's epochs and learning rate, and without what only greedy learning has."""
        for layer in layers:
            self.check_settings(layer)
        off: dict[str, Any] = {name: LayerSettings.__dataclass_fields__[name].default for name in OF_GREEDY_LEARNING}
        own: dict[str, Any] = {"epochs": self.epochs, "learning_rate": self.learning_rate}
        names = {name: f"method.{name}" for name in own}
        return [replace(layer, **off, **own, given_at={**layer.given_at, **names}) for layer in layers]

    def starting_layers(self, layers: list[Layer], start: DBN | None) -> list[Layer]:
        """Copies of the stack's layers, or the new ones; those below the top are untied."""
        if self.greedy is not None and start is None:
            raise SettingError(
                "method.greedy: runs pretrain the stack that they start from, and here there is none. Give it, as "
                "StackRun(start=stack) or to dbn.pretraining.up_down, or start from random weights, greedy=None."
            )
        if start is not None and start.shapes != [layers[0].input_shape, *(layer.output_shape for layer in layers)]:
            raise SettingError(
                f"start={'-'.join(map(str, start.sizes))}: the stack to start from has other layers than stack.layers, "
                f"{[layer.output_shape[-1] for layer in layers]}. Give a stack of these sizes."
            )
        return untied_layers(layers if start is None else [start[k] for k in range(len(start))])

    def check_settings(self, settings: LayerSettings) -> None:
        """What greedy learning has a use for; without it, settings of an RBM's gradient have none."""
        if self.greedy is None:
            check_no_gradient_settings("method=up_down without greedy learning", settings)
            if settings.final_learning_rate is not None:
                raise SettingError(
                    f"{settings.key('final_learning_rate')}={settings.final_learning_rate:g}: it is one of greedy "
                    "learning, and there is none. Use final_learning_rate=null, and method.learning_rate."
                )
        else:
            self.greedy.check_settings(settings)

    def check_data(self, data: DataSet, layers: Sequence[LayerSettings]) -> None:
        """Refuse layers that cannot be untied, data without classes beside a label, and labels of other classes."""
        check_parts_of(layers)
        if any(has_label(layer.hidden) for layer in layers) or isinstance(self.greedy, ClassRBMPretraining):
            ClassRBMPretraining().check_data(data, layers)

    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> UpDownTraining:
        """See :meth:`PretrainingMethod.training`."""
        return UpDownTraining(layer, settings, self.steps, sample_visible=self.sample_visible, **options)


def check_parts_of(layers: Sequence[LayerSettings]) -> None:
    """Check before anything is trained that layers can be untied, see :class:`Untied`.

    Raises:
        SettingError: a single layer, or one below the top that is not dense or has other hidden units than binary ones.
    """
    if len(layers) < 2:
        raise SettingError(TOO_FEW)
    for layer in layers[:-1]:
        hidden, _ = Units.resolve(layer.hidden, layer.key("hidden"))
        connection, _ = Connection.resolve(layer.connection, layer.key("connection"))
        for name, found, wanted in (("hidden", hidden, Bernoulli), ("connection", connection, Dense)):
            if found is not wanted:
                raise SettingError(
                    f"{layer.key(name)}={found.kind}: up-down training is for dense layers of binary units below the "
                    f"top RBM. Use {wanted.kind}, or method=rbm, which leaves the stack as greedy learning makes it."
                )


def untied_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Copies of a stack's layers: untied ones below its top RBM.

    Raises:
        SettingError: the layers are no RBMs, fewer than two, or of units that up-down training does not know.
    """
    *lower, top = layers
    kinds = [Untied.of(layer) for layer in lower]
    copy = top
    if isinstance(top, RBM):
        copy = RBM.from_description(top.description()).to(top.weight)
        copy.load_state_dict(top.state_dict())
    check_parts(kinds, copy)
    return [*kinds, copy]
