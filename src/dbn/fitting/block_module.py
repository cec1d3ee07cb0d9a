"""A LightningModule that trains on blocks of minibatches."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer

from dbn.data.blocks import Block, Destination, Minibatch
from dbn.fitting.metrics_file import MetricsFiles
from dbn.fitting.quick_attributes import quick_attributes
from dbn.machine.capturable import make_capturable, set_capturable
from dbn.machine.cuda_graphs import BlockGraphs, recorder_for, say_once
from dbn.machine.hooks import has_hooks
from dbn.random.streams import Source, streams

Optimizer = torch.optim.Optimizer


class BlockModule(pl.LightningModule):
    """A LightningModule whose training step takes a block: one optimiser step per minibatch.

    Lightning's overhead per training step (0.1 to 0.6 ms) is as large as a small model's minibatch; so it occurs once
    per block. Subclasses define :meth:`minibatch_step`, which takes an optimiser step, and may extend
    :meth:`begin_block`.

    On a GPU the steps of a block but the last are recorded once as a CUDA graph and replayed for the following blocks.
    """

    recordable: ClassVar[bool] = False
    """Whether :meth:`minibatch_step` may be recorded: it changes tensors in place, draws from :meth:`block_noise`
    alone, and does nothing else that counts, since a replay does not execute its Python code."""

    batch_size: int
    """Images per minibatch, of each model."""
    seeds: Sequence[int]
    """The run's seed; in a group, one for each member."""
    graphs: BlockGraphs | None = None
    """Replays a block's steps as a CUDA graph; None executes them one by one."""
    destination: Destination | None = None
    """Reusable buffer for a minibatch's features, which saves :meth:`minibatch_step` a copy."""
    latest: Sequence[Mapping[str, float]] = ()
    """The most recently logged metrics of each model."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def on_train_start(self) -> None:
        """Choose how steps are taken; optimiser and its restored state exist by now."""
        optimizer, recorder = self.lightning_optimizer().optimizer, recorder_for(self.device)
        self.graphs = None
        set_capturable(optimizer)
        if recorder is None:
            return
        reason = self.why_not_recorded(optimizer)
        if reason is None:
            self.graphs = BlockGraphs(recorder, scheduled=self.lr_schedulers() is not None)
        else:
            say_once(reason)

    def why_not_recorded(self, optimizer: Optimizer) -> str | None:
        """Why steps cannot be recorded; None if they can, for which the optimiser is then set up."""
        if not self.recordable:
            return f"{type(self).__name__} does not say that it is `recordable`"
        if self.trainer.world_size > 1:
            return "several processes add their gradients in each"
        if has_hooks(self):
            return "a layer has hooks"
        return make_capturable(optimizer)

    def block_noise(self, name: str, *counters: int, device: torch.device) -> Source:
        """Source of noise for the steps of a block, which recordings may draw from, see :meth:`open_streams`."""
        source = self.open_streams(name, *counters, device=device)
        return source if self.graphs is None else self.graphs.reseeded(source)

    def open_streams(self, name: str, *counters: int, device: torch.device) -> Source:
        """The stream ``name`` of each seed: generators, see :func:`dbn.random.streams.streams`."""
        return streams(self.seeds, name, *counters, device=device)

    def begin_block(self, block: Block) -> Block:
        """Prepare a block (random streams, augmentation); returns the block to train on."""
        return block

    @abstractmethod
    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Update the parameters once, from the features and labels of a minibatch."""

    def training_step(self, block: Block, index: int) -> None:
        """Take an optimiser step for each minibatch of the block."""
        with quick_attributes(self):
            self._take_steps(block)

    def _take_steps(self, block: Block) -> None:
        """See :meth:`training_step`."""
        lightning_optimizer = self.lightning_optimizer()
        optimizer = lightning_optimizer.optimizer
        block = self.begin_block(block)
        first, last = 0, len(block.lengths) - 1
        if self.graphs is not None:
            self.graphs.all_but_last(block, optimizer, self.minibatch_step, self.advance_schedule, self.destination)
            first = last
        # Lightning's wrapper counts steps but costs as much as a small minibatch: used once per block.
        for number, batch in enumerate(block.minibatches(self.destination, first), first):
            self.minibatch_step(batch, lightning_optimizer if number == last else optimizer)
            self.advance_schedule()

    def advance_schedule(self) -> None:
        """Advance what changes the optimiser's settings after every step; here nothing."""

    @property
    @abstractmethod
    def largest_product(self) -> int:
        """Multiplications in the largest matrix product of a minibatch, over all members of a group."""

    def lightning_optimizer(self) -> LightningOptimizer:
        """Lightning's wrapper of the optimiser."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        return optimizer

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the block: it is on the device already, and Lightning's traversal would take 10 us."""
        return batch

    def diverged(self) -> str | None:
        """None if all parameters are finite; otherwise a text for the message, which names the seeds of a group."""
        if all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters()):
            return None
        if len(self.seeds) == 1:
            return ""
        finite = [parameter.isfinite().flatten(1).all(1) for parameter in self.parameters()]
        bad = torch.stack(finite).all(0).logical_not().tolist()
        return f" for seed {', '.join(str(seed) for seed, is_bad in zip(self.seeds, bad, strict=True) if is_bad)}"

    def log_rows(self, rows: Sequence[Mapping[str, float]], finished: Collection[int] = ()) -> None:
        """Log an epoch's metrics, a row for each model; the files of those ``finished`` get none.

        Writes to the loggers and, averaged over models, to the Trainer's ``callback_metrics``. (Lightning's own ``log``
        takes 0.6 ms per metric, a considerable part of a small model's epoch.)
        """
        self.latest = rows
        for logger in self.loggers:
            if isinstance(logger, MetricsFiles):
                logger.log_members(rows, self.current_epoch, finished)
            else:
                logger.log_metrics({**rows[0], "epoch": self.current_epoch}, self.global_step)
        means = {name: torch.tensor(sum(row[name] for row in rows) / len(rows)) for name in rows[0]}
        self.trainer.callback_metrics.update(means)
