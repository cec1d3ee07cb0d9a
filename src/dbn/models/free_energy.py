"""An output layer that classifies by free energy: the label of a class RBM, in a network."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.models.label_scores import LabelScores, label_scores
from dbn.models.linear import WeightLayer
from dbn.models.units import Units, make_units


class FreeEnergy(WeightLayer):
    r"""Logits :math:`d_y + \sum_j \log(1 + e^{f_j + U_{yj}})` of classes from the fields of binary hidden units.

    Fields include the hidden units' biases. With the hidden layer below, which computes ``f = v W + c``, the logits are
    the negative free energies :math:`-F(v, y)` of a class RBM up to a constant of ``v``, and their softmax is its exact
    :math:`p(y \mid v)`.

    Args:
        in_features: number of hidden units.
        out_features: number of classes.
        visible_units: type of the class RBM's visible units, kind, or kind and options, where it is trained
            generatively as well; None: the network has no use for them.
        n_visible: their number.

    Attributes:
        weight: ``U``, ``(n_classes, n_hidden)``.
        bias: ``d``, ``(n_classes,)``.
        visible: the visible units with their biases, or None.

    References:
        Larochelle & Bengio (2008), *Classification using discriminative restricted Boltzmann machines*, ICML.
    """

    kind: ClassVar[str] = "free_energy"
    options: ClassVar[tuple[str, ...]] = ("in_features", "out_features", "visible_units", "n_visible")
    units_below: ClassVar[tuple[str, ...]] = ("sigmoid", "bernoulli_with_label")

    def __init__(
        self, in_features: int, out_features: int, visible_units: str | Mapping[str, Any] | None = None,
        n_visible: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.visible_units, self.n_visible = visible_units, n_visible
        self.visible: Units | None = None
        if visible_units is not None and n_visible is not None:
            self.visible = make_units(visible_units, n_visible, "visible_units")

    def biases(self) -> list[nn.Parameter]:
        """``d``, and the parameters of the visible units."""
        return [self.bias, *(() if self.visible is None else self.visible.parameters())]

    def forward(self, x: Tensor) -> Tensor:
        """Fields ``(batch, in_features)`` -> logits ``(batch, out_features)``."""
        training = self.training and torch.is_grad_enabled()
        scores: Tensor = LabelScores.apply(x, self.weight) if training else label_scores(x, self.weight)
        return scores + self.bias

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """See :class:`FreeEnergyGroup`."""
        return FreeEnergyGroup(members) if cls is FreeEnergy else super().group(members)


class FreeEnergyGroup(FreeEnergy):
    """Layers of a group: weights ``(members, n_classes, n_hidden)``, biases ``(members, 1, n_classes)``.

    Args:
        layers: one layer for each member; their parameters are copied.
    """

    def __init__(self, layers: Sequence[FreeEnergy]) -> None:
        WeightLayer.__init__(self)
        first = layers[0]
        self.in_features, self.out_features = first.in_features, first.out_features
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))
        self.visible_units, self.n_visible = first.visible_units, first.n_visible
        self.visible = None
        if first.visible is not None:
            self.visible = type(first.visible).group([layer.visible for layer in layers])

    @torch.no_grad()
    def copy_member(self, number: int, layer: FreeEnergy) -> None:
        """Copy the parameters of member ``number`` into ``layer``."""
        layer.weight.copy_(self.weight[number])
        layer.bias.copy_(self.bias[number, 0])
        if self.visible is not None and layer.visible is not None:
            layer.visible.load_state_dict(self.visible.member(number).state_dict())
