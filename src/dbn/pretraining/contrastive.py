"""Training of RBMs by contrastive divergence: the training step, its LightningModule, the pretraining method."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients
from dbn.likelihood import pseudo_log_likelihood
from dbn.machine.kernels import kernel_streams
from dbn.machine.precision import choose_precision
from dbn.models import flops
from dbn.models.gradients import gradient_of
from dbn.models.phases import Phases
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Units
from dbn.pretraining.method import LayerTraining, PretrainingMethod
from dbn.pretraining.new_unit_pair import new_unit_pair
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.sparsity import Sparsity
from dbn.random.streams import Noise, Source, stream, streams
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

    Raises:
        SettingError: the hidden units have no such fraction.
    """

    def __init__(
        self, rbm: RBM, sampler: Sampler, precision: str = "float32", sparsity: Sparsity | None = None
    ) -> None:
        self.rbm = rbm.in_precision(precision).in_kernels()
        self.sampler = sampler
        self.phases: dict[int, Phases] = {}
        self.shared = shared_parameters(self.rbm)
        self.sparsity = sparsity
        if sparsity is not None:
            sparsity.check(rbm)
        if sampler.persistent and rbm.visible.scales_hidden_bias:
            raise SettingError(
                f"sampler={type(sampler).__name__}: documents of each length have a distribution of their own, and "
                f"persistent chains of {rbm.visible.kind} units keep the lengths of other documents. Use sampler=cd."
            )

    def __call__(
        self, v: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None
    ) -> None:
        """Take the step.

        Args:
            v: data ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``; for binary units, values in
                [0, 1] are probabilities.
            optimizer: any torch optimiser of the model's parameters.
            generator: source of the sampler's noise.
            count: images in the minibatch over all processes; default ``batch``.
        """
        if torch.is_grad_enabled():  # within a block that was said once: saying it takes as long as a small product
            with without_autograd(v.device):
                self(v, optimizer, generator, count)
            return
        rbm, phases = self.rbm, self.phases_of(v.shape[-2])
        positive, negative = phases.positive, phases.negative
        rbm.connection.refresh()
        if v.data_ptr() != positive.v.data_ptr():
            positive.v.copy_(v)
        if self.sampler.starts_at_data:
            positive.condition_on_visible(rbm)
            self.sampler.write_negative_states(rbm, positive, negative.v, generator)
            negative.condition_on_visible(rbm)
        else:
            self.sampler.write_negative_states(rbm, positive, negative.v, generator)
            phases.condition_on_visible(rbm)
        self.sampler.continue_chains(rbm, phases, generator)
        pull = None
        if self.sparsity is not None:
            pull = self.sparsity.pull(rbm, positive.mean, 1 if count is None else v.shape[-2] / count)
        phases.write_gradient(rbm, count)
        for parameter, positions in self.shared:
            gradient_of(parameter).div_(positions)
        if pull is not None:
            gradient_of(rbm.hidden.bias).add_(pull)
        add_gradients(rbm)
        optimizer.step()

    def destination(self, batch: int) -> Tensor:
        """Reusable buffer for the features of ``batch`` images, which saves the step a copy."""
        return self.phases_of(batch).positive.v

    def phases_of(self, batch: int) -> Phases:
        """The buffers for minibatches of ``batch`` images."""
        phases = self.phases.get(batch)
        if phases is None:
            phases = self.phases[batch] = Phases(self.rbm, batch)
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

    layer: RBM

    def __init__(self, layer: RBM, settings: LayerSettings, sampler: Sampler, **options: Any) -> None:
        super().__init__(layer, settings, **options)
        self.sampler = sampler
        self.sampler_state: dict[str, Tensor] | None = None

    @property
    def flops(self) -> int:
        """Operations per image of the step's products with the weights."""
        return flops.contrastive_divergence(self.layer.operations, self.sampler.products)

    def on_fit_start(self) -> None:
        """Set up what depends on the device: precision and the sampler's restored chains.

        Raises:
            SettingError: persistent chains with several processes, or a precision that is not supported here.
        """
        self.choose_precision()
        self.step = ContrastiveStep(self.layer, self.sampler, self.precision, self.settings.sparsity)
        self.destination = self.step.destination
        if self.sampler.persistent and self.trainer.world_size > 1:
            raise SettingError(
                "sampler=pcd: chains belong to one process, and a checkpoint could not hold those of "
                f"{self.trainer.world_size}. Use sampler=cd, or trainer.devices=1."
            )
        if self.sampler_state is not None:
            self.sampler.load_state_dict(self.sampler_state, self.device)

    def choose_precision(self) -> None:
        """Choose the precision of the products, see :func:`dbn.machine.precision.choose_precision`."""
        connection = self.layer.connection
        choice = choose_precision(self.precision, connection, self.batch_size, self.device, connection.work)
        self.precision, self.precision_decided_by = choice.precision, choice.decided_by

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the states of the sampler's chains as well."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["sampler"] = self.sampler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sampler's state for :meth:`on_fit_start`: the module is not on its device yet."""
        super().on_load_checkpoint(checkpoint)
        self.sampler_state = checkpoint["sampler"]

    def begin_block(self, block: Block) -> Block:
        """See :meth:`LayerTraining.begin_block`; recorded steps rely on copies of the weight that are up to date."""
        self.step.rbm.connection.refresh()
        return super().begin_block(block)

    def open_streams(self, name: str, *counters: int, device: torch.device) -> Source:
        """Noise that kernels draw, where units are computed by kernels."""
        draw = streams if self.step.rbm.write_gradients_of_units is None else kernel_streams
        return draw(self.seeds, name, *counters, device=device)

    def training_step(self, block: Block, index: int) -> None:
        """See :meth:`BlockModule.training_step`; gradients are written by hand."""
        with without_autograd(block.device):
            super().training_step(block, index)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`ContrastiveStep`."""
        self.step(batch.features, optimizer, self.generator, batch.count)

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
        self,
        input_type: str | Mapping[str, Any],
        input_shape: Sequence[int],
        settings: LayerSettings,
        *,
        generator: torch.Generator | None = None,
        images: ImageSet | None = None,
    ) -> RBM:
        """See :meth:`PretrainingMethod.new_layer`."""
        return new_unit_pair(RBM, input_type, input_shape, settings, generator, images)

    def watchable(self, input_type: str | Mapping[str, Any]) -> tuple[str, ...]:
        """The free energy gap, and on binary units the pseudo-likelihood."""
        is_binary = issubclass(Units.resolve(input_type, "stack.visible")[0], Bernoulli)
        return ("pseudo_likelihood", "free_energy_gap") if is_binary else ("free_energy_gap",)

    def training(self, layer: RBM, settings: LayerSettings, **options: Any) -> RBMTraining:
        """See :meth:`PretrainingMethod.training`."""
        return RBMTraining(layer, settings, call_factory("sampler", self.sampler), **options)


WATCHED_TERMS = 2000
"""Terms of the pseudo-likelihood that are watched, at least."""


def watched_likelihood(rbm: RBM, images: Tensor) -> float:
    """Mean log pseudo-likelihood of ``images`` ``(n, n_visible)``, in nats, estimated from a few terms.

    Each image stands for a few randomly drawn units, at least :data:`WATCHED_TERMS` in all. These are the same in every
    epoch, arm, seed and resumed fit, so that two epochs differ by what the layer learned, not by the draw.
    """
    images = images.repeat(-(-WATCHED_TERMS // len(images)), 1)
    units = torch.randint(rbm.n_visible, (len(images),), generator=stream(0, "watched_units"))
    return float(pseudo_log_likelihood(rbm, images, units.to(images.device)).mean())


@torch.no_grad()
def rbm_metrics(rbm: RBM, train: Tensor, validation: Tensor | None = None) -> dict[str, float]:
    """Metrics of an RBM for monitoring.

    Args:
        rbm: the model.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.

    Returns:
        ``reconstruction_error``: squared error of the mean-field reconstruction, summed over pixels, mean over images.
        ``free_energy_gap``: mean free energy of validation images minus that of training images, in nats; a growing
        gap shows overfitting (Hinton 2012, section 6). (Free energies themselves are no metric: they lack log Z, so
        that those of different models or epochs are not comparable.)
        ``weight_norm``: Frobenius norm.
        ``fraction_inactive``, ``fraction_saturated``: fraction of hidden units with mean activation below 0.01, above
        0.99, of their interval where it is finite.
    """
    field = rbm.hidden_field(train)
    h = rbm.hidden.mean(field)
    low, high = rbm.hidden.interval
    activation = (h.mean(0) - low) / (high - low) if math.isfinite(high - low) else h.mean(0)
    metrics = {
        "reconstruction_error": F.mse_loss(rbm.given(train).mean_visible(h), train) * rbm.n_visible,
        "weight_norm": rbm.weight.norm(),
        "fraction_inactive": (activation < 0.01).float().mean(),
        "fraction_saturated": (activation > 0.99).float().mean(),
    }
    if validation is not None and len(validation):
        free_energy = rbm.visible.energy(train) - rbm.hidden.log_partition(field)
        metrics["free_energy_gap"] = rbm.free_energy(validation).mean() - free_energy.mean()
    return {name: float(value) for name, value in metrics.items()}
