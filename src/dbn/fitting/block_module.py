"""A LightningModule that walks through blocks of minibatches."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer

from dbn.data.blocks import Block, Destination, Minibatch
from dbn.fitting.metrics_file import MetricsFiles
from dbn.machine.cuda_graphs import BlockGraphs

Optimizer = torch.optim.Optimizer


class BlockModule(pl.LightningModule):
    """A LightningModule whose training step walks through a block, one optimiser step per minibatch.

    Lightning's cost per training step (0.1 to 0.6 ms) is as large as a small model's minibatch, so it is paid once per
    block. Subclasses define :meth:`minibatch_step`, which writes gradients, and :meth:`begin_block`.
    """

    batch_size: int
    """Images per minibatch, of each model."""
    seeds: Sequence[int]
    """The run's seed; where several models train together, each one's."""
    graphs: BlockGraphs | None = None
    """Replays the steps of a block from a recording, on a GPU; None takes them one by one."""
    destination: Destination | None = None
    """Reusable buffer for the features of a minibatch: saves :meth:`minibatch_step` a copy."""
    latest: Sequence[Mapping[str, float]] = ()
    """The metrics of each model that were logged last."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def begin_block(self, block: Block) -> Block:
        """Prepare for a block (streams, augmentation); returns the block to train on."""
        return block

    @abstractmethod
    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """One update of the parameters from one minibatch: its features, and its labels where there are any."""

    def training_step(self, block: Block, index: int) -> None:
        """Walk through the block's minibatches."""
        lightning_optimizer = self.lightning_optimizer()
        optimizer = lightning_optimizer.optimizer
        block = self.begin_block(block)
        last = len(block.lengths) - 1
        if self.graphs is not None:
            self.graphs.all_but_last(block, optimizer, self.minibatch_step)
        # Lightning counts steps in its own wrapper, which costs as much as a small minibatch: once per block.
        for number, batch in enumerate(block.minibatches(self.destination)):
            if number == last:
                self.minibatch_step(batch, lightning_optimizer)
            elif self.graphs is None:
                self.minibatch_step(batch, optimizer)

    @property
    @abstractmethod
    def largest_product(self) -> int:
        """Multiplications in the largest product of a minibatch with weights, of all models that train together."""

    def lightning_optimizer(self) -> LightningOptimizer:
        """Lightning's wrapper of the one optimiser."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        return optimizer

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Blocks are gathered on the device: nothing to move, or to look through, which takes Lightning 10 us."""
        return batch

    def diverged(self) -> str | None:
        """None where every parameter is a finite number; otherwise words on whose are not, for a message."""
        if all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters()):
            return None
        if len(self.seeds) == 1:
            return ""
        finite = [parameter.isfinite().flatten(1).all(1) for parameter in self.parameters()]
        bad = torch.stack(finite).all(0).logical_not().tolist()
        return f" for seed {', '.join(str(seed) for seed, is_bad in zip(self.seeds, bad, strict=True) if is_bad)}"

    def log_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Log an epoch's metrics of each of the models that train together, or of the only one.

        They go to the loggers at once, and where Lightning's callbacks look for them: of several models, the means.
        (Lightning's own ``log`` takes 0.6 ms for each, a good part of a small model's epoch.)
        """
        self.latest = rows
        for logger in self.loggers:
            if isinstance(logger, MetricsFiles):
                logger.log_members(rows, self.current_epoch)
            else:
                logger.log_metrics({**rows[0], "epoch": self.current_epoch}, self.global_step)
        means = {name: torch.tensor(sum(row[name] for row in rows) / len(rows)) for name in rows[0]}
        self.trainer.callback_metrics.update(means)
