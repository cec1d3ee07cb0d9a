"""Applying a trained network to images: predictions, probabilities, features, reconstructions."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dbn.data.given_images import BATCH, applied, channels_are_last, is_table
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.settings import check_number
from finetune.networks.block import Blocks
from finetune.networks.meaning import Meaning


class UsableNetwork(nn.Module):
    """What a network with known ``meaning`` can be used for.

    Every method takes images as a tensor, a numpy array or an :class:`dbn.data.images.ImageSet`, computes in evaluation
    mode, batch after batch, on the network's device, and returns a numpy array where it was given one.

    Attributes:
        blocks: of the network, inputs first.
        code: number of the hidden block that is an autoencoder's code, or None.
        meaning: of its inputs and outputs; None until it is known.
    """

    blocks: Blocks
    code: int | None
    meaning: Meaning | None

    @abstractmethod
    def hidden(self, x: Tensor) -> list[Tensor]:
        """Outputs of every block."""

    def predict(self, images: Any, *, features: bool = False, batch_size: int = BATCH) -> Any:
        """Class numbers ``(n,)`` int64, or values of targets ``(n, n_targets)``; of an autoencoder :meth:`reconstruct`.

        Args:
            images: ``(n, n_features)``, ``(n, height, width)``, ``(n, channels, height, width)`` or ``(n, height,
                width, channels)``: a tensor, a numpy array, in the units of the training images, or an
                :class:`dbn.data.images.ImageSet`; for a network of a table, a table (a pandas DataFrame) with its
                columns, in which values may be missing.
            features: ``images`` have been scaled to features already.
            batch_size: images computed at once.

        Returns:
            A numpy array if ``images`` are one or a table, otherwise a tensor on the network's device. The same holds
            for the other methods that take images.

        Raises:
            DataError: images of another shape or range.
            SettingError: the network's ``meaning`` is not known.
        """
        meaning = self.known_meaning
        if meaning.task == "autoencoder":
            return self.reconstruct(images, features=features, batch_size=batch_size)
        return self._applied(images, lambda x: meaning.predicted(self(x)), features, batch_size)

    def predict_proba(self, images: Any, *, features: bool = False, batch_size: int = BATCH) -> Any:
        """Probabilities of classes, ``(n, n_classes)`` float32; arguments and errors of :meth:`predict`.

        Raises:
            SettingError: the network is no classifier, or was trained by another loss than the cross-entropy.
        """
        meaning = self.known_meaning
        return self._applied(images, lambda x: meaning.probabilities(self(x)), features, batch_size)

    def outputs(self, images: Any, *, features: bool = False, batch_size: int = BATCH) -> Any:
        """Outputs of the last block, ``(n, sizes[-1])`` float32; what they are says ``meaning.outputs``.

        Arguments and errors of :meth:`predict`.
        """
        return self._applied(images, self, features, batch_size)

    def squared_error(self, images: Any, *, features: bool = False, batch_size: int = BATCH) -> Any:
        """Squared error of an autoencoder's reconstruction of each image, summed over features, ``(n,)`` float32.

        Arguments and errors of :meth:`predict`.

        Raises:
            SettingError: the network is no autoencoder.
        """
        meaning = self.known_meaning
        return self._applied(
            images, lambda x: (meaning.reconstructed(self(x)) - x).square().sum(1), features, batch_size
        )

    def transform(
        self, images: Any, layer: int | None = None, *, features: bool = False, batch_size: int = BATCH
    ) -> Any:
        """Outputs of a block, ``(n, sizes[layer])`` float32; arguments and errors of :meth:`predict`.

        Args:
            images: as in :meth:`predict`.
            layer: 0 are the network's inputs, 1 is the first hidden block; None: the code of an autoencoder, or the
                last hidden block.
            features: as in :meth:`predict`.
            batch_size: as in :meth:`predict`.

        Raises:
            SettingError: there is no such layer.
        """
        if layer is None:
            layer = self.code or len(self.blocks) - 1
        check_number("layer", layer, low=0, high=len(self.blocks), whole=True)
        return self._applied(images, lambda x: [x, *self.hidden(x)][layer].clone(), features, batch_size)

    def reconstruct(self, images: Any, *, features: bool = False, batch_size: int = BATCH) -> Any:
        """An autoencoder's reconstructions in the shape and units of ``images``; arguments of :meth:`predict`.

        Raises:
            SettingError: the network is no autoencoder.
        """
        meaning = self.known_meaning

        def reconstructed(x: Tensor) -> Tensor:
            found = meaning.reconstructed(self(x))
            return found if features else meaning.scaling.stored(found)

        flat = self._applied(images, reconstructed, features, batch_size)
        if is_table(images):
            assert meaning.scaling.columns is not None  # it was read by them
            return meaning.scaling.columns.decoded(torch.from_numpy(flat))
        if isinstance(images, ImageSet):
            return flat
        if not channels_are_last(images.shape, meaning.scaling.shape):
            return flat.reshape(images.shape)
        pictures = flat.reshape(-1, *meaning.scaling.shape)
        return np.moveaxis(pictures, 1, -1) if isinstance(pictures, np.ndarray) else pictures.movedim(1, -1)

    def _applied(self, images: Any, function: Callable[[Tensor], Tensor], features: bool, batch_size: int) -> Any:
        """``function`` of the features of images, in evaluation mode, batch after batch."""
        scaling, layer, training = self.known_meaning.scaling, self.blocks[0].layer, self.training
        self.eval()
        try:
            with torch.no_grad():
                return applied(
                    function, images, scaling, layer.weight, layer.in_features, are_features=features,
                    batch_size=batch_size,
                )  # fmt: skip
        finally:
            self.train(training)

    @property
    def known_meaning(self) -> Meaning:
        """The network's meaning.

        Raises:
            SettingError: it is not known.
        """
        if self.meaning is None:
            raise SettingError(
                "Nothing is known of this network's inputs and outputs: set network.meaning = Meaning(scaling, task, "
                "outputs, classes), or load a network that was saved with it."
            )
        return self.meaning
