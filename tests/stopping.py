"""dbn-pretrain that crashes in the block of an epoch that the variable STOP_AT names, in every process of a run."""

import os
from typing import Any

from dbn import pretrain
from dbn.data.blocks import Block
from dbn.pretraining.contrastive import RBMTraining


class StoppedError(Exception):
    """A crash."""


def main() -> None:
    """Run the command."""
    moment = os.environ.get("STOP_AT")
    begin = RBMTraining.begin_block

    def crash(self: Any, block: Block) -> Block:
        if moment == f"{self.current_epoch},{block.number}":
            raise StoppedError
        return begin(self, block)

    RBMTraining.begin_block = crash  # type: ignore[method-assign]
    pretrain.main()


if __name__ == "__main__":
    main()
