"""The feed-forward network that every arm trains: blocks of dropout, weights, normalisation and activation."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.machine.precision import Choice, choose_precision
from dbn.models.activations import Activation
from dbn.models.linear import Linear, WeightLayer
from dbn.models.model_file import header_errors
from dbn.models.pooling import Pooling
from dbn.random.streams import Noise
from dbn.settings import check_number
from finetune.networks.block import Blocks, NetworkBlock
from finetune.networks.meaning import Meaning
from finetune.networks.network_file import NETWORK_FILE, read_network_file, write_network_file
from finetune.networks.normalisation import Normalisation
from finetune.networks.use import UsableNetwork


class Network(UsableNetwork):
    """A feed-forward network; the outputs of its last block are logits, or means of real units.

    Args:
        blocks: in order, inputs first.
        code: number of the hidden block (1 is the first) that is an autoencoder's code; None for a classifier.
        meaning: of its inputs and outputs; None until it is known, which :meth:`predict` and :meth:`save` need.

    Shape:
        ``(batch, sizes[0])`` -> ``(batch, sizes[-1])``.
    """

    def __init__(self, blocks: Sequence[NetworkBlock], code: int | None = None, meaning: Meaning | None = None) -> None:
        super().__init__()
        self.code = code
        self.meaning = meaning
        self.blocks: Blocks = nn.ModuleList(blocks)  # type: ignore[assignment]

    @classmethod
    def of_layers(
        cls,
        layers: Sequence[WeightLayer],
        *,
        activation: str | Mapping[str, Any] = "sigmoid",
        code: int | None = None,
        dropout_input: float = 0.0,
        dropout_hidden: float = 0.0,
        normalisation: str | Mapping[str, Any] | None = None,
        poolings: Sequence[Pooling | None] | None = None,
    ) -> "Network":
        """A network with the same activation, dropout and normalisation in all hidden blocks.

        Args:
            layers: the layers of weights, inputs first.
            activation: of the hidden blocks, such as sigmoid, tanh or relu.
            code: number of the hidden block that is an autoencoder's code, which is linear, without dropout and
                normalisation.
            dropout_input: probability of dropping an input.
            dropout_hidden: probability of dropping a hidden unit.
            normalisation: of the hidden blocks' fields: ``batch``, ``layer``, a mapping of kind and options, or None;
                ``response``, of the responses of convolutional blocks only.
            poolings: of each layer's units, or None for each that has none; None: none at all.

        Raises:
            SettingError: an invalid value, or ``response`` without a convolutional layer.
        """
        Activation.resolve(activation, "network.activation")
        if normalisation is not None:
            check_normalisation(normalisation, layers)
        check_number("network.dropout_input", dropout_input, low=0, high=1, below=True)
        check_number("network.dropout_hidden", dropout_hidden, low=0, high=1, below=True)
        hidden = range(1, len(layers))
        linear = {code, len(layers) - 1 if layers[-1].units_below else None}  # whose outputs are fields
        activations: list[str | Mapping[str, Any]] = ["identity" if k in linear else activation for k in hidden] + [
            "identity"
        ]
        dropouts = [dropout_input, *(0.0 if k == code else dropout_hidden for k in hidden)]
        normalised = [
            None
            if normalisation is None or k in (code, len(layers))
            else Normalisation.of_layer(normalisation, "network.normalisation", layer)
            for k, layer in enumerate(layers, start=1)
        ]
        pooled = [None] * len(layers) if poolings is None else poolings
        return cls(list(map(NetworkBlock, layers, activations, dropouts, normalised, pooled)), code)

    @classmethod
    def dense(cls, sizes: Sequence[int], **options: Any) -> "Network":
        """A multilayer perceptron.

        Args:
            sizes: units per layer, inputs first.
            **options: of :meth:`of_layers`.

        Raises:
            SettingError: fewer than two sizes, or an invalid value.

        Example:
            >>> import torch
            >>> from finetune.networks.network import Network
            >>> network = Network.dense([784, 500, 10], activation="relu", dropout_hidden=0.5)
            >>> network(torch.rand(20, 784)).shape
            torch.Size([20, 10])
        """
        if len(sizes) < 2:
            raise SettingError(f"sizes={list(sizes)}: a network needs inputs and outputs.")
        return cls.of_layers([Linear(below, above) for below, above in pairwise(sizes)], **options)

    @property
    def layers(self) -> list[WeightLayer]:
        """The layers of weights, inputs first."""
        return [block.layer for block in self.blocks]

    @property
    def sizes(self) -> list[int]:
        """Units per layer, inputs first, after pooling."""
        return [self.blocks[0].layer.in_features, *(block.out_features for block in self.blocks)]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each layer's outputs, the inputs first: ``(n,)``, or of maps, (height, width, maps)."""
        return [self.blocks[0].layer.shape_in, *(block.shape_out for block in self.blocks)]

    @property
    def is_convolutional(self) -> bool:
        """Whether a layer has maps."""
        return any(len(layer.shape_out) > 1 for layer in self.layers)

    @property
    def operations(self) -> list[int]:
        """Multiplications of a forward pass per image, for each layer."""
        return [layer.operations for layer in self.layers]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``(batch, sizes[-1])`` of inputs ``(batch, sizes[0])``."""
        for block in self.blocks:
            x = block(x)
        return x

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Outputs of every block, the first hidden one first, ``(batch, sizes[k])`` each."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def choose_precision(self, wanted: str, batch: int, device: torch.device) -> list[Choice]:
        """Set each layer's precision in training; returns what was chosen, and what decided.

        Args:
            wanted: ``auto``, ``float32``, ``bf16`` or ``tf32``, see :func:`dbn.machine.precision.choose_precision`.
            batch: images in a minibatch.
            device: training device.

        Raises:
            SettingError: a layer or the device does not support it.
        """
        choices = [choose_precision(wanted, layer, batch, device, layer.work) for layer in self.layers]
        for layer, choice in zip(self.layers, choices, strict=True):
            layer.precision = choice.precision
        return choices

    def use_noise_from(self, generator: Noise) -> None:
        """Set the generator of every block's dropout."""
        for block in self.blocks:
            block.dropout.generator = generator

    @torch.no_grad()
    def compensate_dropout(self) -> None:
        """Divide weights by their inputs' ``keep``: in evaluation the network is then the one without dropout."""
        for block in self.blocks:
            block.layer.weight.div_(block.dropout.keep)

    def limit_norms(self, max_norm: float) -> None:
        """Limit the norm of each hidden unit's incoming weights, see :meth:`WeightLayer.limit_norms`."""
        for layer in self.layers[:-1]:
            layer.limit_norms(max_norm)

    def save(self, path: str | Path) -> None:
        """Write the network's file atomically, see :mod:`finetune.networks.network_file`.

        Raises:
            SettingError: the network's ``meaning`` is not known.
        """
        write_network_file(Path(path), self.blocks, self.code, self.state_dict(), self.known_meaning)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> "Network":
        """Read a network's file, in evaluation mode, without executing code from it.

        Args:
            path: of the file, or of the directory of a run.
            device: of its parameters.

        Raises:
            ModelFileError: the file is missing, is no network's, or its header does not match its tensors.

        Example:
            >>> from dbn.data import digits, load_data
            >>> from finetune import Network
            >>> from finetune.networks.meaning import Meaning
            >>> data = load_data(digits())
            >>> network = Network.dense([64, 20, 10])
            >>> network.meaning = Meaning(data.scaling, "classifier", "logits", data.classes)
            >>> network.save("network.safetensors")
            >>> Network.load("network.safetensors").predict_proba(data.test.pixels).shape
            torch.Size([360, 10])
        """
        path = Path(path)
        if path.is_dir():
            path = path / NETWORK_FILE
        blocks, code, tensors, meaning = read_network_file(path)
        with header_errors(path):
            network = cls(blocks, code, meaning)
            network.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
        return network.eval().to(device)


def check_normalisation(wanted: str | Mapping[str, Any], layers: Sequence[WeightLayer]) -> None:
    """Check the normalisation of a network's hidden layers.

    Raises:
        SettingError: no such normalisation, an invalid option, or it is for maps, and no layer has any.
    """
    made: Normalisation = Normalisation.create(wanted, "network.normalisation", 1)
    if not made.of_units and not any(len(layer.shape_out) > 1 for layer in layers):
        raise SettingError(
            f"network.normalisation={made.kind}: it normalises each map by its neighbours, and this network has no "
            f"convolutional layer. Use normalisation=batch or normalisation=layer, or convolutional layers, "
            f"arm=conv_random_relu normalisation={made.kind}."
        )
