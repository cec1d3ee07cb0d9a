"""The deep Boltzmann machine: layers of units, each connected with the next, and no direction."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dbn.data.tensors import as_states
from dbn.errors import SettingError
from dbn.models.connections import Connection, Dense, Doubled
from dbn.models.dbm_layer import DBMLayer, check_units, factors, is_of_dbm
from dbn.models.dbn import DBN, file_of
from dbn.models.mean_field import MeanField, mean_field
from dbn.models.model_file import Scaling, read_stack, write_stack
from dbn.models.units import Units
from dbn.random.streams import Noise
from dbn.settings import check_number, format_value

WEIGHT_STD = 0.01
"""Standard deviation of initial weights (Hinton 2012, section 8)."""


class DBM(nn.Module):
    r"""Deep Boltzmann machine of visible units ``x_0 = v`` and hidden layers ``x_1, ..., x_L``.

    .. math:: E(x_0, ..., x_L) = \sum_{l=0}^{L} E_l(x_l) - \sum_{l=1}^{L} x_{l-1}^T W_l\, x_l

    Units of a layer are independent given both neighbours, so that all even layers are independent of each other given
    the odd ones, and the other way round.

    Args:
        units: of every layer, the visible ones first; two hidden layers or more.
        connections: of neighbours, the lowest first; None: dense, with weights from N(0, weight_std^2).
        weight_std: standard deviation of the initial weights if ``connections`` is None (default 0.01).
        generator: source of these weights (default: torch's global one).
        scaling: how images become features, see :class:`dbn.data.scaling.Scaling`; None: unknown.

    Methods take states as tensors ``(batch, n)``, in a group of machines that train together ``(members, batch, n)``.

    Raises:
        SettingError: fewer than two hidden layers, units that cannot stand where they are, or connections that do not
            match the units.

    Example:
        >>> import torch
        >>> from dbn import DBM, Bernoulli
        >>> dbm = DBM([Bernoulli(64), Bernoulli(50), Bernoulli(20)])
        >>> found = dbm.mean_field(torch.rand(3, 64))
        >>> [tuple(means.shape) for means in found.means], dbm.sample(5, steps=10).shape
        ([(3, 50), (3, 20)], torch.Size([5, 64]))

    References:
        Salakhutdinov & Hinton (2009), *Deep Boltzmann machines*, AISTATS 5:448.
    """

    def __init__(
        self,
        units: Sequence[Units],
        connections: Sequence[Connection] | None = None,
        *,
        weight_std: float | None = None,
        generator: torch.Generator | None = None,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        check_units(units)
        if connections is None:
            weight_std = WEIGHT_STD if weight_std is None else weight_std
            check_number("weight_std", weight_std, low=0)
            connections = [Dense(below.shape, above.size) for below, above in pairwise(units)]
            for connection in connections:
                connection.initialise(weight_std, generator)
        elif weight_std is not None or generator is not None:
            raise SettingError("weight_std, generator: connections have their weights: connection.initialise(0.01).")
        found = [(own.n_visible, own.n_hidden) for own in connections]
        wanted = [(below.size, above.size) for below, above in pairwise(units)]
        if found != wanted:
            raise SettingError(
                f"connections of {format_value([list(own) for own in found])} units: layers of "
                f"{'-'.join(str(own.size) for own in units)} units need {format_value([list(own) for own in wanted])}."
            )
        self.units = nn.ModuleList(units)
        self.connections = nn.ModuleList(connections)
        self.scaling = scaling

    @classmethod
    def of_layers(cls, layers: Sequence[DBMLayer], scaling: Scaling | None = None) -> "DBM":
        """The machine that layers of a stack are; parameters are theirs.

        Units between two layers are those of the lower one.

        Raises:
            SettingError: they are layers of something else, or only one.
        """
        if not is_of_dbm(layers):
            raise SettingError(
                "This stack is no deep Boltzmann machine, whose layers are trained as one. Train one: method=dbm of "
                "dbn-pretrain, or for a stack of RBMs use DBN."
            )
        plain = [own.connection.plain if isinstance(own.connection, Doubled) else own.connection for own in layers]
        return cls([layers[0].visible, *(layer.hidden for layer in layers)], plain, scaling=scaling)

    @classmethod
    def of_stack(cls, stack: DBN) -> "DBM":
        """The machine that a stack read by :meth:`DBN.load` is; errors as :meth:`of_layers`."""
        return cls.of_layers([stack[k] for k in range(len(stack))], stack.scaling)

    def layers(self) -> list[DBMLayer]:
        """Its neighbours as layers of a stack, see :class:`DBMLayer`; parameters are the machine's.

        Raises:
            SettingError: a connection is not dense.
        """
        made: list[DBMLayer] = []
        for number, own in enumerate(self.connections):
            if not isinstance(own, Connection) or type(own) is not Dense:
                raise SettingError(
                    f"{own!r}: files and stacks hold deep Boltzmann machines of dense connections only. Keep its "
                    "state_dict()."
                )
            doubled = Doubled(own.visible_shape, own.n_hidden, **factors(number, len(self.connections)), plain=own)
            made.append(DBMLayer(self[number], self[number + 1], doubled))
        return made

    def __len__(self) -> int:
        """Number of layers of units, the visible ones included."""
        return len(self.units)

    def __getitem__(self, index: int) -> Any:
        """The units of a layer; 0 are the visible ones."""
        return self.units[index]

    @property
    def sizes(self) -> list[int]:
        """Units per layer, the visible ones first."""
        return [self[k].size for k in range(len(self))]

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return self.sizes[0]

    @property
    def weight(self) -> nn.Parameter:
        """The weight of the lowest connection."""
        found: nn.Parameter = self.connection(1).weight
        return found

    def connection(self, layer: int) -> Any:
        """The connection of layer ``layer``, from 1, with the layer below."""
        return self.connections[layer - 1]

    def weights(self) -> list[nn.Parameter]:
        """Parameters to which the weight cost applies."""
        return [self.connection(layer).weight for layer in range(1, len(self))]

    def visible_states(self, v: Any) -> Tensor:
        """Validated states of the visible units, see :func:`dbn.data.tensors.as_states`."""
        return as_states(v, self.weight, self.n_visible, "visible")

    def field(self, layer: int, states: Sequence[Tensor | None], *, doubled: bool = False) -> Tensor:
        """Field of the units of a layer from the states of its neighbours, ``(batch, n)``.

        Args:
            layer: from 0, the visible one.
            states: of every layer, ``(batch, n_l)``; of others than neighbours None will do.
            doubled: where the layer above is missing, take the field from below twice.
        """
        below = states[layer - 1] if layer > 0 else None
        above = states[layer + 1] if layer + 1 < len(self) else None
        parts: list[Tensor] = [] if below is None else [self.connection(layer).hidden_field(below)]
        parts += [] if above is None else [self.connection(layer + 1).visible_field(above)]
        if len(parts) == 2:
            return parts[0].add_(parts[1])
        return parts[0].mul_(2) if doubled and layer + 1 < len(self) else parts[0]

    def energy(self, states: Sequence[Tensor]) -> Tensor:
        """Energy of states of all layers, ``(batch, n_l)`` each; ``(batch,)`` in nats."""
        own = torch.stack([self[k].energy(states[k]) for k in range(len(self))]).sum(0)
        return own - self.interaction(states)

    def interaction(self, states: Sequence[Tensor]) -> Tensor:
        r""":math:`\sum_l x_{l-1}^T W_l x_l` of states or means of all layers; ``(batch,)`` in nats."""
        parts = [(self.connection(k).hidden_field(states[k - 1]) * states[k]).sum(-1) for k in range(1, len(self))]
        return torch.stack(parts).sum(0)

    def mean_field(self, v: Any, **options: Any) -> MeanField:
        """Mean-field inference of the hidden units given visible states, see :func:`dbn.models.mean_field.mean_field`.

        Raises:
            DataError: ``v`` cannot be states of the visible units.
        """
        return mean_field(self, self.visible_states(v), **options)

    def sample_layers(self, states: list[Tensor], layers: Sequence[int], generator: Noise = None) -> dict[int, Tensor]:
        """Replace states of layers, no two of them neighbours, by samples given all others; returns their fields."""
        fields = {k: self.field(k, states) for k in layers}
        for k, field in fields.items():
            states[k] = self[k].sample(field, generator)
        return fields

    @torch.no_grad()
    def gibbs(self, states: Sequence[Tensor], steps: int, generator: Noise = None) -> list[Tensor]:
        """``steps`` steps of Gibbs sampling, each of the odd layers given the even ones and then of the even ones.

        Args:
            states: of all layers, ``(batch, n_l)`` each, the visible ones first; those of odd layers have no effect
                unless ``steps`` is 0.
            steps: from 0.
            generator: source of randomness (default: torch's global one).

        Returns:
            States of all layers.
        """
        check_number("steps", steps, low=0, whole=True)
        moved = list(states)
        for _ in range(steps):
            self.sample_layers(moved, range(1, len(self), 2), generator)
            self.sample_layers(moved, range(0, len(self), 2), generator)
        return moved

    @torch.no_grad()
    def independent_states(self, n: int, generator: Noise = None) -> list[Tensor]:
        """States of ``n`` machines without their weights, ``(n, n_l)`` for each layer."""
        return [self[k].sample(self.weight.new_zeros(n, self[k].size), generator) for k in range(len(self))]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        generator: Noise = None,
        after_step: Callable[[], None] | None = None,
        *,
        means: bool = True,
    ) -> Tensor:
        """Draw images by Gibbs sampling from the states of independent units.

        Args:
            n: number of chains.
            steps: of :meth:`gibbs`.
            generator: source of randomness (default: torch's global one).
            after_step: called after every step, such as to show progress.
            means: end with visible means, which look better as pictures; false: with a sample.

        Returns:
            Visible means, or states, ``(n, n_visible)``.
        """
        check_number("n", n, low=1, whole=True)
        check_number("steps", steps, low=0, whole=True)
        states = self.independent_states(n, generator)
        for _ in range(steps):
            states = self.gibbs(states, 1, generator)
            if after_step is not None:
                after_step()
        self.sample_layers(states, range(1, len(self), 2), generator)
        field = self.field(0, states)
        drawn: Tensor = self[0].mean(field) if means else self[0].sample(field, generator)
        return drawn

    @torch.no_grad()
    def reconstruct(self, v: Any) -> Tensor:
        """Visible means given the mean-field means of the first hidden layer: ``(batch, n_visible)``."""
        found: Tensor = self[0].mean(self.connection(1).visible_field(self.mean_field(v).means[0]))
        return found

    def save(self, path: str | Path, description: Mapping[str, Any] | None = None) -> None:
        """Write it atomically as a DBN file whose layers are of the kind ``dbm_layer``, see :meth:`load`.

        Args:
            path: of the file.
            description: further content of the header (plain JSON).
        """
        write_stack(Path(path), self.layers(), self.scaling, description or {})

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> "DBM":
        """Read the file of a deep Boltzmann machine, without executing code from it.

        Args:
            path: of the file, or of the directory of a run.
            device: of the parameters.

        Raises:
            ModelFileError: the file is missing, is no DBN file, or its header does not match its tensors.
            SettingError: it holds a stack of something else.

        Example:
            >>> from dbn import DBM, Bernoulli
            >>> DBM([Bernoulli(64), Bernoulli(50), Bernoulli(20)]).save("dbm.safetensors")
            >>> DBM.load("dbm.safetensors").sizes
            [64, 50, 20]
        """
        layers, scaling, _ = read_stack(file_of(path))
        return cls.of_layers(layers, scaling).to(device)  # type: ignore[arg-type]  # of_layers looks
