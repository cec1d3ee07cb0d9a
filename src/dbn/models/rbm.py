"""The restricted Boltzmann machine: two layers of units and the connection between them."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.machine.kernels import has_kernels
from dbn.models.connections import Connection, Dense
from dbn.models.gradients import add_weighted_sum
from dbn.models.linear import Linear, WeightLayer
from dbn.models.unit_pair import UnitPair, scaled
from dbn.models.units import Units
from dbn.random.streams import Noise
from dbn.settings import check_number

WEIGHT_STD = 0.1
"""Standard deviation of initial weights in Hinton & Salakhutdinov's released code (2006)."""


class RBM(UnitPair):
    r"""Restricted Boltzmann machine with energy :math:`E(v, h) = E_v(v) + E_h(h) - v^T W h`.

    At an inverse temperature ``beta`` other than 1 only the interaction is multiplied by it,
    :math:`-\beta\,v^T W h`: at 0 the layers are independent, and ``log Z`` is known.

    Args:
        visible: ``n_visible`` visible units.
        hidden: ``n_hidden`` hidden units.
        connection: connection of the two layers; None: dense, with weights from N(0, ``weight_std**2``).
        weight_std: standard deviation of the initial weights if ``connection`` is None (default 0.1).
        generator: source of these weights (default: torch's global one).

    Methods accept states as tensors or numpy arrays ``(batch, n)`` of floats, booleans, or zeros and ones, see
    :func:`dbn.data.tensors.as_states`, and return tensors with the dtype of the weights.

    Raises:
        SettingError: an argument has the wrong type, or the connection does not match the units.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> rbm = RBM(Bernoulli(784), Bernoulli(500))
        >>> rbm.free_energy(torch.rand(100, 784)).shape
        torch.Size([100])
        >>> rbm.gibbs(torch.rand(100, 784).round(), steps=10).shape
        torch.Size([100, 784])

    References:
        Smolensky (1986); Hinton (2002), *Training products of experts by minimizing contrastive divergence*.
    """

    kind: ClassVar[str] = "rbm"

    def __init__(
        self,
        visible: Units,
        hidden: Units,
        connection: Connection | None = None,
        *,
        weight_std: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        for name, units in (("visible", visible), ("hidden", hidden)):
            if not isinstance(units, Units):
                raise SettingError(f"{name}={units!r}: an RBM is made of units, such as {name}=Bernoulli(100).")
        if visible is hidden:
            raise SettingError(f"hidden={hidden!r} are the visible units themselves. Make hidden units of their own.")
        if connection is None:
            weight_std = WEIGHT_STD if weight_std is None else weight_std
            check_number("weight_std", weight_std, low=0)
            if generator is not None and not isinstance(generator, torch.Generator):
                raise SettingError(
                    f"generator={generator!r}: give a generator, such as dbn.random.streams.stream(0, 'init')."
                )
            connection = Dense(visible.shape, hidden.size)
            connection.initialise(weight_std, generator)
        elif not isinstance(connection, Connection):
            raise SettingError(f"connection={connection!r}: give a connection, such as Dense((784,), 500), or None.")
        elif weight_std is not None or generator is not None:
            raise SettingError("weight_std, generator: a connection has its weights: connection.initialise(0.1).")
        if (connection.n_visible, connection.n_hidden) != (visible.size, hidden.size):
            raise SettingError(
                f"connection={connection!r}: it is one of {connection.n_visible} visible with {connection.n_hidden} "
                f"hidden units; these are {visible.size} and {hidden.size}."
            )
        for name, units, shape in (
            ("visible", visible, connection.visible_shape), ("hidden", hidden, connection.hidden_shape)
        ):  # fmt: skip
            if len(units.shape) > 1 and len(shape) > 1 and tuple(units.shape) != tuple(shape):
                raise SettingError(
                    f"{name}={units!r}: the connection lays its {name} units out as {tuple(shape)}, these lie as "
                    f"{tuple(units.shape)}. Give the units the shape of the connection."
                )
        check_hidden_bias(visible, hidden)
        super().__init__(visible, hidden, connection)
        self.write_gradients_of_units: Callable[..., None] | None = None
        """Writes the units' gradients and the weighted hidden means in one pass, where there is a kernel for that."""

    @property
    def state_dtype(self) -> torch.dtype:
        """Type of states and fields in training: with kernels, that to which products round them anyway."""
        return self.weight.dtype if self.write_gradients_of_units is None else self.connection.factor_dtype

    def hidden_field(self, v: Tensor, out: Tensor | None = None, beta: float = 1.0) -> Tensor:
        """Field of the hidden units, ``beta * v @ W``: ``(batch, n_visible)`` -> ``(batch, n_hidden)``.

        With visible units that scale the hidden units' bias, :meth:`Units.hidden_bias_scale`, by ``s``, the field has
        ``(s - 1) * bias`` in it, whatever ``beta``.

        Raises:
            DataError: ``v`` cannot be states of the visible units; not checked if ``out`` is given, as in training.
        """
        v = self.visible_states(v) if out is None else v
        field = self.connection.hidden_field(v, out)
        return self.with_scaled_bias(field if beta == 1 else field.mul_(beta), v)

    def with_scaled_bias(self, field: Tensor, v: Tensor) -> Tensor:
        """The field, with what the visible states ``v`` add to the hidden units' bias, in place."""
        scale = self.visible.hidden_bias_scale(v)
        return field if scale is None else field.add_((scale - 1) * self.hidden.bias)

    def visible_field(self, h: Tensor, out: Tensor | None = None, beta: float = 1.0) -> Tensor:
        """Field of the visible units, ``beta * h @ W^T``: ``(batch, n_hidden)`` -> ``(batch, n_visible)``.

        Raises:
            DataError: ``h`` cannot be states of the hidden units; not checked if ``out`` is given, as in training.
        """
        field = self.connection.visible_field(self.hidden_states(h) if out is None else h, out)
        return field if beta == 1 else field.mul_(beta)

    def energy(self, v: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """``E(v, h)`` of pairs of states ``(batch, n_visible)``, ``(batch, n_hidden)``; ``(batch,)`` in nats."""
        v, h = self.visible_states(v), self.hidden_states(h)
        return self.visible.energy(v) + self.hidden.energy(h) - (self.hidden_field(v, beta=beta) * h).sum(-1)

    def free_energy(self, v: Tensor, beta: float | Sequence[float] = 1.0) -> Tensor:
        """``F(v) = -log sum_h exp(-E(v, h))`` of ``v`` ``(batch, n_visible)``; returns ``(batch,)`` in nats.

        For a sequence of ``beta`` it returns ``(len(beta), batch)``, with a single product with the weights.
        """
        v = self.visible_states(v)
        own, field = self.visible.energy(v), self.connection.hidden_field(v)
        if isinstance(beta, Sequence):
            fields = (self.with_scaled_bias(b * field, v) for b in beta)
            return torch.stack([own - self.hidden.log_partition(scaled_field) for scaled_field in fields])
        return own - self.hidden.log_partition(self.with_scaled_bias(field if beta == 1 else beta * field, v))

    def free_energy_hidden(self, h: Tensor, beta: float = 1.0) -> Tensor:
        """``-log sum_v exp(-E(v, h))`` of ``h`` ``(batch, n_hidden)``; returns ``(batch,)`` in nats."""
        h = self.hidden_states(h)
        own = self.hidden.energy(h) - self.visible.log_partition(self.visible_field(h, beta=beta))
        scale = self.visible.hidden_bias_scale()
        return own if scale is None else own - ((scale - 1) * self.hidden.bias * h).sum(-1)

    def mean_hidden(self, v: Tensor, beta: float = 1.0) -> Tensor:
        """``E[h | v]``, ``(batch, n_hidden)``."""
        return self.hidden.mean(self.hidden_field(v, beta=beta))

    def sample_hidden(self, v: Tensor, generator: Noise = None, beta: float = 1.0) -> Tensor:
        """Sample of ``h | v``, ``(batch, n_hidden)``."""
        return self.hidden.sample(self.hidden_field(v, beta=beta), generator)

    def mean_visible(self, h: Tensor, beta: float = 1.0) -> Tensor:
        """``E[v | h]``, ``(batch, n_visible)``."""
        return self.visible.mean(self.visible_field(h, beta=beta))

    def sample_visible(self, h: Tensor, generator: Noise = None, beta: float = 1.0) -> Tensor:
        """Sample of ``v | h``, ``(batch, n_visible)``."""
        return self.visible.sample(self.visible_field(h, beta=beta), generator)

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int, generator: Noise = None, beta: float = 1.0) -> Tensor:
        """``steps`` steps of block Gibbs sampling from visible states ``v`` ``(batch, n_visible)``; same shape."""
        check_number("steps", steps, low=0, whole=True)
        v = self.visible_states(v)
        given = self.given(v)
        for _ in range(steps):
            v = given.sample_visible(given.sample_hidden(v, generator, beta), generator, beta)
        return v

    def encoder(self) -> tuple[WeightLayer, Any]:
        """See :meth:`UnitPair.encoder`; a bias that counts for each word of a document is one on all its weights."""
        if not self.visible.scales_hidden_bias:
            return super().encoder()
        layer = self.connection.encoder(torch.zeros_like(self.hidden.bias))
        if not isinstance(layer, Linear):
            raise SettingError(
                f"{self.visible.kind} units scale the hidden units' bias, which {type(layer).__name__} has no weights "
                "for. Use connection=dense."
            )
        with torch.no_grad():
            layer.weight.add_(self.hidden.bias.unsqueeze(-1))
        return scaled(layer, self.hidden), self.hidden.activation

    def decoder(self) -> tuple[WeightLayer, Any]:
        """See :meth:`UnitPair.decoder`.

        Raises:
            SettingError: visible states have totals, which a network's outputs do not know.
        """
        if self.visible.scales_hidden_bias:
            raise SettingError(
                f"{self.visible.kind} units have no decoder: a network does not know how long the document is. Use "
                "task=classifier, or rbm.given(documents).down(h)."
            )
        return super().decoder()

    def write_gradient(self, v: Tensor, field: Tensor, mean: Tensor, state_weights: Tensor) -> None:
        r"""Write :math:`-\sum_s w_s\,\partial F(v_s)` into every ``grad``, without autograd.

        With weights :math:`-1/n` for data and :math:`1/n` for states of the model, this is the gradient of
        :math:`\langle F(v)\rangle_{data} - \langle F(v)\rangle_{model}`, which approximates that of the negative
        log-likelihood. The hidden units are summed out, :math:`\partial F/\partial W = -v\,E[h|v]^T`; units write the
        gradients of their own parameters.

        Args:
            v: visible states of both phases ``(states, n_visible)``.
            field: their hidden fields ``(states, n_hidden)``.
            mean: their hidden means ``(states, n_hidden)``; overwritten.
            state_weights: ``w``, weight of each state's ``-F(v)``, ``(states,)``; they sum to zero.

        In a group the shapes are ``(2, members, batch, n)`` and ``(2, members, batch)``.

        References:
            Hinton (2002), equation 5 onward; notes on summing out the hidden units: Marlin et al. (2010).
        """
        self.visible.write_minus_energy_gradient(v, state_weights)
        self.hidden.write_log_partition_gradient(field, mean, state_weights)
        scale = self.visible.hidden_bias_scale(v)
        if scale is not None:  # the field has the bias in it, and the gradient by the field is the mean
            add_weighted_sum(self.hidden.bias, mean, state_weights * (scale.squeeze(-1) - 1))
        self.connection.write_gradient(v, mean, state_weights)

    def write_gradient_from_field(self, v: Tensor, field: Tensor, buffer: Tensor, state_weights: Tensor) -> None:
        """As :meth:`write_gradient`, computing the hidden means itself; ``buffer`` for them is overwritten.

        Only where :attr:`write_gradients_of_units` is set.
        """
        assert self.write_gradients_of_units is not None
        self.write_gradients_of_units(self.visible, self.hidden, v, field, buffer, state_weights)
        self.connection.write_weighted_gradient(v, buffer)

    def in_kernels(self) -> "RBM":
        """For training on a GPU: an RBM with the same parameters whose units are computed by kernels.

        Its states and fields in training are rounded to what its products take, see :attr:`state_dtype`. An RBM with
        units of other than the built-in types, or on a device without kernels, is returned itself.
        """
        if not has_kernels(self.weight.device):
            return self
        from dbn.models.units import in_kernels  # imports Triton

        if not all(type(units) in in_kernels.FUNCTIONS for units in (self.visible, self.hidden)):
            return self
        rbm = RBM(in_kernels.KernelUnits(self.visible), in_kernels.KernelUnits(self.hidden), self.connection)
        rbm.write_gradients_of_units = in_kernels.write_gradients_of_units
        return rbm


def check_hidden_bias(visible: Units, hidden: Units) -> None:
    """Check that visible units that scale the hidden units' bias find one, and are not hidden themselves.

    Raises:
        SettingError: they do not.
    """
    if hidden.scales_hidden_bias:
        raise SettingError(f"hidden={hidden.kind}: such units are visible ones, which scale the other layer's bias.")
    if visible.scales_hidden_bias and not hidden.has_one_bias:
        raise SettingError(
            f"visible={visible.kind}: such units scale the hidden units' bias, and {hidden.kind} units have none of "
            "one piece. Use hidden units of one type with a dense connection, such as bernoulli ones."
        )
