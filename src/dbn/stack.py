"""The stack of RBMs (DBN): up, down, sample, save, load."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from dbn.errors import ModelFileError, SettingError
from dbn.files import write_bytes
from dbn.rbm import RBM
from dbn.settings import check_number
from dbn.units import make_units

FORMAT = "layerwise-dbn/1"


class DBN(nn.Module):
    """A deep belief network: RBMs whose hidden units are the next one's visible units.

    The top two layers are an RBM; the layers below generate downwards only.

    Args:
        rbms: from the data upwards.

    Raises:
        SettingError: no RBM, something else than RBMs, or two neighbours whose units do not match in type and number.

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527.
    """

    def __init__(self, rbms: Sequence[RBM]) -> None:
        super().__init__()
        if not rbms:
            raise SettingError("A DBN needs at least one RBM.")
        for number, rbm in enumerate(rbms, start=1):
            if not isinstance(rbm, RBM):
                raise SettingError(f"A DBN is made of RBMs, from the data upwards; number {number} is {rbm!r}.")
        for number, (lower, upper) in enumerate(pairwise(rbms), start=1):
            if (lower.hidden.kind, lower.n_hidden) != (upper.visible.kind, upper.n_visible):
                raise SettingError(
                    f"RBM {number} has {lower.n_hidden} {lower.hidden.kind} hidden units, RBM {number + 1} has "
                    f"{upper.n_visible} {upper.visible.kind} visible units: neighbours must match."
                )
        self.rbms = nn.ModuleList(rbms)

    @classmethod
    def untrained(cls, sizes: Sequence[int], kinds: Sequence[str]) -> "DBN":
        """A stack without weights.

        Args:
            sizes: units per layer, the visible ones first.
            kinds: their types.
        """
        layers = list(zip(sizes, kinds, strict=True))
        return cls(
            [
                RBM(make_units(below[1], below[0]), make_units(above[1], above[0]), weight_std=0.0)
                for below, above in pairwise(layers)
            ]
        )

    def __len__(self) -> int:
        """Number of RBMs."""
        return len(self.rbms)

    def __getitem__(self, index: int) -> RBM:
        """The RBM number ``index``, counted from the data."""
        rbm = self.rbms[index]
        assert isinstance(rbm, RBM)
        return rbm

    @property
    def sizes(self) -> list[int]:
        """Units per layer, the visible ones first."""
        return [self[0].n_visible, *(self[k].n_hidden for k in range(len(self)))]

    @torch.no_grad()
    def up(self, v: Tensor, layers: int | None = None) -> Tensor:
        """Mean-field pass upwards through the first ``layers`` RBMs (default all).

        Args:
            v: visible states ``(batch, n_visible)``.
            layers: how many RBMs to go through; 0 gives ``v`` itself.

        Returns:
            Hidden means of the last of them, ``(batch, n_hidden)``.

        Raises:
            SettingError: there are not so many RBMs.
            DataError: ``v`` cannot be states of the visible units.
        """
        self._check_layers(layers)
        for k in range(len(self) if layers is None else layers):
            v = self[k].mean_hidden(v)
        return v

    @torch.no_grad()
    def down(self, h: Tensor, layers: int | None = None) -> Tensor:
        """Mean-field pass downwards through the first ``layers`` RBMs (default all).

        Args:
            h: states of the hidden units of RBM number ``layers``, ``(batch, n_hidden)``.
            layers: how many RBMs to go through.

        Returns:
            Visible means ``(batch, n_visible)``.

        Raises:
            SettingError: there are not so many RBMs.
            DataError: ``h`` cannot be states of those hidden units.
        """
        self._check_layers(layers)
        for k in reversed(range(len(self) if layers is None else layers)):
            h = self[k].mean_visible(h)
        return h

    def _check_layers(self, layers: int | None) -> None:
        if layers is not None:
            check_number("layers", layers, low=0, high=len(self), whole=True)

    def reconstruct(self, v: Tensor) -> Tensor:
        """Up and down again, mean-field: ``(batch, n_visible)`` -> ``(batch, n_visible)``."""
        return self.down(self.up(v))

    @torch.no_grad()
    def sample(self, n: int, steps: int = 1000, generator: torch.Generator | None = None) -> Tensor:
        """Draw from the DBN: Gibbs sampling in the top RBM, then one pass down, its last step a mean.

        Args:
            n: number of chains.
            steps: Gibbs steps in the top RBM, which starts from its visible units without a field.
            generator: source of randomness (default: torch's global one).

        Returns:
            Visible means ``(n, n_visible)``.

        Raises:
            SettingError: ``n`` or ``steps`` is no number of chains or steps.
        """
        check_number("n", n, low=1, whole=True)
        top = self[len(self) - 1]
        v = top.visible.sample(top.weight.new_zeros(n, top.n_visible), generator)
        h = top.sample_hidden(top.gibbs(v, steps, generator), generator)
        for k in reversed(range(1, len(self))):
            h = self[k].sample_visible(h, generator)
        return self[0].mean_visible(h)

    def save(self, path: str | Path, description: dict[str, Any] | None = None) -> None:
        """Write the DBN file: one safetensors file with a JSON header, in one step.

        Args:
            path: where to.
            description: what else to keep in the header: how each layer was trained, data, version (plain JSON).
        """
        layers = [
            {"visible": rbm.visible.kind, "hidden": rbm.hidden.kind} for rbm in map(self.__getitem__, range(len(self)))
        ]
        header = {"format": FORMAT, "sizes": self.sizes, "layers": layers, "description": description or {}}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(Path(path), serialise(tensors, metadata={"dbn": json.dumps(header, allow_nan=False)}))

    @classmethod
    def load(cls, path: str | Path) -> "DBN":
        """Read a DBN file. Nothing in the file is executed.

        Raises:
            ModelFileError: the file is missing, is no DBN file, or does not hold what its header says.
        """
        header, tensors = _read(Path(path))
        try:
            kinds = [header["layers"][0]["visible"], *(layer["hidden"] for layer in header["layers"])]
            stack = cls.untrained(header["sizes"], kinds).to(next(iter(tensors.values())).dtype)
            stack.load_state_dict(tensors)
        except (IndexError, KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
            raise ModelFileError(
                f"{path}: the header does not fit the tensors ({error}). Write the file again."
            ) from error
        return stack

    @staticmethod
    def describe(path: str | Path) -> dict[str, Any]:
        """The header of a DBN file: format, sizes, unit types, and the description given when it was saved.

        Raises:
            ModelFileError: as :meth:`load`.
        """
        return _read(Path(path))[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a DBN file."""
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such DBN file. dbn-pretrain writes one as dbn.safetensors.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("dbn", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not readable as a DBN file ({error}). It may be cut short: write it again."
        ) from error
    if header.get("format") != FORMAT:
        raise ModelFileError(f"{path}: a safetensors file, but not a DBN ({FORMAT}). DBN.save writes one.")
    return header, tensors
