"""Classification with unlabelled images beside the labelled ones; how these are used is a choice of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.data.augment import Augment, Scalings
from dbn.data.blocks import Block, Minibatch
from dbn.models import flops
from dbn.random.streams import Generators, streams
from dbn.settings import check_number
from finetune.tasks.classifier import Classifier
from finetune.tasks.unlabelled_minibatches import UnlabelledMinibatches

Views = tuple[Tensor, ...]
"""Versions of unlabelled images, ``(..., batch, n_features)`` each."""


class UseOfUnlabelled(ABC):
    """A loss of unlabelled images, which is added to that of the labelled ones; selected in ``conf/unlabelled/``.

    Args:
        ratio: unlabelled images in a step for each labelled one.
        weight: of their loss.
    """

    n_views: ClassVar[int]
    """Number of versions of an unlabelled image, of which the last learns."""

    def __init__(self, ratio: int, weight: float) -> None:
        check_number("unlabelled.ratio", ratio, low=1, whole=True)
        check_number("unlabelled.weight", weight, low=0)
        self.ratio = ratio
        self.weight = weight

    @abstractmethod
    def views(
        self, features: Tensor, shape: tuple[int, int, int], augment: Augment | None, generator: Generators,
        scaling: Scalings | None = None,
    ) -> Views:  # fmt: skip
        """Versions of the unlabelled images of a block.

        Args:
            features: ``(..., n, n_features)``.
            shape: channels, height, width.
            augment: augmentation of the labelled images, or None.
            generator: source of randomness.
            scaling: of the features, see :meth:`dbn.data.augment.Augment.__call__`.
        """

    @abstractmethod
    def targets(self, network: nn.Module, views: Views, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class of each unlabelled image, and the weight of its loss in [0, 1]: ``(..., batch)`` each.

        Args:
            network: the network in training.
            views: versions of the images.
            outputs: the network's outputs for the last version, ``(..., batch, n_classes)``, without gradient.
        """

    def weight_at(self, progress: float) -> float:
        """Weight of the loss when a fraction ``progress`` of training is over."""
        return self.weight

    def operations(self, multiplications: Sequence[int], learning: int | None) -> int:
        """Operations per unlabelled image, see :func:`dbn.models.flops.backpropagation`: all but one view only forward.

        Args:
            multiplications: in a product with the weights of each layer.
            learning: number of trainable layers, counted from the output; None: all.
        """
        others = (self.n_views - 1) * flops.forward(multiplications)
        return others + flops.backpropagation(multiplications, learning)


class SemiSupervised(Classifier):
    """Trains a classifier on labelled and unlabelled images; see :class:`finetune.tasks.classifier.Classifier`.

    Each step has a minibatch of labelled images and one of ``ratio`` times as many unlabelled ones. Both pass through
    the network at once. An epoch is one of the labelled images. The logged training loss is theirs alone.

    Args:
        *args: as for :class:`Classifier`.
        use: of the unlabelled images.
        **kwargs: as for :class:`Classifier`.

    Attributes:
        unlabelled: the unlabelled images; set before training.
        unlabelled_operations: operations spent on them so far.
    """

    recordable: ClassVar[bool] = False
    """Its steps take minibatches from a list, which a replayed CUDA graph would not do."""

    unlabelled: UnlabelledMinibatches

    def __init__(self, *args: Any, use: UseOfUnlabelled, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use = use
        self.images_per_example = 1 + use.ratio
        self.unlabelled_operations = 0
        self.waiting: Iterator[tuple[Views, int, float]] = iter(())

    def begin_block(self, block: Block) -> Block:
        """Prepare the labelled images, and the unlabelled ones of the block's steps."""
        block, n = super().begin_block(block), len(block.lengths)
        progress = [(self.unlabelled.taken + k) / (self.settings.epochs * self.steps_per_epoch) for k in range(n)]
        features, counts = self.unlabelled.take(n)
        counters = (self.current_epoch, block.number, self.global_rank)
        generator = streams(self.seeds, "augment_unlabelled", *counters, device=block.device)
        views = self.use.views(torch.cat(features, -2), self.shape, self.augment, generator, self.scaling)
        lengths = [own.shape[-2] for own in features]
        each = zip(*(view.split(lengths, -2) for view in views), strict=True)
        self.waiting = zip(each, counts, map(self.use.weight_at, progress), strict=True)
        learning = 1 if self.current_epoch < self.settings.head_epochs else None
        self.unlabelled_operations += sum(counts) * self.use.operations(self.network.operations, learning)
        return block

    def objective(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """Mean loss of the labelled images plus weighted mean loss of the unlabelled ones."""
        views, count, weight = next(self.waiting)
        n_labelled, n_unlabelled = batch.features.shape[-2], views[-1].shape[-2]
        outputs = self.network(torch.cat([batch.features, views[-1]], -2))
        of_labelled, of_unlabelled = outputs.split([n_labelled, n_unlabelled], -2)
        losses = self.losses(of_labelled, batch)
        classes, shares = self.use.targets(self.network, views, of_unlabelled.detach())
        unlabelled = self.loss_of(of_unlabelled, classes, 0.0) * shares
        return losses.sum() / batch.count + weight * unlabelled.sum() / count, losses

    def further_operations(self, n_images: int) -> int:
        """And those that were spent on unlabelled images."""
        return super().further_operations(n_images) + self.unlabelled_operations

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the position among the unlabelled images."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["unlabelled"] = {**self.unlabelled.state_dict(), "operations": self.unlabelled_operations}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from that position."""
        super().on_load_checkpoint(checkpoint)
        self.unlabelled.load_state_dict(checkpoint["unlabelled"])
        self.unlabelled_operations = checkpoint["unlabelled"]["operations"]
