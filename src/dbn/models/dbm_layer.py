"""Two neighbouring layers of a deep Boltzmann machine, as a layer of a stack."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch

from dbn.errors import SettingError
from dbn.models.connections.doubled import Doubled
from dbn.models.unit_pair import UnitPair
from dbn.models.units import Units
from dbn.settings import format_value


class DBMLayer(UnitPair):
    """Two neighbouring layers of units of a :class:`dbn.models.dbm.DBM` and the connection between them.

    As a layer of a stack its passes up and down are those that need nothing of the other layers: the field of a missing
    neighbour is taken to be that of the present one, which doubles the weights (Salakhutdinov & Larochelle 2010,
    *Efficient learning of deep Boltzmann machines*, section 3). What the machine as a whole says of an image is
    :meth:`dbn.models.dbm.DBM.mean_field`.

    Units between two layers belong to both, with the same parameters in a file.
    """

    kind: ClassVar[str] = "dbm_layer"


def factors(number: int, of: int) -> dict[str, int]:
    """Factors ``up`` and ``down`` of the :class:`Doubled` connection of layer ``number``, from 0, of ``of`` layers."""
    return {"up": 1 if number == of - 1 else 2, "down": 1 if number == 0 else 2}


def is_of_dbm(layers: Sequence[Any]) -> bool:
    """Whether the layers of a stack are those of a deep Boltzmann machine."""
    return all(isinstance(layer, DBMLayer) for layer in layers)


def check_units(units: Sequence[Units]) -> None:
    """Check the layers of units of a deep Boltzmann machine.

    Raises:
        SettingError: see :class:`dbn.models.dbm.DBM`.
    """
    for number, own in enumerate(units):
        if not isinstance(own, Units):
            raise SettingError(
                f"units[{number}]={own!r}: a deep Boltzmann machine is made of units, such as Bernoulli(100)."
            )
    if len(units) < 3:
        raise SettingError(
            f"units={format_value([own.size for own in units])}: a deep Boltzmann machine has two hidden layers or "
            "more; with one it is an RBM, RBM(Bernoulli(784), Bernoulli(500))."
        )
    if len({id(own) for own in units}) < len(units):
        raise SettingError("units: two layers are the same object. Make units for each layer.")
    for own in units:
        if own.scales_hidden_bias or own.pooling is not None:
            raise SettingError(
                f"{own.kind} units: a deep Boltzmann machine has no units that scale the biases of others or are "
                "pooled. Use a DBN of RBMs, or other units."
            )
    for own in units[1:-1]:
        check_shared(own)


@torch.no_grad()
def compose(layers: Sequence[UnitPair]) -> list[DBMLayer]:
    r"""The layers of a deep Boltzmann machine from RBMs that were trained one by one, with doubled connections.

    Units between two RBMs have two distributions: given the layer below, by the field :math:`2 v W_1 + b`, and given
    the one above, by :math:`2 W_2 h + b'`. Their geometric mean has the field :math:`v W_1 + W_2 h + (b + b')/2`: so
    weights stay and biases are averaged. The layers share these units.

    Args:
        layers: from the data upwards; their parameters are kept, those of shared units changed in place.

    Raises:
        SettingError: neighbours differ in their units, or units have parameters that cannot be averaged.

    References:
        Salakhutdinov & Hinton (2009), section 3.1.
    """
    for lower, upper in pairwise(layers):
        check_shared(lower.hidden)
        if not lower.hidden.matches(upper.visible):
            raise SettingError(
                f"{lower.hidden} hidden units below {upper.visible} visible units: in a deep Boltzmann machine they "
                "are the same. Give neighbours the same units."
            )
        for own, other in zip(lower.hidden.parameters(), upper.visible.parameters(), strict=True):
            own.lerp_(other, 0.5)
    return tied(layers)


def check_shared(units: Units) -> None:
    """Raise :class:`SettingError` unless units can stand between two layers: a bias is their only parameter."""
    if not units.has_one_bias or units.scales_hidden_bias or len(list(units.parameters())) > 1:
        raise SettingError(
            f"stack.every_layer.hidden={units.kind}: units between two layers of a deep Boltzmann machine have a bias "
            "and no other parameter, which is the mean of what either layer learned. Use bernoulli, spin, softmax or "
            "binomial."
        )


def tied(layers: Sequence[UnitPair]) -> list[DBMLayer]:
    """Layers whose units between two of them are those of the lower one; weights are those given."""
    made: list[DBMLayer] = []
    for number, layer in enumerate(layers):
        if not isinstance(layer.connection, Doubled):
            raise SettingError(
                f"layer {number + 1} is connected by {layer.connection!r}: layers of a deep Boltzmann machine have "
                "connection={kind: doubled}, which method=dbm gives them."
            )
        made.append(DBMLayer(made[-1].hidden if made else layer.visible, layer.hidden, layer.connection))
    return made
