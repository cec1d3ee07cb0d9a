"""The stack of layers that greedy pretraining produces; a stack of RBMs is a DBN."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dbn.data.given_images import BATCH, applied
from dbn.errors import SettingError
from dbn.models.autoencoder import TiedAutoencoder  # noqa: F401 (registers its kind, which files name)
from dbn.models.dbm_layer import is_of_dbm  # registers the kind of its layers, too
from dbn.models.layer import Layer
from dbn.models.model_file import DBN_FILE, Scaling, read_stack, write_stack
from dbn.models.rbm import RBM
from dbn.models.untied import Untied
from dbn.settings import check_number


class DBN(nn.Module):
    """A deep belief network: RBMs, each of whose hidden units are the visible units of the next one.

    The top RBM is undirected; the layers below generate downwards only. Other types of layers, such as denoising
    autoencoders, can be stacked as well; :meth:`sample` needs RBMs, below the top one also :class:`Untied` layers.

    Args:
        layers: from the data upwards.
        scaling: how images become features, see :class:`dbn.data.scaling.Scaling`; None: unknown.

    Raises:
        SettingError: there is no layer, an element is no layer, or units of neighbours differ in type or number.

    Example:
        >>> import torch
        >>> from dbn import DBN, RBM, Bernoulli
        >>> stack = DBN([RBM(Bernoulli(64), Bernoulli(50)), RBM(Bernoulli(50), Bernoulli(20))])
        >>> stack.up(torch.rand(3, 64)).shape, stack.sample(5, steps=10).shape
        (torch.Size([3, 20]), torch.Size([5, 64]))

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527.
    """

    def __init__(self, layers: Sequence[Layer], scaling: Scaling | None = None) -> None:
        super().__init__()
        if not layers:
            raise SettingError("A DBN needs at least one RBM.")
        for number, layer in enumerate(layers, start=1):
            if not isinstance(layer, Layer):
                raise SettingError(f"A DBN is made of RBMs, from the data upwards; number {number} is {layer!r}.")
        for number, (lower, upper) in enumerate(pairwise(layers), start=1):
            outputs, inputs = (lower.output_type, lower.output_shape), (upper.input_type, upper.input_shape)
            if outputs != inputs:
                raise SettingError(
                    f"RBM {number} has {_words(*outputs)} hidden units, RBM {number + 1} has {_words(*inputs)} visible "
                    "units: neighbours must match."
                )
        self.layers = nn.ModuleList(layers)
        self.scaling = scaling

    def __len__(self) -> int:
        """Number of layers."""
        return len(self.layers)

    def __getitem__(self, index: int) -> Any:
        """Layer number ``index``, from 0 at the data; an :class:`RBM` in a DBN."""
        return self.layers[index]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of the units of every layer, the visible ones first."""
        return [self[0].input_shape, *(self[k].output_shape for k in range(len(self)))]

    @property
    def sizes(self) -> list[int]:
        """Units per layer, the visible ones first."""
        return [torch.Size(shape).numel() for shape in self.shapes]

    @property
    def is_generative(self) -> bool:
        """Whether the stack has a distribution: an RBM on top, and below it RBMs or untied layers."""
        *lower, top = self.layers
        return isinstance(top, RBM) and all(isinstance(layer, RBM | Untied) for layer in lower)

    @torch.no_grad()
    def up(self, v: Tensor, layers: int | None = None) -> Tensor:
        """Mean-field pass upwards through the first ``layers`` layers (default all).

        Args:
            v: visible states ``(batch, n_visible)``.
            layers: number of layers; 0 returns ``v`` itself.

        Returns:
            Hidden means of the last of these layers, ``(batch, n_hidden)``.

        Raises:
            SettingError: the stack has fewer layers.
            DataError: ``v`` cannot be states of the visible units.
        """
        self._check_layers(layers)
        for k in range(len(self) if layers is None else layers):
            v = self[k].up(v)
        return v

    @torch.no_grad()
    def down(self, h: Tensor, layers: int | None = None) -> Tensor:
        """Mean-field pass downwards through the first ``layers`` layers (default all).

        Args:
            h: states of the hidden units of layer number ``layers``, ``(batch, n_hidden)``.
            layers: number of layers.

        Returns:
            Visible means ``(batch, n_visible)``.

        Raises:
            SettingError: the stack has fewer layers.
            DataError: ``h`` cannot be states of those hidden units.
        """
        self._check_layers(layers)
        for k in reversed(range(len(self) if layers is None else layers)):
            h = self[k].down(h)
        return h

    def _check_layers(self, layers: int | None, name: str = "layers") -> None:
        if layers is not None:
            check_number(name, layers, low=0, high=len(self), whole=True)

    def transform(
        self, images: Any, layer: int | None = None, *, features: bool = False, batch_size: int = BATCH
    ) -> Any:
        """Features of a layer: :meth:`up` for images as they are stored, batch after batch.

        Args:
            images: ``(n, n_features)``, ``(n, height, width)``, ``(n, channels, height, width)`` or ``(n, height,
                width, channels)``: a tensor or a numpy array in the units of the training images, or an
                :class:`dbn.data.images.ImageSet`; of a stack of a table, a table.
            layer: number of layers to pass; None: all; 0: none, which gives the visible units' states.
            features: ``images`` have been scaled to features already, as they must be where ``scaling`` is None.
            batch_size: images computed at once.

        Returns:
            Hidden means ``(n, n_hidden)`` float32: a numpy array if ``images`` are one or a table, otherwise a tensor
            on the stack's device.

        Raises:
            SettingError: the stack has fewer layers.
            DataError: images of another shape or range.
        """
        self._check_layers(layer, "layer")
        return applied(
            lambda v: self.up(v, layer).clone(), images, self.scaling, next(self.parameters()), self.sizes[0],
            are_features=features, batch_size=batch_size,
        )  # fmt: skip

    def reconstruct(self, v: Tensor) -> Tensor:
        """Mean-field reconstruction: ``(batch, n_visible)`` -> ``(batch, n_visible)``."""
        return self.down(self.up(v))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        generator: torch.Generator | None = None,
        after_step: Callable[[], None] | None = None,
        *,
        means: bool = True,
    ) -> Tensor:
        """Draw from the DBN: Gibbs sampling in the top RBM, then a sampled pass down that ends with visible means.

        Args:
            n: number of chains.
            steps: Gibbs steps in the top RBM, from a sample of its visible units without field.
            generator: source of randomness (default: torch's global one).
            after_step: called after every step, such as to show progress.
            means: end with visible means, which look better as pictures; false: with a sample of the visible units.

        Returns:
            Visible means, or states, ``(n, n_visible)``.

        Raises:
            SettingError: ``n`` or ``steps`` is invalid, or a layer is no RBM.
        """
        check_number("n", n, low=1, whole=True)
        check_number("steps", steps, low=0, whole=True)
        if is_of_dbm(list(self.layers)):
            raise SettingError(
                "This stack is a deep Boltzmann machine, which is sampled as a whole: DBM.of_stack(stack)."
            )
        if not self.is_generative:
            raise SettingError(
                "This stack cannot be sampled from: only RBMs have a distribution, conditional ones of a class. Use "
                "stack_given_label(stack, 3), or dbn-sample label=3, with those."
            )
        top = self[len(self) - 1]
        v = top.visible.sample(top.weight.new_zeros(n, top.n_visible), generator)
        for _ in range(steps):
            v = top.gibbs(v, 1, generator)
            if after_step is not None:
                after_step()
        h = top.sample_hidden(v, generator)
        for k in reversed(range(1, len(self))):
            h = self[k - 1].hidden.states_below(self[k].sample_visible(h, generator), generator)
        drawn: Tensor = self[0].mean_visible(h) if means else self[0].sample_visible(h, generator)
        return drawn

    def save(self, path: str | Path, description: Mapping[str, Any] | None = None) -> None:
        """Write the DBN file atomically, see :mod:`dbn.models.model_file`.

        Args:
            path: of the file.
            description: further content of the header, such as training settings, data and version (plain JSON).
        """
        layers = [layer for layer in self.layers if isinstance(layer, Layer)]
        write_stack(Path(path), layers, self.scaling, description or {})

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> "DBN":
        """Read a DBN file, without executing code from it.

        Args:
            path: of the file, or of the directory of a run.
            device: of the parameters.

        Raises:
            ModelFileError: the file is missing, is no DBN file, or its header does not match its tensors.

        Example:
            >>> from dbn import DBN, RBM, Bernoulli
            >>> DBN([RBM(Bernoulli(64), Bernoulli(50))]).save("dbn.safetensors")
            >>> DBN.load("dbn.safetensors").sizes
            [64, 50]
        """
        layers, scaling, _ = read_stack(file_of(path))
        return cls(layers, scaling).to(device)

    @staticmethod
    def describe(path: str | Path) -> dict[str, Any]:
        """The header of a DBN file: format, layers, and the description given when it was saved.

        Args:
            path: of the file, or of the directory of a run.

        Raises:
            ModelFileError: as :meth:`load`.
        """
        return read_stack(file_of(path))[2]


def file_of(path: str | Path) -> Path:
    """The DBN file at ``path``, or in it where it is the directory of a run."""
    path = Path(path)
    return path / DBN_FILE if path.is_dir() else path


def _words(kind: Any, shape: tuple[int, ...]) -> str:
    """Shape and type of units, for a message."""
    size = str(shape[0]) if len(shape) == 1 else "x".join(map(str, shape))
    return f"{size} {kind}"
