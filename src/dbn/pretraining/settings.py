"""Settings of a layer's pretraining; the defaults are the recipe of Hinton & Salakhutdinov (2006)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbn.errors import SettingError
from dbn.models.connections import Connection
from dbn.models.registry import Registered
from dbn.models.units import MaxPooled, PerMap, Units
from dbn.pretraining.gradients import Gradient, Plain
from dbn.pretraining.hidden_dropout import HiddenDropout
from dbn.pretraining.sparsity import Sparsity
from dbn.pretraining.weight_limits import WeightLimits
from dbn.settings import Check, check_flag, check_number, check_table, choice, format_value, optional, within


def check_kind(family: type[Registered]) -> Check:
    """A check that accepts the kind of a registered type, or kind and options, see :class:`Registered`."""

    def passes(key: str, value: Any) -> None:
        family.resolve(value, key)

    return passes


def check_gradient(key: str, value: Any) -> None:
    """Check the direction of updates, kind, or kind and options.

    Raises:
        SettingError: no such direction, or an option that is invalid.
    """
    Gradient.create(value, key)


def check_units(key: str, value: Any) -> None:
    """Check the type of units that a layer is given.

    Raises:
        SettingError: no such type or option, or a type that the connection makes of the given one.
    """
    found, options = Units.resolve(value, key)
    found.check_options(key, options)
    if issubclass(found, MaxPooled | PerMap):
        raise SettingError(
            f"{key}={format_value(value)}: a convolutional layer makes its units those of maps by itself. Give the "
            "type of each unit, such as bernoulli, and to a layer that is pooled pool: 2."
        )


GLOROT = "glorot"
"""Standard deviation of initial weights that follows from the layer's size."""


def check_weight_std(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number from 0, or ``glorot``."""
    if isinstance(value, str) and value != GLOROT:
        raise SettingError(f"{key}={format_value(value)}: use a number from 0, such as 0.01, or {GLOROT}.")
    if value != GLOROT:
        check_number(key, value, low=0)


LAYER_CHECKS: dict[str, Check] = {
    "n_hidden": within(low=1, whole=True),
    "hidden": check_units,
    "connection": check_kind(Connection),
    "pool": optional(within(low=2, whole=True)),
    "learning_rate": within(low=0, above=True),
    "final_learning_rate": optional(within(low=0)),
    "initial_momentum": within(low=0, high=1, below=True),
    "initial_momentum_epochs": within(low=0, whole=True),
    "momentum": within(low=0, high=1, below=True),
    "weight_cost": within(low=0),
    "epochs": within(low=1, whole=True),
    "batch_size": within(low=1, whole=True),
    "weight_std": check_weight_std,
    "bias_from_data": check_flag,
    "variance_from_data": check_flag,
    "gradient": check_gradient,
    "l1_cost": within(low=0),
    "max_norm": optional(within(low=0, above=True)),
    "dropout_hidden": within(low=0, high=1, below=True),
    "sparsity_target": optional(within(low=0, high=1, above=True, below=True)),
    "sparsity_cost": within(low=0, above=True),
    "patience": optional(within(low=1, whole=True)),
    "watch": choice("pseudo_likelihood", "free_energy_gap", "validation_reconstruction_error"),
}
"""Checks of the settings of a layer."""

GRADIENT_SETTINGS = ("gradient", "l1_cost", "max_norm", "dropout_hidden", "sparsity_target")
"""Settings that are about the gradient of an RBM and about what is added to it."""


@dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """Settings of one layer. The defaults are the recipe of Hinton & Salakhutdinov's released code (2006).

    Attributes:
        n_hidden: number of hidden units, or of feature maps, depending on the connection.
        hidden: kind of the hidden units, ``"bernoulli"``, or with options ``{"kind": "softmax", "categories": 4}``.
        connection: kind of the connection, or kind and options.
        pool: of a convolutional layer, side of the blocks of a map that the layer above sees one unit of; None: all.
        learning_rate: of weights and biases.
        final_learning_rate: to which it moves from epoch to epoch in equal steps, reached only after the last (0 as in
            Tieleman 2008); None: it stays.
        initial_momentum: momentum of the first epochs.
        initial_momentum_epochs: number of these epochs.
        momentum: momentum of later epochs.
        weight_cost: L2 penalty on the weights (not on biases).
        epochs: passes through the training images.
        batch_size: images per minibatch.
        weight_std: standard deviation of the initial weights; ``glorot``: one that suits the layer's size, see
            :attr:`dbn.models.connections.Connection.glorot_std`.
        bias_from_data: initialise the visible biases from the training images' mean (Hinton 2012, section 8.1), not at
            zero. Constant pixels and categories that never occur get finite biases: rates are kept 1/1000 from 0 and 1.
        variance_from_data: initialise the learned variances of visible units from the training images', not at one.
            Those of constant pixels are twice the floor, see :class:`dbn.models.units.GaussianWithVariance`.
        gradient: direction of the updates: ``plain``; ``centered``, or with options ``{"kind": "centered", "offsets":
            "average", "rate": 0.01}``, see :class:`dbn.pretraining.gradients.Centered`; or ``enhanced``.
        l1_cost: L1 penalty on the weights, see :class:`dbn.pretraining.weight_limits.WeightLimits`.
        max_norm: largest norm of a hidden unit's weights, to which they are scaled back; None: any.
        dropout_hidden: probability of leaving out a hidden unit, see
            :class:`dbn.pretraining.hidden_dropout.HiddenDropout`.
        sparsity_target: mean activation that binary hidden units are moved to, see
            :class:`dbn.pretraining.sparsity.Sparsity`; None: as it comes.
        sparsity_cost: how strongly.
        patience: stop after so many epochs in which ``watch`` has not improved; None: train for all ``epochs``.
        watch: the metric of validation images that ``patience`` watches, see
            :meth:`dbn.pretraining.method.PretrainingMethod.watchable`. ``pseudo_likelihood`` rises while a layer learns
            and falls when it overfits; ``free_energy_gap`` only says how far it overfits, and starts at zero.
        given_at: keys of a configuration that gave these settings, by name, for messages, where it is not the group
            ``stack.every_layer``: no setting itself.

    Raises:
        SettingError: an invalid value.
    """

    n_hidden: int
    hidden: str | Mapping[str, Any] = "bernoulli"
    connection: str | Mapping[str, Any] = "dense"
    pool: int | None = None
    learning_rate: float = 0.1
    final_learning_rate: float | None = None
    initial_momentum: float = 0.5
    initial_momentum_epochs: int = 5
    momentum: float = 0.9
    weight_cost: float = 2e-4
    epochs: int = 50
    batch_size: int = 100
    weight_std: float | str = 0.1
    bias_from_data: bool = False
    variance_from_data: bool = False
    gradient: str | Mapping[str, Any] = "plain"
    l1_cost: float = 0.0
    max_norm: float | None = None
    dropout_hidden: float = 0.0
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1
    patience: int | None = None
    watch: str = "pseudo_likelihood"
    given_at: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check every value."""
        check_table("stack.layers", self.values(), LAYER_CHECKS)

    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: value for name, value in vars(self).items() if name != "given_at"}

    def key(self, name: str) -> str:
        """The key by which the setting ``name`` of this layer is changed, ``stack.layers.0.learning_rate``."""
        return self.given_at.get(name, f"stack.every_layer.{name}")

    @property
    def sparsity(self) -> Sparsity | None:
        """The target for the hidden units' activation, if there is one."""
        return None if self.sparsity_target is None else Sparsity(self.sparsity_target, self.sparsity_cost)

    @property
    def direction(self) -> Gradient | None:
        """The direction of updates, new for each fit; None where the gradient is taken as it is."""
        direction: Gradient = Gradient.create(self.gradient, "stack.every_layer.gradient")
        return None if isinstance(direction, Plain) else direction

    @property
    def weight_limits(self) -> WeightLimits | None:
        """What limits the weights, if anything does."""
        return WeightLimits(self.l1_cost, self.max_norm) if self.l1_cost or self.max_norm is not None else None

    @property
    def dropout(self) -> HiddenDropout | None:
        """The dropout of hidden units, new for each fit; None where all take part."""
        return HiddenDropout(self.dropout_hidden) if self.dropout_hidden else None

    def on_images(self) -> "LayerSettings":
        """The settings of the lowest layer, whose inputs are images as they are stored: channels first."""
        found, options = Connection.resolve(self.connection, "connection")
        if "maps_first" not in found.options:
            return self
        return replace(self, connection={"kind": found.kind, **options, "maps_first": True})

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of ``epoch``, counted from 0."""
        if self.final_learning_rate is None:
            return self.learning_rate
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * epoch / self.epochs

    def momentum_at(self, epoch: int) -> float:
        """Momentum of ``epoch``, counted from 0."""
        return self.initial_momentum if epoch < self.initial_momentum_epochs else self.momentum
