"""The feed-forward network that every arm trains: layers, activation, dropout, max-norm."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.noise import uniform
from dbn.precision import choose_precision
from dbn.settings import check_choice, check_number
from dbn.streams import Noise
from finetune.linear import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
}


class Dropout(nn.Module):
    r"""Dropout as it was published: a unit is kept with probability ``keep`` in training, multiplied by it in use.

    Torch's own divides by ``keep`` in training instead. The published form is what recipes in the literature (learning
    rate, max-norm) are stated for; initial weights divided by ``keep`` make the network in use the one that was
    initialised (section 5.2 of the paper).

    Args:
        probability: of dropping a unit, in [0, 1).

    References:
        Srivastava et al. (2014), *Dropout: a simple way to prevent neural networks from overfitting*, JMLR 15:1929.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: Noise = None

    @property
    def keep(self) -> float:
        """Probability of keeping a unit."""
        return 1.0 - self.probability

    def forward(self, x: Tensor) -> Tensor:
        """Units kept or dropped in training, their expectation in use; same shape as ``x``."""
        if self.probability == 0:
            return x
        if not self.training:
            return x * self.keep
        return x * (uniform(x.detach(), self.generator) < self.keep)

    def extra_repr(self) -> str:
        """The probability, for ``print(network)``."""
        return f"{self.probability:g}"


class Network(nn.Module):
    """A multilayer perceptron; its last layer gives logits (or means of real units), without activation.

    Args:
        sizes: units per layer, inputs first.
        activation: of the hidden layers: sigmoid, tanh or relu.
        code: number of the hidden layer (1 is the first) that is an autoencoder's code: linear, without dropout. None
            for a classifier.
        dropout_input: probability of dropping an input.
        dropout_hidden: probability of dropping a hidden unit.

    Raises:
        SettingError: a value that cannot be used.

    Shape:
        ``(batch, sizes[0])`` -> ``(batch, sizes[-1])``.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "sigmoid",
        code: int | None = None,
        dropout_input: float = 0.0,
        dropout_hidden: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("network.activation", activation, ("sigmoid", "tanh", "relu"))
        check_number("network.dropout_input", dropout_input, low=0, high=1, below=True)
        check_number("network.dropout_hidden", dropout_hidden, low=0, high=1, below=True)
        if len(sizes) < 2:
            raise SettingError(f"sizes={list(sizes)}: a network needs inputs and outputs.")
        self.sizes = list(sizes)
        self.code = code
        n_hidden = len(sizes) - 2
        self.activations = ["identity" if k == code else activation for k in range(1, n_hidden + 1)] + ["identity"]
        self.layers = nn.ModuleList(Linear(below, above) for below, above in pairwise(sizes))
        hidden = [Dropout(0.0 if k == code else dropout_hidden) for k in range(1, n_hidden + 1)]
        self.dropouts = nn.ModuleList([Dropout(dropout_input), *hidden])

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``(batch, sizes[-1])`` of inputs ``(batch, sizes[0])``."""
        for layer, dropout, activation in zip(self.layers, self.dropouts, self.activations, strict=True):
            x = ACTIVATIONS[activation](layer(dropout(x)))
        return x

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Outputs of every layer, the first hidden one first, ``(batch, sizes[k])`` each."""
        outputs = []
        for layer, dropout, activation in zip(self.layers, self.dropouts, self.activations, strict=True):
            x = ACTIVATIONS[activation](layer(dropout(x)))
            outputs.append(x)
        return outputs

    def linear_layers(self) -> list[Linear]:
        """The layers of weights, the first one first."""
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    def largest_product(self, x: Tensor) -> int:
        """Multiplications in the largest of the products with the weights that inputs ``x`` take."""
        images = x.shape[:-1].numel()
        return images * max(layer.in_features * layer.out_features for layer in self.linear_layers())

    def choose_precision(self, wanted: str, batch: int, device: torch.device) -> None:
        """Choose each layer's precision in training on minibatches of ``batch``.

        Args:
            wanted: ``auto``, ``float32`` or ``bf16``, see :func:`dbn.precision.choose_precision`.
            batch: images in a minibatch.
            device: where training runs.
        """
        for layer in self.linear_layers():
            layer.precision = choose_precision(wanted, batch * layer.in_features * layer.out_features, device)

    def use_noise_from(self, generator: Noise) -> None:
        """Let every dropout layer draw from ``generator``."""
        for dropout in self.dropouts:
            assert isinstance(dropout, Dropout)
            dropout.generator = generator

    @torch.no_grad()
    def compensate_dropout(self) -> None:
        """Divide weights into layers with dropout by ``keep``: in use, the network computes what it did without."""
        for layer, dropout in zip(self.linear_layers(), self.dropouts, strict=True):
            assert isinstance(dropout, Dropout)
            layer.weight.div_(dropout.keep)

    @torch.no_grad()
    def limit_norms(self, max_norm: float) -> None:
        """Scale each hidden unit's incoming weights down to the norm ``max_norm`` where they exceed it.

        The factor is ``1 / max(1, norm / max_norm)``: exactly 1 below the limit, so that such a unit keeps its bits.
        """
        for layer in self.linear_layers()[:-1]:
            norms = torch.linalg.vector_norm(layer.weight, dim=-1, keepdim=True)
            layer.weight.mul_(norms.div_(max_norm).clamp_(min=1.0).reciprocal_())
