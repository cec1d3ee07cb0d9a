"""Training one RBM: its settings, the step, and the LightningModule round it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F

from dbn.augmented import Prepare
from dbn.data.blocks import Block, BlockLoader, Minibatch
from dbn.data.from_arrays import training_images
from dbn.data.images import Images
from dbn.errors import DivergenceError, SettingError
from dbn.graphs import BlockGraphs
from dbn.loop import BlockModule, Optimizer, add_gradients, interrupts_passing, loader_context, make_trainer, quiet
from dbn.optimizer import SGD
from dbn.parallel import members_of
from dbn.precision import PRECISIONS, Bfloat16RBM, choose_precision
from dbn.rbm import RBM, Phases
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import Check, calling, check_choice, check_flag, check_keys, check_number, check_table, choice, within
from dbn.streams import Noise, streams
from dbn.threads import threads_for
from dbn.units import UNITS

OptimizerFactory = Callable[..., Optimizer]


LAYER_CHECKS: dict[str, Check] = {
    "n_hidden": within(low=1, whole=True),
    "hidden": choice(*UNITS),
    "learning_rate": within(low=0, above=True),
    "initial_momentum": within(low=0, high=1, below=True),
    "initial_momentum_epochs": within(low=0, whole=True),
    "momentum": within(low=0, high=1, below=True),
    "weight_cost": within(low=0),
    "epochs": within(low=1, whole=True),
    "batch_size": within(low=1, whole=True),
    "weight_std": within(low=0),
    "bias_from_data": check_flag,
}
"""Of the settings of a layer, wherever they are given."""


@dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """How one layer is pretrained. The defaults are the recipe of Hinton & Salakhutdinov's released code (2006).

    Attributes:
        n_hidden: hidden units.
        hidden: their type.
        learning_rate: of weights and biases.
        initial_momentum: momentum of the first epochs.
        initial_momentum_epochs: how many they are.
        momentum: momentum from then on.
        weight_cost: L2 penalty on the weights (not on biases).
        epochs: passes through the training images.
        batch_size: images per minibatch.
        weight_std: standard deviation of the initial weights.
        bias_from_data: start the visible biases at the training images' mean (Hinton 2012, section 8.1), not at zero.

    Raises:
        SettingError: a value that cannot be used.
    """

    n_hidden: int
    hidden: str = "bernoulli"
    learning_rate: float = 0.1
    initial_momentum: float = 0.5
    initial_momentum_epochs: int = 5
    momentum: float = 0.9
    weight_cost: float = 2e-4
    epochs: int = 50
    batch_size: int = 100
    weight_std: float = 0.1
    bias_from_data: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        check_table("stack.layers", vars(self), LAYER_CHECKS)

    def momentum_at(self, epoch: int) -> float:
        """Momentum of ``epoch``, counted from 0."""
        return self.initial_momentum if epoch < self.initial_momentum_epochs else self.momentum


class ContrastiveStep:
    """One update of an RBM from one minibatch: positive phase, negative phase, gradient, optimiser.

    Its buffers are made at the first minibatch of a size and used again by all that follow.

    Args:
        rbm: the model, changed in place; a :class:`dbn.parallel.ParallelRBM` takes a step of each member.
        sampler: where the negative phase comes from.
        precision: of the matrix products, ``float32`` (the model's own) or ``bf16``.
    """

    def __init__(self, rbm: RBM, sampler: Sampler, precision: str = "float32") -> None:
        self.reduced = Bfloat16RBM(rbm) if precision == "bf16" else None
        self.rbm = rbm if self.reduced is None else self.reduced
        self.sampler = sampler
        self.phases: dict[int, Phases] = {}

    @torch.no_grad()
    def __call__(
        self, v: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None
    ) -> None:
        """Take the step.

        Args:
            v: data ``(batch, n_visible)``, of a group ``(members, batch, n_visible)``; real values in [0, 1] count as
                probabilities for binary units.
            optimizer: any torch optimiser over the model's parameters.
            generator: source of the sampler's noise.
            count: images in the whole minibatch where several processes share it; default ``batch``.
        """
        rbm, phases = self.rbm, self.phases_of(v.shape[-2])
        positive, negative = phases.positive, phases.negative
        if self.reduced is not None:
            self.reduced.refresh()
        if v.data_ptr() != positive.v.data_ptr():
            positive.v.copy_(v)
        positive.look(rbm)
        self.sampler.write_negative_states(rbm, positive, negative.v, generator)
        negative.look(rbm)
        rbm.write_gradient(phases, count)
        add_gradients(rbm)
        optimizer.step()

    def place(self, batch: int) -> Tensor:
        """Where a minibatch of ``batch`` images may be written to before a step, which then has nothing to copy."""
        return self.phases_of(batch).positive.v

    def phases_of(self, batch: int) -> Phases:
        """The buffers for minibatches of ``batch`` images."""
        phases = self.phases.get(batch)
        if phases is None:
            phases = self.phases[batch] = Phases(self.rbm, batch)
        return phases


class RBMTraining(BlockModule):
    """Trains one RBM of a stack, or those of several stacks together.

    Args:
        rbm: the model, or a :class:`dbn.parallel.ParallelRBM`.
        settings: how.
        sampler: where the negative phase comes from.
        seeds: the run's seed; of a group, each member's.
        layer: number of the layer, from 1: names metrics and streams.
        optimizer: makes the optimiser from parameter groups, ``lr`` and, if it has one, ``momentum``.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.precision`.
        prepare: what is done to a block's features first, drawing from the stream ``pretraining_augment``.
        monitor_train: training images to watch, ``(n, n_visible)``, for each member.
        monitor_validation: validation images to watch, ``(m, n_visible)``, for each member; None where there are none.
    """

    def __init__(
        self,
        rbm: RBM,
        settings: LayerSettings,
        sampler: Sampler,
        *,
        seeds: Sequence[int] = (0,),
        layer: int = 1,
        optimizer: OptimizerFactory = SGD,
        precision: str = "auto",
        prepare: Prepare | None = None,
        monitor_train: Sequence[Tensor] | None = None,
        monitor_validation: Sequence[Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.rbm = rbm
        self.settings = settings
        self.batch_size = settings.batch_size
        self.sampler = sampler
        self.seeds = seeds
        self.layer = layer
        self.make_optimizer = optimizer
        self.monitor_train = monitor_train
        self.monitor_validation = monitor_validation
        self.precision = precision
        self.prepare = prepare
        self.generator: Noise = None
        self.sampler_state: dict[str, Tensor] | None = None

    def configure_optimizers(self) -> Optimizer:
        """The weight cost applies to weights only."""
        biases = [parameter for name, parameter in self.rbm.named_parameters() if name != "weight"]
        groups = [
            {"params": [self.rbm.weight], "weight_decay": self.settings.weight_cost},
            {"params": biases, "weight_decay": 0.0},
        ]
        return calling("stack.optimizer", self.make_optimizer, groups, lr=self.settings.learning_rate)

    def on_fit_start(self) -> None:
        """Choose the precision, whether to record blocks, and where chains go on, now that the device is known.

        Raises:
            SettingError: persistent chains and several processes.
        """
        product = self.batch_size * self.rbm.n_visible * self.rbm.n_hidden
        self.precision = choose_precision(self.precision, product, self.device)
        self.step = ContrastiveStep(self.rbm, self.sampler, self.precision)
        self.place = self.step.place
        if self.sampler.persistent and self.trainer.world_size > 1:
            raise SettingError(
                "sampler=pcd: chains belong to one process, and a checkpoint could not hold those of "
                f"{self.trainer.world_size}. Use sampler=cd, or trainer.devices=1."
            )
        if self.device.type == "cuda" and self.trainer.world_size == 1 and self.optimizer_stays_in_place():
            self.graphs = BlockGraphs()
        if self.sampler_state is not None:
            self.sampler.load_state_dict(self.sampler_state, self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep where the sampler's chains are."""
        checkpoint["sampler"] = self.sampler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the sampler's chains: Lightning reads a checkpoint before it moves the module to its device."""
        self.sampler_state = checkpoint["sampler"]

    def optimizer_stays_in_place(self) -> bool:
        """Whether a step of the optimiser can be recorded: ours can, of others that is not known."""
        return isinstance(self.lightning_optimizer().optimizer, SGD)

    def on_train_epoch_start(self) -> None:
        """Set the momentum of this epoch, for optimisers that have one."""
        for group in self.lightning_optimizer().optimizer.param_groups:
            if "momentum" in group:
                group["momentum"] = self.settings.momentum_at(self.current_epoch)

    def begin_block(self, block: Block) -> Block:
        """Open the block's stream of Gibbs noise, and deform its images where that is wanted."""
        counters = (self.layer, self.current_epoch, block.number, self.global_rank)
        generator = streams(self.seeds, "gibbs", *counters, device=block.device)
        self.generator = generator if self.graphs is None else self.graphs.reseeded(generator)
        if self.prepare is None:
            return block
        noise = streams(self.seeds, "pretraining_augment", *counters, device=block.device)
        return block.with_features(self.prepare(block.features, noise))

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """One step of the sampler's kind."""
        self.step(batch.features, optimizer, self.generator, batch.count)

    def on_train_epoch_end(self) -> None:
        """Stop at values that are not finite, before a checkpoint is written; otherwise log what can be watched.

        Raises:
            DivergenceError: a parameter is not a finite number.
        """
        diverged = self.diverged()
        if diverged is not None:
            raise DivergenceError(
                f"Layer {self.layer} diverged in epoch {self.current_epoch + 1}{diverged}: its parameters are no "
                f"longer finite. Lower stack.every_layer.learning_rate (it is {self.settings.learning_rate:g}; "
                "real-valued units need about 0.001), and give Gaussian visible units standardised images "
                "(data.standardise=true)."
            )
        if self.monitor_train is not None:
            validation = repeat(None) if self.monitor_validation is None else self.monitor_validation
            watched = map(monitor, members_of(self.rbm), self.monitor_train, validation)
            self.log_rows([{f"layer{self.layer}/{name}": x for name, x in metrics.items()} for metrics in watched])


@torch.no_grad()
def monitor(rbm: RBM, train: Tensor, validation: Tensor | None = None) -> dict[str, float]:
    """What tells whether an RBM learns.

    Args:
        rbm: the model.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.

    Returns:
        ``reconstruction_error``: squared error of the mean-field reconstruction, summed over an image, mean over them.
        ``free_energy_gap``: mean free energy of validation images less that of training images, in nats: a gap that
        grows is overfitting (Hinton 2012, section 6). A free energy by itself is known up to log Z alone, so that those
        of two models, two epochs or two precisions are not comparable: there is no metric of it. ``weight_norm``:
        Frobenius norm.
        ``fraction_inactive`` and ``fraction_saturated``: share of hidden units whose mean activation is under 0.01, or
        over 0.99.
    """
    field = rbm.hidden_field(train)
    h = rbm.hidden.mean(field)
    activation = h.mean(0)
    metrics = {
        "reconstruction_error": F.mse_loss(rbm.mean_visible(h), train) * rbm.n_visible,
        "weight_norm": rbm.weight.norm(),
        "fraction_inactive": (activation < 0.01).float().mean(),
        "fraction_saturated": (activation > 0.99).float().mean(),
    }
    if validation is not None and len(validation):
        free_energy = rbm.visible.energy(train) - rbm.hidden.log_partition(field)
        metrics["free_energy_gap"] = rbm.free_energy(validation).mean() - free_energy.mean()
    return {name: float(value) for name, value in metrics.items()}


def fit(
    rbm: RBM,
    images: Images | Tensor | NDArray[Any],
    *,
    epochs: int = 50,
    sampler: Sampler | None = None,
    seed: int = 0,
    precision: str = "auto",
    callbacks: Iterable[Callback] | Callback = (),
    **settings: Any,
) -> RBM:
    """Train an RBM on images, in a notebook or a script; leaves nothing on disk.

    Args:
        rbm: the model, changed in place. It is trained on the device that it is on, from the weights that it has.
        images: training images, such as ``load_data(digits()).train``, or their features: a tensor or an array of any
            floating-point type, booleans, or zeros and ones, ``(n, n_visible)``, ``(n, height, width)`` or
            ``(n, channels, height, width)``. Features must be values that the visible units can have: Bernoulli units
            need [0, 1]. Nothing is scaled here: 8-bit greys are given as ``X / 255``.
        epochs: passes through the images.
        sampler: where the negative phase comes from; ``ContrastiveDivergence(1)`` by default.
        seed: of the order of the images and the Gibbs noise.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.precision`.
        callbacks: Lightning callbacks, e.g. ``dbn.progress.FitProgress("my RBM", "layer1/weight_norm", "norm")``.
        **settings: further fields of :class:`LayerSettings` that say how to train. With ``bias_from_data=True`` the
            visible biases start anew, from the mean of these images.

    Returns:
        The same RBM.

    Raises:
        SettingError: a setting that cannot be used, or that would have no effect here.
        DataError: there are no images, or they cannot be what the RBM is trained on; see
            :func:`dbn.data.from_arrays.training_images`.
        DivergenceError: training met values that are not finite.

    Example:
        >>> fit(RBM(Bernoulli(64), Bernoulli(100)), X / 255, epochs=20, learning_rate=0.05)
    """
    if not isinstance(rbm, RBM):
        raise SettingError(
            f"rbm is a {type(rbm).__name__}: fit trains one RBM. Train a stack with dbn.pretraining.pretrain_stack."
        )
    check_number("seed", seed, low=0, whole=True)
    check_choice("precision", precision, PRECISIONS)
    layer = _settings_of_fit(rbm, sampler, {**settings, "epochs": epochs})
    images = training_images(images, rbm.n_visible, rbm.visible.interval, type(rbm.visible).__name__)
    device, options = rbm.weight.device, _trainer_on(rbm.weight.device)
    if layer.bias_from_data:
        rbm.visible.initialise_bias(images.mean())
    images = images.to(device)
    watched = images.sample(MONITOR_IMAGES).to(rbm.weight.dtype)
    module = RBMTraining(rbm, layer, sampler or ContrastiveDivergence(), seeds=[seed], precision=precision,
                         monitor_train=[watched])  # fmt: skip
    callbacks = [callbacks] if isinstance(callbacks, Callback) else callbacks
    with quiet():
        trainer = make_trainer(directory=None, max_epochs=epochs, callbacks=callbacks, options=options)
        loader = BlockLoader(images, batch_size=layer.batch_size, seed=seed, counters=(1,), **loader_context(trainer))
        with threads_for(module.largest_product), interrupts_passing():
            trainer.fit(module, loader)
    return rbm.to(device)  # Lightning leaves what it trained on a GPU on the CPU


def _settings_of_fit(rbm: RBM, sampler: Sampler | None, settings: dict[str, Any]) -> LayerSettings:
    """What :func:`fit` was told, checked: nothing that it is told is without effect."""
    kind = type(sampler).__name__ if isinstance(sampler, Sampler) else "ContrastiveDivergence"
    made = "fit trains the RBM that it is given. Say it where the RBM is made:"
    elsewhere = {
        "n_hidden": f"{made} RBM({type(rbm.visible).__name__}({rbm.n_visible}), Bernoulli(n_hidden)).",
        "hidden": f"{made} RBM({type(rbm.visible).__name__}({rbm.n_visible}), Gaussian({rbm.n_hidden})), for instance.",
        "weight_std": f"{made} RBM(visible, hidden, weight_std={settings.get('weight_std')!r}).",
        "steps": f"these are a sampler's. Give fit a sampler that takes as many: {kind}({settings.get('steps')!r}).",
    }
    for name, words in elsewhere.items():
        if name in settings:
            raise SettingError(f"{name}={settings[name]!r}: {words}")
    check_keys("fit", settings, LayerSettings.__dataclass_fields__.keys() - elsewhere.keys())
    if sampler is not None and not isinstance(sampler, Sampler):
        raise SettingError(f"sampler={sampler!r}: give a sampler itself, such as ContrastiveDivergence(1), or None.")
    return LayerSettings(n_hidden=rbm.n_hidden, hidden=rbm.hidden.kind, **settings)


def _trainer_on(device: torch.device) -> dict[str, Any]:
    """The Trainer's options for training where a model is."""
    if device.type not in ACCELERATORS:
        raise SettingError(f"The RBM is on {device}. It can be trained on one of {', '.join(ACCELERATORS)}.")
    return {"accelerator": ACCELERATORS[device.type], "devices": [device.index] if device.type == "cuda" else 1}


ACCELERATORS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}
"""Lightning's names of devices."""
MONITOR_IMAGES = 1000
"""Images of each split on which an RBM is watched."""
