"""What a stack generates: samples, missing pixels, reconstructions; as pictures and as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.given_images import check_given, read_by
from dbn.data.images import Images
from dbn.data.scaling import Scaling
from dbn.errors import SettingError
from dbn.files import replacing
from dbn.models.dbm import DBM
from dbn.models.dbn import DBN
from dbn.random.streams import stream
from dbn.samplers.clamped import clamped_gibbs
from dbn.samplers.clamped_dbm import clamped_gibbs_of_dbm
from dbn.use.blocks import Advance
from dbn.use.contact_sheet import marked, write_sheet
from dbn.use.data_to_use import DataToUse
from dbn.use.missing_pixels import missing_pixels


@dataclass(frozen=True, eq=False)
class Generated:
    """What a stack has generated.

    Attributes:
        main: name of the array that is asked for.
        arrays: by name; images are ``(n, channels, height, width)`` float32 in the units of the training images.
        pictures: kinds of pictures to show below each other, in [0, 1]; empty where there are none.
    """

    main: str
    arrays: dict[str, NDArray]
    pictures: Sequence[NDArray] = field(default=())

    def __len__(self) -> int:
        """Number of images."""
        return len(self.arrays[self.main])

    @property
    def what(self) -> str:
        """What they are."""
        return "images filled in" if self.main == "filled" else self.main

    def save(self, path: Path) -> None:
        """Write pictures (``.png``), the main array (``.npy``), or all arrays (``.npz``), whole or not at all."""
        if path.suffix == ".png":
            write_sheet(path, self.pictures)
            return
        with replacing(path) as temporary, temporary.open("wb") as file:
            if path.suffix == ".npy":
                np.save(file, self.arrays[self.main])
            else:
                np.savez_compressed(file, **self.arrays)  # type: ignore[arg-type]  # numpy's stub takes **kwds for a flag


@dataclass(frozen=True, eq=False)
class FirstImages:
    """The first images of some data, in the order of their source.

    Attributes:
        pixels: as stored, ``(n, n_features)``.
        facts: arrays that say which images they are: ``index``, ``names``, ``labels``, where there are such.
    """

    pixels: Tensor
    facts: dict[str, NDArray]


def first_images(data: DataToUse, n: int) -> FirstImages:
    """The first ``n`` images, or all where there are fewer."""
    pixels: list[Tensor] = []
    index: list[int] = []
    names: list[str] = []
    labels: list[str] = []
    for part in data.parts:
        positions = part.index.argsort()[: n - len(index)]
        found = part.images.take(positions)
        pixels.append(found.pixels)
        index += part.index[positions].tolist()
        names += [part.names[k] if part.names else "" for k in positions.tolist()]
        labels += [""] * len(positions) if found.labels is None else [data.classes[k] for k in found.labels.tolist()]
    facts = {"index": np.array(index)}
    facts |= {"names": np.array(names)} if data.has_names else {}
    facts |= {"labels": np.array(labels)} if data.has_labels else {}
    return FirstImages(torch.cat(pixels), facts)


def draw(stack: DBN | DBM, n: int, steps: int, seed: int, after_step: Advance) -> Generated:
    """Draw ``n`` images, see :meth:`dbn.DBN.sample`; features ``(n, n_visible)`` where the scaling is not known."""
    device = next(stack.parameters()).device
    means = stack.sample(n, steps, stream(seed, "samples", device=device), lambda: after_step(1)).cpu()
    if stack.scaling is None:
        return Generated("samples", {"samples": means.numpy()})
    return Generated("samples", {"samples": _stored(stack.scaling, means)}, [_pictures(stack.scaling, means)])


def fill(
    stack: DBN | DBM, images: FirstImages, mask: str | Sequence[int] | None, steps: int, seed: int, after_step: Advance
) -> Generated:
    """Fill in the pixels of images that ``mask`` says are missing, or that are NaN.

    ``filled`` has them at the means of the last step of :func:`dbn.samplers.clamped.clamped_gibbs`, which is what the
    pictures show, ``expected`` at their estimated expectations. All others stay as they are.

    Raises:
        SettingError: nothing is missing, or the mask does not fit the images.
        DataError: images of another size or in other units.
    """
    scaling = known_scaling(stack)
    pixels = images.pixels.float()
    lost = pixels.isnan()
    known = torch.where(lost, 0.0, pixels)
    features = visible_states_of(stack, known)
    missing = lost | missing_pixels(mask, scaling.shape)
    if not missing.any():
        raise SettingError(
            "mask=null: nothing is missing in these images. Give mask=[top,left,height,width], a picture that is white "
            "where pixels are missing, or images with NaN there."
        )
    like = next(stack.parameters())
    given: tuple[Any, ...] = (
        features.to(like), missing.to(like.device), steps, stream(seed, "fill", device=like.device),
        lambda: after_step(1),
    )  # fmt: skip
    found = clamped_gibbs_of_dbm(stack, *given) if isinstance(stack, DBM) else clamped_gibbs(stack, *given)
    means, expected = found.means.float().cpu(), found.expected.float().cpu()

    def completed(features: Tensor) -> NDArray:
        return torch.where(missing, scaling.stored(features), pixels).reshape(-1, *scaling.shape).numpy()

    holes = missing.reshape(-1, *scaling.shape).numpy()
    shown = torch.where(missing, torch.nan, pixels).reshape(-1, *scaling.shape).numpy()
    originals = _pictures(scaling, features)
    pictures = [marked(originals, holes), _pictures(scaling, means)]
    if not lost.any():
        pictures.append(originals)
    arrays = {"filled": completed(means), "expected": completed(expected), "images": shown, "missing": holes}
    return Generated("filled", {**arrays, **images.facts}, pictures)


def reconstruct(stack: DBN | DBM, images: FirstImages) -> Generated:
    """Mean-field reconstructions of images, and their squared errors, summed over features.

    Raises:
        DataError: images of another size or in other units.
    """
    scaling = known_scaling(stack)
    features = visible_states_of(stack, images.pixels)
    found = stack.reconstruct(features.to(next(stack.parameters()))).float().cpu()
    arrays = {
        "reconstructions": _stored(scaling, found),
        "images": images.pixels.float().reshape(-1, *scaling.shape).numpy(),
        "squared_error": (found - features).square().sum(1).numpy(),
        **images.facts,
    }
    return Generated("reconstructions", arrays, [_pictures(scaling, features), _pictures(scaling, found)])


def known_scaling(stack: DBN | DBM) -> Scaling:
    """How stored images become features.

    Raises:
        SettingError: the file does not say it.
    """
    if stack.scaling is None:
        raise SettingError(
            "stack: this file does not say how stored images become features, nor their shape. Save the stack with its "
            "scaling, DBN(layers, data.scaling).save(...); without one, features can be drawn: output=samples.npy."
        )
    return stack.scaling


def visible_states_of(stack: DBN | DBM, pixels: Tensor) -> Tensor:
    """Features of stored images ``(n, n_features)``, after checks: states of the visible units, of the same shape."""
    scaling, images = known_scaling(stack), Images.of(pixels, None)
    check_given(images, scaling, stack.sizes[0])
    return read_by(images, scaling).features()


def _stored(scaling: Scaling, features: Tensor) -> NDArray:
    """Images in the units of the training images."""
    return scaling.stored(features.float()).reshape(-1, *scaling.shape).numpy()


def _pictures(scaling: Scaling, features: Tensor) -> NDArray:
    """Pictures in [0, 1]."""
    return scaling.to_pixels(features.float()).numpy()
