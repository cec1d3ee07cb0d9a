"""dbn-pretrain that crashes in the block of an epoch that the variable STOP_AT names, in every process of a run."""

import os
from collections.abc import Callable
from typing import Any

from dbn import pretrain
from dbn.data.blocks import Block
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.dbm_training import DBMTraining


class StoppedError(Exception):
    """A crash."""


def main() -> None:
    """Run the command."""
    moment = os.environ.get("STOP_AT")
    for kind in (RBMTraining, DBMTraining):
        kind.begin_block = crashing(kind.begin_block, moment)  # type: ignore[method-assign]
    pretrain.main()


def crashing(begin: Callable[[Any, Block], Block], moment: str | None) -> Callable[[Any, Block], Block]:
    """``begin``, which crashes at the moment."""

    def crash(self: Any, block: Block) -> Block:
        if moment == f"{self.current_epoch},{block.number}":
            raise StoppedError
        return begin(self, block)

    return crash


if __name__ == "__main__":
    main()
