"""What classifier and regressor have in common: pretraining on all rows, fine-tuning on those with a target."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from dbn.errors import DataError, SettingError
from dbn.machine.optimizer import SGD
from dbn.models.dbn import DBN
from dbn.models.linear import Linear
from dbn.settings import Check, check_flag, choice, optional, within
from dbn.sklearn.inputs import Inputs
from dbn.sklearn.parameters import SHARED_CHECKS, check_layer_sizes, checked, sizes_of
from dbn.sklearn.pretrained_stack import pretrained
from dbn.sklearn.progress import after_each_epoch
from dbn.sklearn.transformer import ScaledTransformer, check_layer, draw_seed
from dbn.sklearn.undisturbed import undisturbed
from finetune.networks.initialise import FromStack, Glorot, He, Initialisation
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.runs.early_stopping import BestMembers, PatientStopping
from finetune.runs.fit_module import fit_module
from finetune.tasks import FineTuning
from finetune.tasks.learning_rate_schedule import Schedule
from finetune.tasks.settings import TrainingSettings

SIGMOID, RELU = "sigmoid", "relu"
HIDDEN = {SIGMOID: "bernoulli", RELU: "relu"}
"""Hidden units of the RBMs under a network of each activation."""
RELU_RATES = (0.1, 0.01)
"""Factors of the rate of pretraining for rectified units: of the first layer, and of those above."""
WEIGHT_STD = {SIGMOID: 0.1, RELU: 0.01}
RANDOM: dict[str, Initialisation] = {SIGMOID: Glorot(gain=4.0), RELU: He()}
"""Initial weights without pretraining."""
MOST_EPOCHS, FEWEST_EPOCHS = 400, 6


def check_epochs(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a whole number from 1, or ``auto``."""
    if value != "auto":
        within(low=1, whole=True)(key, value)


CHECKS: dict[str, Check] = {
    "hidden_layer_sizes": check_layer_sizes,
    "activation": choice(*HIDDEN),
    "pretraining_epochs": within(low=0, whole=True),
    "pretraining_learning_rate": within(low=0, above=True),
    "pretraining_batch_size": within(low=1, whole=True),
    "gibbs_steps": within(low=1, whole=True),
    "epochs": check_epochs,
    "learning_rate": within(low=0, above=True),
    "batch_size": within(low=1, whole=True),
    "dropout": within(low=0, high=1, below=True),
    "weight_decay": within(low=0),
    "early_stopping": check_flag,
    "validation_fraction": within(low=0, high=1, above=True, below=True),
    "n_iter_no_change": within(low=1, whole=True),
    "warm_start": check_flag,
    "layer": optional(within(low=1, whole=True)),
    **SHARED_CHECKS,
}


class PretrainedNetwork(ScaledTransformer):
    """A network that is pretrained as a DBN on all rows, and fine-tuned by backpropagation on those with a target.

    A subclass defines :meth:`_module` and :meth:`_meaning`, and its ``fit`` calls :meth:`_fit`.

    Args:
        hidden_layer_sizes: hidden units of each layer, from the data upwards.
        activation: of the hidden units, ``sigmoid`` or ``relu``, in pretraining and fine-tuning.
        pretraining_epochs: passes over all rows for each layer; 0: random initial weights, no pretraining.
        pretraining_learning_rate: of contrastive divergence; a hundredth of it in the first layer where the visible
            units are real, a tenth where hidden units are rectified, and a hundredth in layers above such.
        pretraining_batch_size: rows per minibatch.
        gibbs_steps: steps of Gibbs sampling per update, the ``k`` of CD-k.
        epochs: passes over the rows with a target; ``auto``: from 400 for 100 of them or fewer down to 6 for 60000, see
            :func:`epochs_for`.
        learning_rate: of stochastic gradient descent with Nesterov momentum of 0.9, which falls to zero
            along a cosine; with early stopping it is constant.
        batch_size: rows per minibatch.
        dropout: probability of dropping a hidden unit.
        weight_decay: L2 penalty on the weights.
        early_stopping: hold out some rows with a target, stop when the metric on them no longer improves, and keep the
            weights of the best epoch.
        validation_fraction: fraction that is held out.
        n_iter_no_change: epochs without improvement before stopping.
        warm_start: start from the network of the previous ``fit`` where there is one, without pretraining.
        layer: hidden layer whose outputs :meth:`transform` gives, from 1; None: the top one.
        scaling: how rows become inputs, as for :class:`dbn.sklearn.RBM`.
        verbose: above 0, show the progress of pretraining, and print a line per epoch of fine-tuning.
        random_state: seed or generator; the same number gives the same bits.

    Attributes:
        network_: the network, a :class:`finetune.Network`; ``network_.save("network.safetensors")`` keeps it.
        dbn_: the pretrained stack, a :class:`dbn.DBN`, or None.
        inputs_: the scaling.
        n_iter_: epochs of fine-tuning of the last ``fit``.
        loss_curve_: mean training loss of each epoch.
    """

    _model = "network_"

    def __init__(
        self, hidden_layer_sizes: int | Sequence[int] = (500, 500), *, activation: str = SIGMOID,
        pretraining_epochs: int = 15, pretraining_learning_rate: float = 0.1, pretraining_batch_size: int = 100,
        gibbs_steps: int = 1, epochs: int | str = "auto", learning_rate: float = 0.1, batch_size: int = 20,
        dropout: float = 0.0, weight_decay: float = 1e-4, early_stopping: bool = False,
        validation_fraction: float = 0.1, n_iter_no_change: int = 10, warm_start: bool = False,
        layer: int | None = None, scaling: str = "auto", verbose: int = 0, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.pretraining_epochs = pretraining_epochs
        self.pretraining_learning_rate = pretraining_learning_rate
        self.pretraining_batch_size = pretraining_batch_size
        self.gibbs_steps = gibbs_steps
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.layer = layer
        self.scaling = scaling
        self.verbose = verbose
        self.random_state = random_state

    def transform(self, X: Any) -> NDArray:
        """Outputs of the hidden units of ``layer`` given rows ``X``, ``(n_samples, n_hidden)``."""
        check_is_fitted(self)
        check_layer(self, self.layer, len(self.network_.blocks) - 1)
        return self._applied(self.network_, X, lambda network, x: network.hidden(x)[self._layer - 1])

    @abstractmethod
    def _module(self, network: Network, settings: TrainingSettings, **options: Any) -> FineTuning:
        """The task that trains ``network``; ``options`` of :class:`finetune.tasks.base.FineTuning`."""

    @abstractmethod
    def _meaning(self) -> Meaning:
        """What inputs and outputs of the network mean, for its file."""

    def _outputs(self, X: Any, function: Callable[[Tensor], Tensor]) -> NDArray:
        """``function`` of the outputs of the network for rows ``X``, ``(n_samples, n_outputs)`` each."""
        check_is_fitted(self)
        return self._applied(self.network_, X, lambda network, x: function(network(x)))

    def _checked(self, checks: dict[str, Check] = CHECKS) -> dict[str, Any]:
        """The parameters."""
        given = checked(self, checks)
        check_layer(self, given["layer"], len(sizes_of(given["hidden_layer_sizes"])))
        return given

    def _fit(
        self, X: Any, given: dict[str, Any], rows: NDArray, targets: Tensor, weights: Tensor | None, n_outputs: int,
        strata: NDArray | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        """Pretrain and fine-tune.

        Args:
            X: validated rows, ``(n_samples, n_features)``.
            given: the parameters.
            rows: positions of the rows with a target, ``(n,)``.
            targets: of these rows, ``(n, ...)``.
            weights: of these rows' losses, ``(n,)``; None: 1 for all.
            n_outputs: of the network.
            strata: group of each of these rows, from 0, which are divided evenly where some are held out, ``(n,)``.
            **settings: further settings of fine-tuning.
        """
        seed = draw_seed(check_random_state(self.random_state))
        sizes = [X.shape[1], *sizes_of(given["hidden_layer_sizes"]), n_outputs]
        with undisturbed(self, "pretraining_learning_rate"):
            if not (given["warm_start"] and hasattr(self, "network_")):
                self.inputs_ = Inputs.of(X, given["scaling"])
                self.dbn_ = self._pretrained(X, given, sizes[1:-1], seed)
                network = self._new_network(given, sizes, seed)
            else:
                network = self._earlier_network(sizes)
        train, held_out = torch.arange(len(rows)), torch.arange(0)
        if given["early_stopping"]:
            train, held_out = hold_out(len(rows), given["validation_fraction"], strata, seed)
        training = TrainingSettings(
            epochs=epochs_for(len(train)) if given["epochs"] == "auto" else given["epochs"],
            batch_size=given["batch_size"], learning_rate=given["learning_rate"], **settings,
        )  # fmt: skip
        module = self._module(
            network,
            training,
            optimizer=partial(SGD, momentum=0.9, nesterov=True, weight_decay=given["weight_decay"]),
            schedule=None if given["early_stopping"] else Schedule(CosineAnnealingLR, length="T_max"),
            steps_per_epoch=-(-len(train) // training.batch_size),
            shape=self.inputs_.scaling.shape,
            seeds=[seed],
        )
        self.loss_curve_: list[float] = []
        callbacks: list[Callback] = [after_each_epoch(self._record)]
        best = BestMembers(f"validation/{module.monitor}")
        if given["early_stopping"]:
            stopping = PatientStopping(best.monitor, patience=given["n_iter_no_change"], mode="min")
            callbacks += [best, stopping]
        with undisturbed(self, "learning_rate"):
            images = [
                self.inputs_.images(X[rows[part.numpy()]], targets[part], None if weights is None else weights[part])
                for part in (train, held_out)
            ]
            trainer = fit_module(module, images[:1], images[1:], callbacks=callbacks)
        if given["early_stopping"]:
            best.restore(module)
        self.n_iter_ = trainer.current_epoch
        network.use_noise_from(None)
        network.zero_grad(set_to_none=True)
        network.meaning = self._meaning()
        self.network_ = network.eval()

    def _pretrained(self, X: Any, given: dict[str, Any], sizes: Sequence[int], seed: int) -> DBN | None:
        """The stack; None without pretraining."""
        if not given["pretraining_epochs"]:
            return None
        activation, rate = given["activation"], given["pretraining_learning_rate"]
        first, above = (1.0, 1.0) if activation == SIGMOID else RELU_RATES
        return pretrained(
            self.inputs_, X, sizes, seed=seed, sampler="cd", gibbs_steps=given["gibbs_steps"],
            learning_rates=[rate * first, *[rate * above] * (len(sizes) - 1)], progress=given["verbose"] > 0,
            epochs=given["pretraining_epochs"], batch_size=given["pretraining_batch_size"], hidden=HIDDEN[activation],
            weight_std=WEIGHT_STD[activation],
        )  # fmt: skip

    def _new_network(self, given: dict[str, Any], sizes: Sequence[int], seed: int) -> Network:
        """A network with initial weights."""
        activation = given["activation"]
        if self.dbn_ is None:
            layers = [Linear(n, m) for n, m in pairwise(sizes)]
        else:
            layers = [*(self.dbn_[k].encoder()[0] for k in range(len(self.dbn_))), Linear(sizes[-2], sizes[-1])]
        network = Network.of_layers(layers, activation=activation, dropout_hidden=given["dropout"])
        initialise = RANDOM[activation] if self.dbn_ is None else FromStack()
        initialise(network, seed, self.dbn_)
        network.compensate_dropout()
        return network

    def _earlier_network(self, sizes: Sequence[int]) -> Network:
        """The network of the previous fit, for a warm start.

        Raises:
            SettingError: its layers have other sizes.
        """
        if self.network_.sizes != list(sizes):
            raise SettingError(
                f"{type(self).__name__}.warm_start=true: the network of the previous fit has "
                f"{'-'.join(map(str, self.network_.sizes))} units, this one would have {'-'.join(map(str, sizes))}. "
                "Use warm_start=False."
            )
        return self.network_.train()

    def _record(self, number: int, metrics: Mapping[str, float]) -> None:
        """Keep an epoch's training loss, and print it if wanted."""
        self.loss_curve_.append(metrics["train/loss"])
        if self.verbose:
            print(f"[{type(self).__name__}] Epoch {number}, loss = {self.loss_curve_[-1]:.4f}")

    @property
    def _layer(self) -> int:
        """Hidden layer whose outputs :meth:`transform` gives, from 1."""
        return len(self.network_.blocks) - 1 if self.layer is None else self.layer

    @property
    def _n_features_out(self) -> int:
        """Number of columns that :meth:`transform` gives."""
        return self.network_.sizes[self._layer]


def hold_out(n: int, fraction: float, strata: NDArray | None, seed: int) -> tuple[Tensor, Tensor]:
    """Positions of the rows to train on and of those to validate on, of ``n``; of every stratum there are both.

    Raises:
        DataError: there are too few rows.
    """
    size = math.ceil(fraction * n)
    if strata is not None:
        counts = np.bincount(strata)
        size = max(size, len(counts))
        if counts.min() < 2 or n - size < len(counts):
            raise DataError(
                f"early_stopping: {n} rows, of which a class has {counts.min()}, are too few to hold out one of each "
                f"of {len(counts)} classes. Use early_stopping=False."
            )
    if size >= n:
        raise DataError(f"early_stopping: {n} rows are too few to hold out {size}. Use early_stopping=False.")
    train, held_out = train_test_split(np.arange(n), test_size=size, random_state=seed, stratify=strata)
    return torch.from_numpy(train), torch.from_numpy(held_out)


def epochs_for(n: int) -> int:
    """Epochs of fine-tuning on ``n`` rows: ``8000 n^-0.65``, from 6 to 400.

    Near the numbers that were the same for all arms of ``sweep=label_efficiency`` on MNIST: 400, 150, 100, 40, 20 and 6
    for 100, 300, 1000, 3000, 10000 and 50000 rows.
    """
    wanted: float = 8000 / n**0.65
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(wanted)))
