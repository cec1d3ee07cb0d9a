"""Initialisation of networks: from a pretrained stack (unrolling), or random. Selected in ``conf/init/``."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.linear import WeightLayer
from dbn.models.pooling import ProbabilisticMaxPooling
from dbn.random.streams import stream
from dbn.settings import check_number
from finetune.networks.block import outputs_of
from finetune.networks.label_units import copy_label
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll

Kind = Literal["pretrained", "random", "control"]
"""Where starting weights come from: a pretrained stack, random numbers, or a stack in a way that is no contender."""


class Initialisation(ABC):
    """Sets a network's initial weights."""

    needs_stack: ClassVar[bool] = False
    """Whether a pretrained stack is required."""
    kind: ClassVar[Kind] = "random"
    """Side of a comparison on which an arm stands that starts from these weights."""
    layers: int | None = None
    """Number of the stack's lowest layers that are used; None: all."""

    def network_for(self, wanted: Network, task: str, classes: tuple[str, ...]) -> Network:
        """The network to be initialised: the configuration's own.

        Args:
            wanted: the network of the configuration.
            task: ``classifier``, ``autoencoder``, ...
            classes: names of the data's classes.
        """
        return wanted

    @abstractmethod
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Set every weight and bias of ``network``, drawing from the stream ``network`` of ``seed``."""


class Random(Initialisation):
    """Normally distributed weights of mean zero, biases zero; subclasses define the standard deviation."""

    @abstractmethod
    def standard_deviation(self, n_inputs: int, n_outputs: int) -> float:
        """Standard deviation of the weights of a layer."""

    @torch.no_grad()
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Draw the weights of every layer from a normal distribution."""
        for number, layer in enumerate(network.layers, start=1):
            draw_normal(layer, self.standard_deviation(layer.fan_in, layer.fan_out), seed, number)
        centre_pooled(network)


class Glorot(Random):
    r"""Standard deviation :math:`g \sqrt{2 / (n_{in} + n_{out})}`.

    Args:
        gain: ``g``; 1 for tanh, 4 for the logistic sigmoid, whose slope at zero is 1/4.

    References:
        Glorot & Bengio (2010), *Understanding the difficulty of training deep feedforward neural networks*.
    """

    def __init__(self, gain: float = 1.0) -> None:
        check_number("init.gain", gain, low=0, above=True)
        self.gain = gain

    def standard_deviation(self, n_inputs: int, n_outputs: int) -> float:
        """``gain * sqrt(2 / (n_inputs + n_outputs))``."""
        return self.gain * math.sqrt(2 / (n_inputs + n_outputs))


class He(Random):
    r"""Standard deviation :math:`\sqrt{2 / n_{in}}`, for ReLU.

    References:
        He et al. (2015), *Delving deep into rectifiers*.
    """

    def standard_deviation(self, n_inputs: int, n_outputs: int) -> float:
        """``sqrt(2 / n_inputs)``."""
        return math.sqrt(2 / n_inputs)


class Normal(Random):
    """The same standard deviation in every layer.

    Args:
        std: the standard deviation.
    """

    def __init__(self, std: float = 0.01) -> None:
        check_number("init.std", std, low=0)
        self.std = std

    def standard_deviation(self, n_inputs: int, n_outputs: int) -> float:
        """``std``."""
        return self.std


class Orthogonal(Initialisation):
    r"""Random orthogonal matrices times ``gain``, biases zero.

    Rows, or columns where there are fewer of these, are orthogonal and of norm ``gain``: :math:`W W^T = g^2 I` or
    :math:`W^T W = g^2 I`. They are drawn evenly from all such matrices (Haar measure). The rows of a convolution are
    its filters.

    Args:
        gain: ``g``; 1 for linear units and tanh, :math:`\sqrt 2` for ReLU.

    References:
        Saxe, McClelland & Ganguli (2014), *Exact solutions to the nonlinear dynamics of learning in deep linear neural
        networks*, ICLR. Mezzadri (2007), *How to generate random matrices from the classical compact groups*, for the
        signs.
    """

    def __init__(self, gain: float = 1.0) -> None:
        check_number("init.gain", gain, low=0, above=True)
        self.gain = gain

    @torch.no_grad()
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Draw the weights of every layer."""
        for number, layer in enumerate(network.layers, start=1):
            draw_normal(layer, 1.0, seed, number)
            matrix = layer.weight.double().flatten(1)  # (outputs or maps, inputs of one)
            tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
            q, r = torch.linalg.qr(tall)
            q = q * torch.sign(torch.diagonal(r))
            layer.weight.copy_((self.gain * (q if tall is matrix else q.T)).view_as(layer.weight))
        centre_pooled(network)


class FromStack(Initialisation):
    """Weights of the unrolled pretrained stack; those of a new output layer from N(0, ``output_std**2``).

    Args:
        output_std: standard deviation of the weights of the new output layer.
    """

    needs_stack: ClassVar[bool] = True
    kind: ClassVar[Kind] = "pretrained"

    def __init__(self, output_std: float = 0.01) -> None:
        check_number("init.output_std", output_std, low=0)
        self.output_std = output_std

    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Copy the stack's weights and biases."""
        assert stack is not None
        unroll(stack, network)
        if not copy_label(stack, network):
            draw_output_layer(network, stack, self.output_std, seed)


class FirstLayers(FromStack):
    r"""Weights of the lowest layers of a pretrained stack; those above as by :class:`He`, times ``gain``.

    Only these layers are pretrained.

    Args:
        layers: number of pretrained layers.
        gain: of the layers above, the output layer included; 1 for ReLU.
    """

    def __init__(self, layers: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        check_number("init.layers", layers, low=1, whole=True)
        check_number("init.gain", gain, low=0, above=True)
        self.layers = layers
        self.gain = gain

    @torch.no_grad()
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Copy the stack's weights and biases, and draw the others.

        Raises:
            SettingError: the network is an autoencoder.
        """
        assert stack is not None
        if network.code is not None:
            raise SettingError(
                f"init.layers={self.layers}: an autoencoder starts from all layers of its stack. Use init=dbn."
            )
        He()(network, seed)
        for layer in network.layers:
            layer.weight.mul_(self.gain)
        unroll(stack, network)


class Marginals(FromStack):
    """Control of Erhan et al.: weights with the marginal distribution of pretrained ones, but without structure.

    Every weight is drawn independently from the values of the pretrained layer's weights, every bias from those of its
    biases.

    Args:
        output_std: standard deviation of the weights of the new output layer.

    References:
        Erhan et al. (2010), *Why does unsupervised pre-training help deep learning?*, JMLR 11:625, section 6.2.
    """

    kind: ClassVar[Kind] = "control"

    @torch.no_grad()
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Unroll, then resample the values of each parameter with replacement."""
        super().__call__(network, seed, stack)
        assert stack is not None
        draw_output_layer(network, stack, self.output_std, seed)  # also where the stack has a label
        for number, layer in enumerate(unrolled_layers(network, stack), start=1):
            generator = stream(seed, "network", number)
            for parameter in (layer.weight, layer.bias):
                values = parameter.flatten()
                parameter.copy_(values[torch.randint(len(values), parameter.shape, generator=generator)])


@torch.no_grad()
def start_normalisation(network: Network, features: Tensor) -> None:
    """Set scales and shifts such that a network in evaluation mode computes what it does without normalisation.

    Layer by layer, from its weights. Batch normalisation with the mean and variance of these fields undoes itself, up
    to rounding and for any image; layer normalisation comes as near as scales and shifts of units can, see
    :meth:`finetune.networks.normalisation.LayerNorm.start_at`. Normalisation of responses has neither, and stays as
    it is.

    Args:
        network: a single network with its initial weights.
        features: of training images, ``(n, n_features)``.
    """
    training = network.training
    network.eval()
    x = wanted = features
    for block in network.blocks:
        field, wanted = block.units_field(x), block.units_field(wanted)
        if block.normalisation is not None:
            block.normalisation.start_at(field, wanted)
        x = outputs_of(field, block.normalisation, block.pooling, block.function)
        wanted = outputs_of(wanted, None, block.pooling, block.function)
    network.train(training)


def unrolled_layers(network: Network, stack: DBN) -> list[WeightLayer]:
    """The layers of the network that come from the stack."""
    return network.layers if network.code is not None else network.layers[: len(stack)]


def draw_output_layer(network: Network, stack: DBN, std: float, seed: int) -> None:
    """Draw the weights of the layers that do not come from the stack."""
    known = len(unrolled_layers(network, stack))
    for number, layer in enumerate(network.layers[known:], start=known + 1):
        draw_normal(layer, std, seed, number)


@torch.no_grad()
def centre_pooled(network: Network) -> None:
    """Biases of layers with probabilistic max-pooling such that a pooled unit without input is on half of the time.

    At zero it would be on four fifths of the time, with blocks of 2x2, and the units above would start saturated.
    """
    for block in network.blocks:
        if isinstance(block.pooling, ProbabilisticMaxPooling):
            block.layer.bias.fill_(-2 * math.log(block.pooling.size))


@torch.no_grad()
def draw_normal(layer: WeightLayer, std: float, seed: int, number: int) -> None:
    """Draw weights of layer ``number`` from N(0, ``std**2``), and set biases to zero."""
    noise: Tensor = torch.randn(layer.weight.shape, generator=stream(seed, "network", number))
    layer.weight.copy_(noise * std)
    layer.bias.zero_()
