"""Initialisation from an earlier trained network: going on with it, on the same classes or on others."""

from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import torch

from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.linear import Linear
from dbn.settings import check_number, check_text, format_value, optional
from finetune.networks.block import NetworkBlock
from finetune.networks.dropout import Dropout
from finetune.networks.initialise import Initialisation, Kind, draw_normal
from finetune.networks.network import Network


class FromNetwork(Initialisation):
    """The weights of an earlier network, as it computes in evaluation mode.

    Hidden layers are copied, running averages of normalisation included. So is the output layer where the classes are
    the same by name and order; otherwise it is new, normally distributed with standard deviation ``output_std``.

    Args:
        run: the earlier run's directory, or a network's file; None is refused when the network is made.
        output_std: of the weights of a new output layer.
    """

    kind: ClassVar[Kind] = "control"

    def __init__(self, run: str | None = None, output_std: float = 0.01) -> None:
        optional(lambda key, value: check_text(key, value, what="a run's directory or a network's file"))(
            "init.run", run
        )
        check_number("init.output_std", output_std, low=0)
        self.run = run
        self.output_std = output_std
        self.new_output = False

    def network_for(self, wanted: Network, task: str, classes: tuple[str, ...]) -> Network:
        """The earlier network, with an output layer for ``classes`` and the dropout of ``wanted``.

        Inputs, activation, normalisation and task must be the same; numbers of hidden units are those of the earlier
        network.

        Raises:
            ModelFileError: there is no network, or its file is damaged.
            SettingError: the earlier network does not fit.
        """
        if self.run is None:
            raise SettingError(
                "init.run is not set: init=run needs the directory of an earlier run, such as "
                "init.run=runs/mine/finetune/dbn_seed0."
            )
        earlier = Network.load(Path(self.run).expanduser())
        meaning = earlier.known_meaning
        where = f"init.run={self.run}"
        if meaning.task != task:
            raise SettingError(f"{where}: that network was trained with task={meaning.task}. Use task={meaning.task}.")
        if earlier.sizes[0] != wanted.sizes[0]:
            raise SettingError(
                f"{where}: that network takes {earlier.sizes[0]} inputs, an image of the data has {wanted.sizes[0]} "
                "pixels. Choose a network that was trained on such images."
            )
        if len(earlier.blocks) > 1 and len(wanted.blocks) > 1:
            self._check_options(earlier.blocks[0], wanted.blocks[0], where)
        network = Network(deepcopy(list(earlier.blocks)), earlier.code).train()  # files are read in evaluation mode
        for block, probability in zip(network.blocks, self._dropouts(network, wanted), strict=True):
            keep = block.dropout.keep
            block.dropout = Dropout(probability)
            with torch.no_grad():
                block.layer.weight.mul_(keep)  # as in evaluation; compensate_dropout divides by the new one
        self.new_output = task == "classifier" and meaning.classes != classes
        if self.new_output:
            outputs = network.blocks[-1]
            outputs.layer = Linear(outputs.layer.in_features, len(classes))
        return network

    @staticmethod
    def _dropouts(network: Network, wanted: Network) -> list[float]:
        """Each block's dropout of ``wanted``; where there are other numbers of blocks, its first and its second."""
        own = [block.dropout.probability for block in wanted.blocks]
        if len(own) == len(network.blocks):
            return own
        first, others = own[0], own[1] if len(own) > 1 else 0.0
        return [first, *(0.0 if number == network.code else others for number in range(1, len(network.blocks)))]

    def _check_options(self, earlier: NetworkBlock, wanted: NetworkBlock, where: str) -> None:
        kinds = [None if block.normalisation is None else block.normalisation.spec() for block in (earlier, wanted)]
        for key, old, new in (
            ("network.activation", earlier.activation, wanted.activation),
            ("network.normalisation", *kinds),
        ):
            if old != new:
                raise SettingError(f"{key}={format_value(new)}: {where} has {format_value(old)}. Use that.")

    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        """Draw the output layer if it is new; ``network`` comes from :meth:`network_for`."""
        if self.new_output:
            draw_normal(network.layers[-1], self.output_std, seed, len(network.layers))
