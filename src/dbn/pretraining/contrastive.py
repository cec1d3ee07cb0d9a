"""Training of RBMs by contrastive divergence: the training step, its LightningModule, the pretraining method."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import StateOfProcesses, add_gradients, of_all_processes, of_this_process
from dbn.machine.kernels import kernel_streams
from dbn.machine.precision import choose_precision
from dbn.models import flops
from dbn.models.gradients import gradient_of
from dbn.models.phases import Phases
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Units
from dbn.pretraining.gradients import Gradient
from dbn.pretraining.hidden_dropout import HiddenDropout
from dbn.pretraining.image_weights import image_weights
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.new_unit_pair import new_unit_pair
from dbn.pretraining.rbm_metrics import rbm_metrics, watched_likelihood
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.sparsity import Sparsity
from dbn.pretraining.weight_limits import WeightLimits
from dbn.random.streams import Noise, Source, streams
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import call_factory


def without_autograd(device: torch.device) -> AbstractContextManager[Any]:
    """Context for steps that write their gradients themselves.

    On a CPU inference mode, since torch's bookkeeping takes a quarter of a small step; elsewhere, where steps are
    recorded and generators outlive them, no more than no gradients.
    """
    return torch.inference_mode() if device.type == "cpu" else torch.no_grad()


class ContrastiveStep:
    """One update of an RBM from one minibatch: positive phase, negative phase, gradient, optimiser.

    Buffers are allocated at the first minibatch of a size and reused. Gradients of parameters that all positions of a
    feature map share are means over the positions, so that a learning rate means the same whatever the size of images,
    and the same as in a dense layer.

    Args:
        rbm: the model, updated in place; in a group (:meth:`dbn.models.rbm.RBM.group`) every member is updated.
        sampler: sampler of the negative phase.
        precision: of the matrix products, ``float32``, ``bf16`` or ``tf32``.
        sparsity: how often hidden units should be on; None: as it comes.
        gradient: the updates' direction, with its state; None: the gradient as it is.
        limits: of the weights; None: there are none.
        dropout: of hidden units; None: all take part.

    Raises:
        SettingError: units, connection or sampler do not go with one of these.
    """

    def __init__(
        self,
        rbm: RBM,
        sampler: Sampler,
        precision: str = "float32",
        sparsity: Sparsity | None = None,
        gradient: Gradient | None = None,
        limits: WeightLimits | None = None,
        dropout: HiddenDropout | None = None,
    ) -> None:
        in_precision = rbm.in_precision(precision)
        self.rbm = in_precision.in_kernels() if dropout is None else dropout.applied(in_precision, sampler)
        self.sampler = sampler
        sampler.begin(rbm)
        self.phases: dict[int, Phases] = {}
        self.shared = shared_parameters(self.rbm)
        self.sparsity = sparsity
        if sparsity is not None:
            sparsity.check(rbm)
        self.gradient = gradient
        if gradient is not None:
            gradient.check(rbm)
            gradient.start(self.rbm)
        self.limits = limits
        self.dropout = dropout
        if not isinstance(sampler, ContrastiveDivergence) and rbm.visible.scales_hidden_bias:
            raise SettingError(
                f"sampler={type(sampler).__name__}: documents of each length have a distribution of their own, and "
                f"persistent chains of {rbm.visible.kind} units keep the lengths of other documents. Use sampler=cd."
            )

    def __call__(
        self, v: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step.

        Args:
            v: data ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``; for binary units, values in
                [0, 1] are probabilities.
            optimizer: any torch optimiser of the model's parameters.
            generator: source of the sampler's noise.
            count: images in the minibatch over all processes; default ``batch``.
            weights: how much each image counts, ``(batch,)``, in a group ``(members, batch)``; 1 on average over all
                training images. None: all count the same.
        """
        if torch.is_grad_enabled():  # within a block that was said once: saying it takes as long as a small product
            with without_autograd(v.device):
                self(v, optimizer, generator, count, weights)
            return
        rbm, phases = self.rbm, self.phases_of(v.shape[-2])
        positive, negative = phases.positive, phases.negative
        rbm.connection.refresh()
        if v.data_ptr() != positive.v.data_ptr():
            positive.v.copy_(v)
        if self.dropout is not None:
            self.dropout.draw(v, rbm.n_hidden, generator)
        if self.sampler.starts_at_data:
            positive.condition_on_visible(rbm)
            self.sampler.write_negative_states(rbm, positive, negative.v, generator)
            negative.condition_on_visible(rbm)
        else:
            self.sampler.write_negative_states(rbm, positive, negative.v, generator)
            phases.condition_on_visible(rbm)
        self.sampler.continue_chains(rbm, phases, generator)
        images = None if weights is None else image_weights(weights, self.sampler, count, rbm.weight.dtype)
        pull = None
        if self.sparsity is not None:
            share = 1 if count is None else v.shape[-2] / count
            pull = self.sparsity.pull(rbm, positive.mean, share, None if images is None else images.values)
        statistics: Sequence[Tensor] = ()
        if self.gradient is not None:
            self.gradient.weighted = images is not None
            statistics = self.gradient.statistics(phases.by_phase(rbm, count, images))
        phases.write_gradient(rbm, count, images)
        for parameter, positions in self.shared:
            gradient_of(parameter).div_(positions)
        if pull is not None:
            gradient_of(rbm.hidden.bias).add_(pull)
        add_gradients(rbm, *statistics)
        if self.gradient is not None:
            self.gradient.transform(rbm, statistics)
        self.sampler.follow_gradient(rbm)
        if self.limits is not None:
            self.limits.add_gradient(rbm.connection)
        optimizer.step()
        if self.limits is not None:
            self.limits.constrain(rbm.connection)

    def destination(self, batch: int) -> Tensor:
        """Reusable buffer for the features of ``batch`` images, which saves the step a copy."""
        return self.phases_of(batch).positive.v

    def phases_of(self, batch: int) -> Phases:
        """The buffers for minibatches of ``batch`` images."""
        phases = self.phases.get(batch)
        if phases is None:
            sampler = self.sampler
            phases = self.phases[batch] = Phases(self.rbm, batch, sampler.n_chains, sampler.processes)
        return phases


def shared_parameters(rbm: RBM) -> list[tuple[nn.Parameter, int]]:
    """Parameters that several positions share, each with their number."""
    own = [(part, part.positions) for part in (rbm.visible, rbm.hidden, rbm.connection)]
    return [(parameter, positions) for part, positions in own if positions > 1 for parameter in part.parameters()]


class RBMTraining(LayerTraining):
    """Trains an RBM, or a group of RBMs, by :class:`ContrastiveStep`.

    Args:
        layer: the RBM.
        settings: training settings.
        sampler: sampler of the negative phase.
        **options: of :class:`LayerTraining`.
    """

    recordable: ClassVar[bool] = True
    weighs_images: ClassVar[bool] = True

    layer: RBM

    def __init__(self, layer: RBM, settings: LayerSettings, sampler: Sampler, **options: Any) -> None:
        super().__init__(layer, settings, **options)
        self.sampler = sampler
        self.sampler_state: StateOfProcesses | None = None
        self.sampler_metrics: Sequence[Mapping[str, float]] = ()
        self.direction = settings.direction
        self.direction_state: dict[str, Tensor] = {}

    @property
    def flops(self) -> int:
        """Operations per image of the steps' products with the weights, with the sampler's present number of steps."""
        states = (self.sampler.n_chains or self.batch_size) / self.batch_size
        return flops.contrastive_divergence(self.layer.operations, self.sampler.products, states)

    def stand_at(self, epoch: int) -> None:
        """Set the number of Gibbs steps."""
        self.sampler.begin_epoch(epoch)

    def on_fit_start(self) -> None:
        """Set up what depends on the device and on processes: precision, and the sampler with its restored chains.

        Raises:
            SettingError: a precision that is not supported here, chains that cannot be divided among the processes, or
                a checkpoint of another number of processes.
        """
        self.choose_precision()
        if self.direction is not None:
            self.direction.load_state_dict(self.direction_state, self.device)
        self.step = self.new_step()
        self.destination = self.step.destination
        self.sampler.divide(self.trainer.world_size)
        if self.sampler_state is not None:
            own = of_this_process(self.sampler_state, "sampler", "its chains")
            self.sampler.load_state_dict(own, self.device)

    def new_step(self) -> Any:
        """What takes the steps."""
        settings = self.settings
        return ContrastiveStep(
            self.layer, self.sampler, self.precision, settings.sparsity, self.direction, settings.weight_limits,
            settings.dropout,
        )  # fmt: skip

    def choose_precision(self) -> None:
        """Choose the precision of the products, see :func:`dbn.machine.precision.choose_precision`."""
        connection = self.layer.connection
        choice = choose_precision(self.precision, connection, self.batch_size, self.device, connection.work)
        self.precision, self.precision_decided_by = choice.precision, choice.decided_by

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the states of the sampler's chains and of the updates' direction as well."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["sampler"] = of_all_processes(self.sampler.state_dict())
        if self.direction is not None:
            checkpoint["direction"] = self.direction.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep these states for :meth:`on_fit_start`: the module is not on its device yet."""
        super().on_load_checkpoint(checkpoint)
        self.sampler_state = checkpoint["sampler"]
        self.direction_state = checkpoint.get("direction", {})

    def begin_block(self, block: Block) -> Block:
        """See :meth:`LayerTraining.begin_block`; recorded steps rely on copies of the weight that are up to date."""
        self.step.rbm.connection.refresh()
        if self.sampler.begin_epoch(self.current_epoch) and self.graphs is not None:
            self.graphs.forget()
        return super().begin_block(block)

    def open_streams(self, name: str, *counters: int, device: torch.device) -> Source:
        """Noise that kernels draw, where units are computed by kernels."""
        draw = streams if self.step.rbm.write_gradients_of_units is None else kernel_streams
        return draw(self.seeds, name, *counters, device=device)

    def training_step(self, block: Block, index: int) -> None:
        """See :meth:`~dbn.fitting.block_module.BlockModule.training_step`; gradients are written by hand."""
        with without_autograd(block.device):
            super().training_step(block, index)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`ContrastiveStep`."""
        self.step(batch.features, optimizer, self.generator, batch.count, batch.weights)

    def on_train_epoch_end(self) -> None:
        """Have the sampler adapt to what it saw, before metrics and checkpoint."""
        self.sampler_metrics = self.sampler.end_epoch(self.layer)
        super().on_train_epoch_end()

    def further_metrics(self) -> Sequence[Mapping[str, float]]:
        """Those of the sampler."""
        return self.sampler_metrics

    def metrics_of(self, member: RBM, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """See :func:`rbm_metrics`; with ``pseudo_likelihood`` where it is watched, see :func:`watched_likelihood`."""
        metrics = rbm_metrics(member, train, validation)
        if self.patience is not None and self.patience.metric == "pseudo_likelihood" and validation is not None:
            metrics["pseudo_likelihood"] = watched_likelihood(member, validation)
        return metrics


class RBMPretraining(PretrainingMethod):
    """Pretraining of RBMs by contrastive divergence, or with another sampler of the negative phase.

    Args:
        sampler: factory of samplers, called once for each layer.

    Raises:
        SettingError: ``sampler`` is no factory.
    """

    def __init__(self, sampler: Callable[[], Sampler] = ContrastiveDivergence) -> None:
        if isinstance(sampler, Sampler) or not callable(sampler):
            raise SettingError(
                f"sampler={sampler!r}: give what makes a layer's sampler, such as the class ContrastiveDivergence "
                "itself, or functools.partial(ContrastiveDivergence, steps=3)."
            )
        self.sampler = sampler

    def new_layer(
        self, input_type: str | Mapping[str, Any], input_shape: Sequence[int], settings: LayerSettings, *,
        generator: torch.Generator | None = None, images: ImageSet | None = None,
    ) -> RBM:  # fmt: skip
        """See :meth:`PretrainingMethod.new_layer`."""
        rbm = new_unit_pair(RBM, input_type, input_shape, settings, generator, images)
        for part in (settings.sparsity, settings.direction, settings.dropout):
            if part is not None:
                part.check(rbm)  # before layers below are trained
        return rbm

    def check_settings(self, settings: LayerSettings) -> None:
        """All are in use, but for dropout with chains that persist."""
        if settings.dropout is not None:
            settings.dropout.check_sampler(call_factory("sampler", self.sampler))

    def watchable(self, input_type: str | Mapping[str, Any]) -> tuple[str, ...]:
        """The free energy gap, and on binary units the pseudo-likelihood."""
        is_binary = issubclass(Units.resolve(input_type, "stack.visible")[0], Bernoulli)
        return ("pseudo_likelihood", "free_energy_gap") if is_binary else ("free_energy_gap",)

    def training(self, layer: RBM, settings: LayerSettings, **options: Any) -> RBMTraining:
        """See :meth:`PretrainingMethod.training`."""
        return RBMTraining(layer, settings, call_factory("sampler", self.sampler), **options)
