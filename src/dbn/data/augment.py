"""Augmentation in batches on the device: images are warped, cropped, mirrored, and change their colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data.augment_settings import AUGMENT_CHECKS
from dbn.data.colour_jitter import colour_jitter
from dbn.data.crop_flip import crop_and_flip
from dbn.data.scaling import Scaling
from dbn.settings import check_table

Scalings = Scaling | Sequence[Scaling]
"""The scaling of features; in a group one for all members, or one for each."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of images: they are warped, then cropped, mirrored, and last change their colours.

    Every setting ``m`` is drawn uniformly from ``[-m, m]``, for each image anew, except for the two of elastic
    deformation and ``flip``.

    Attributes:
        rotation: degrees.
        translation: fraction of the image's width and height.
        scale: relative change of size, 0.1 for 90 % to 110 %; drawn separately for each axis.
        shear: degrees.
        elastic_alpha: strength of the elastic deformation: displacements are this many pixels times noise in [-1, 1]
            smoothed by a Gaussian kernel; 0 for none.
        elastic_sigma: width of that kernel in pixels.
        crop: pixels by which an image's border is repeated on each side before a crop of the image's own size is taken
            anywhere: a shift by whole pixels, in both directions. Its values are drawn as whole numbers.
        flip: probability of a mirror image, left to right.
        brightness: relative change, 0.4 for 60 % to 140 %; see :func:`dbn.data.colour_jitter.colour_jitter`.
        contrast: relative change of the differences to the image's mean grey value.
        saturation: relative change of the differences to the image's grey picture, for red, green and blue.

    Raises:
        SettingError: an invalid value.

    References:
        Simard, Steinkraus & Platt (2003), *Best practices for convolutional neural networks applied to visual document
        analysis*: sigma 4 and alpha 34 on 29x29 digits.
    """

    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 4.0
    crop: int = 0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        """Check every value."""
        check_table("augment", vars(self), AUGMENT_CHECKS)

    @property
    def warps(self) -> bool:
        """Whether images are warped."""
        return any((self.rotation, self.translation, self.scale, self.shear, self.elastic_alpha))

    @property
    def changes_colour(self) -> bool:
        """Whether intensities change."""
        return any((self.brightness, self.contrast, self.saturation))

    @property
    def is_nothing(self) -> bool:
        """Whether images are left unchanged."""
        return not (self.warps or self.crop or self.flip or self.changes_colour)

    def __call__(
        self,
        features: Tensor,
        shape: tuple[int, int, int],
        generator: torch.Generator | Sequence[torch.Generator],
        scaling: Scalings | None = None,
    ) -> Tensor:
        """Change every image independently; pixels outside an image repeat its border.

        Crops, mirror images and changes of colour are those of the stored picture, whatever the scaling of its
        features; colours stay in the range of stored values. Warps are of the features.

        Args:
            features: ``(batch, n_features)``, or ``(members, batch, n_features)`` in a group.
            shape: channels, height, width.
            generator: source of randomness, on the device of ``features``; in a group one for each member.
            scaling: of the features, in a group one for all or one for each member; None: they are intensities from 0
                to 1.

        Returns:
            Features of the same shape.
        """
        if isinstance(generator, Sequence):
            each = [scaling] * len(generator) if scaling is None or isinstance(scaling, Scaling) else scaling
            return torch.stack([
                self(own, shape, g, own_scaling)
                for own, g, own_scaling in zip(features, generator, each, strict=True)
            ])  # fmt: skip
        if self.warps or self.is_nothing:  # nothing at all draws as it always did: other draws of its stream follow
            features = self.warp(features, shape, generator)
        if self.crop or self.flip or self.changes_colour:
            if scaling is not None and not isinstance(scaling, Scaling):
                (scaling,) = scaling
            features = self.change_pictures(features, shape, generator, scaling)
        return features

    def warp(self, features: Tensor, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        """Affine and elastic deformation of features ``(batch, n_features)``."""
        images = features.reshape(-1, *shape)
        points = self.sampling_points(len(images), shape[1], shape[2], generator)
        for own, side in zip(points, (shape[2], shape[1]), strict=True):  # the image spans [-1, 1]
            own.mul_(2 / max(side - 1, 1)).sub_(1 if side > 1 else 0)
        warped = F.grid_sample(images, torch.stack(points, -1), padding_mode="border", align_corners=True)
        return warped.reshape(features.shape)

    def change_pictures(
        self, features: Tensor, shape: tuple[int, int, int], generator: torch.Generator, scaling: Scaling | None
    ) -> Tensor:
        """Crops, mirror images and other colours of features ``(batch, n_features)``."""
        # Where every pixel has a mean of its own, a feature that moved would stand for another intensity.
        if scaling is not None and not self.changes_colour and scaling.offset.ndim == 0:
            scaling = None
        x = features if scaling is None else scaling.intensities(features)
        if self.crop or self.flip:
            x = crop_and_flip(x, shape, self.crop, self.flip, generator)
        if self.changes_colour:
            images = x.reshape(-1, *shape)
            x = colour_jitter(images, self.brightness, self.contrast, self.saturation, generator).reshape(x.shape)
        return x if scaling is None else scaling.of_intensities(x)

    def sampling_points(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Source coordinates x and y, in pixels, of each pixel of the deformed images: ``(batch, height, width)``."""
        device = generator.device

        def draw(limit: float) -> Tensor:
            return (2 * torch.rand(batch, 1, 1, generator=generator, device=device) - 1) * limit

        rotation, shear = torch.deg2rad(draw(self.rotation)), torch.deg2rad(draw(self.shear))
        scale_x, scale_y = 1 + draw(self.scale), 1 + draw(self.scale)
        shift_x, shift_y = draw(self.translation * width), draw(self.translation * height)
        # Of one row and of one column, as long as they are the same in all: each operation on all pixels takes as long
        # as a layer's product.
        x = torch.arange(width, device=device) - (width - 1) / 2
        y = (torch.arange(height, device=device) - (height - 1) / 2).unsqueeze(1)
        # The inverse map: undo the shift, then rotation, then shear and scale, round the image's centre.
        u, v = x - shift_x, y - shift_y
        u, v = u * rotation.cos() + v * rotation.sin(), v * rotation.cos() - u * rotation.sin()
        u.add_(v * shear.tan()).div_(scale_x)
        v.div_(scale_y)
        u.add_((width - 1) / 2)
        v.add_((height - 1) / 2)
        if self.elastic_alpha > 0:
            u, v = self.displace(u, v, generator)
        return u, v

    def displace(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Add smooth random displacements to sampling points ``(batch, height, width)``."""
        noise = torch.rand(len(x), 2, *x.shape[1:], generator=generator, device=x.device).mul_(2).sub_(1)
        down, across = (smoothing(n, self.elastic_sigma, x.device) for n in x.shape[1:])
        smooth = (down @ (noise @ across)).mul_(self.elastic_alpha)
        return x + smooth[:, 0], y + smooth[:, 1]


@cache
def smoothing(n: int, sigma: float, device: torch.device) -> Tensor:
    """Matrix ``(n, n)`` that convolves ``n`` values in a row with a Gaussian kernel, with zeros beyond the ends.

    For pictures two such products take a tenth of the time of a convolution of every picture with a wide kernel.

    Args:
        n: number of values.
        sigma: width of the kernel, which ends at three times that.
        device: of the matrix.
    """
    reach = min(round(3 * sigma), n - 1)
    places = torch.arange(n, device=device)
    kernel = torch.exp(-torch.arange(-reach, reach + 1, device=device).square() / (2 * sigma**2))
    offsets = places - places.unsqueeze(1) + reach
    within = (offsets >= 0) & (offsets <= 2 * reach)
    return torch.where(within, (kernel / kernel.sum())[offsets.clamp(0, 2 * reach)], 0)
