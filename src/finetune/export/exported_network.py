"""A trained network with its scaling as one module of plain tensor operations, which exporters can follow."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.models.linear import Linear
from finetune.networks.block import NetworkBlock, outputs_of
from finetune.networks.network import Network


class ExportedBlock(nn.Module):
    """What a block computes in evaluation mode: expectation of dropout, weights, normalisation, pooling, activation.

    Args:
        block: whose parameters are copied.
    """

    def __init__(self, block: NetworkBlock) -> None:
        super().__init__()
        self.keep = block.dropout.keep
        self.layer = deepcopy(block.layer)
        self.normalisation = deepcopy(block.normalisation)
        self.pooling, self.function = block.pooling, block.function

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, n_inputs)`` -> ``(batch, n_outputs)``."""
        if self.keep < 1:
            x = x * self.keep
        # A dense layer's own forward chooses products by the size of the batch, which exporters cannot follow.
        dense = type(self.layer) is Linear
        field = F.linear(x, self.layer.weight, self.layer.bias) if dense else self.layer(x)
        return outputs_of(field, self.normalisation, self.pooling, self.function)


class ExportedNetwork(nn.Module):
    """From images, or encoded rows of a table, as stored to what a network is for, in evaluation mode.

    Args:
        network: with known meaning; its parameters are copied.

    Attributes:
        columns: of a table; None: the network takes images.
        input: what goes in: ``images``, or ``rows`` of a table, as its columns encode them; NaN, where a value is
            missing, is filled in as in training.
        shape: of an image: channels, height and width; of a row: number of features.
        output: what comes out: ``probabilities`` of classes or their ``scores``, both ``(batch, n_classes)``;
            ``reconstructions``, images or rows in stored units; ``values`` of targets in their own units ``(batch,
            n_targets)``.

    Shape:
        Images ``(batch, channels, height, width)``, uint8 or float32, or rows ``(batch, n_features)`` float32 -> as
        ``output`` says.

    Raises:
        SettingError: the network's meaning is not known.
    """

    offset: Tensor
    factor: Tensor
    fill: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.meaning = meaning = network.known_meaning
        self.columns = meaning.scaling.columns
        self.input = "images" if self.columns is None else "rows"
        self.shape = meaning.scaling.shape if self.columns is None else (meaning.scaling.n_features,)
        self.register_buffer("offset", meaning.scaling.offset.clone())
        self.register_buffer("factor", meaning.scaling.factor.clone())
        if self.columns is not None:
            assert self.columns.fill is not None  # of a trained network
            self.register_buffer("fill", self.columns.fill.clone())
        self.blocks = nn.ModuleList([ExportedBlock(block) for block in network.blocks])
        if meaning.task == "classifier":
            self.output = "probabilities" if meaning.outputs == "logits" else "scores"
        else:
            self.output = "reconstructions" if meaning.task == "autoencoder" else "values"
        self.to("cpu")
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """What the network is for, of images or rows as stored."""
        stored = images.flatten(1).to(torch.float32)
        if self.columns is not None:
            stored = torch.where(stored.isnan(), self.fill, stored)
        x = (stored - self.offset) * self.factor
        for block in self.blocks:
            x = block(x)
        if self.output == "probabilities":
            return self.meaning.probabilities(x)
        if self.output == "scores":
            return x
        found = self.meaning.predicted(x)
        if self.output == "values":
            return found
        reconstructed: Tensor = (found / self.factor + self.offset).unflatten(1, self.shape)
        return reconstructed
