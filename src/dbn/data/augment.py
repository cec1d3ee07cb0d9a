"""Augmentation in batches on the device: random affine maps and elastic deformations, warped by kornia."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.settings import Check, check_table, within

AUGMENT_CHECKS: dict[str, Check] = {
    "rotation": within(low=0, high=180),
    "translation": within(low=0, high=1),
    "scale": within(low=0, high=1, below=True),
    "shear": within(low=0, high=90, below=True),
    "elastic_alpha": within(low=0),
    "elastic_sigma": within(low=0, above=True),
}
"""Checks of the settings of :class:`Augment`."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random deformation of images; every setting ``m`` is drawn uniformly from ``[-m, m]``.

    Attributes:
        rotation: degrees.
        translation: fraction of the image's width and height.
        scale: relative change of size, 0.1 for 90 % to 110 %; drawn separately for each axis.
        shear: degrees.
        elastic_alpha: strength of the elastic deformation: displacements are this many pixels times noise in [-1, 1]
            smoothed by a Gaussian kernel; 0 for none.
        elastic_sigma: width of that kernel in pixels.

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

    def __post_init__(self) -> None:
        """Check every value."""
        check_table("augment", vars(self), AUGMENT_CHECKS)
        if not self.is_nothing:
            import kornia  # noqa: F401  # here: slow, and most arms deform nothing; now: a fit measures its seconds

    @property
    def is_nothing(self) -> bool:
        """Whether images are left unchanged."""
        return not any((self.rotation, self.translation, self.scale, self.shear, self.elastic_alpha))

    def __call__(
        self, features: Tensor, shape: tuple[int, int, int], generator: torch.Generator | Sequence[torch.Generator]
    ) -> Tensor:
        """Deform every image independently; pixels outside an image repeat its border.

        Args:
            features: ``(batch, n_features)``, or ``(members, batch, n_features)`` in a group.
            shape: channels, height, width.
            generator: source of randomness, on the device of ``features``; in a group one for each member.

        Returns:
            Features of the same shape.
        """
        from kornia.geometry.transform import remap  # here: see __post_init__

        if isinstance(generator, Sequence):
            return torch.stack([self(own, shape, g) for own, g in zip(features, generator, strict=True)])
        images = features.reshape(-1, *shape)
        x, y = self.sampling_points(len(images), shape[1], shape[2], generator)
        warped = remap(images, x, y, mode="bilinear", padding_mode="border", align_corners=True)
        return warped.reshape(features.shape)

    def sampling_points(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Source coordinates x and y, in pixels, of each pixel of the deformed images: ``(batch, height, width)``."""
        device = generator.device

        def draw(limit: float) -> Tensor:
            return (2 * torch.rand(batch, 1, 1, generator=generator, device=device) - 1) * limit

        rotation, shear = torch.deg2rad(draw(self.rotation)), torch.deg2rad(draw(self.shear))
        scale_x, scale_y = 1 + draw(self.scale), 1 + draw(self.scale)
        shift_x, shift_y = draw(self.translation * width), draw(self.translation * height)
        y, x = torch.meshgrid(
            torch.arange(height, device=device) - (height - 1) / 2,
            torch.arange(width, device=device) - (width - 1) / 2,
            indexing="ij",
        )
        # The inverse map: undo the shift, then rotation, then shear and scale, round the image's centre.
        u, v = x - shift_x, y - shift_y
        u, v = u * rotation.cos() + v * rotation.sin(), v * rotation.cos() - u * rotation.sin()
        u, v = (u + v * shear.tan()) / scale_x, v / scale_y
        u, v = u + (width - 1) / 2, v + (height - 1) / 2
        if self.elastic_alpha > 0:
            u, v = self.displace(u, v, generator)
        return u, v

    def displace(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Add smooth random displacements to sampling points ``(batch, height, width)``."""
        from kornia.filters import gaussian_blur2d  # here: see __post_init__

        noise = 2 * torch.rand(len(x), 2, *x.shape[1:], generator=generator, device=x.device) - 1
        width = 2 * round(3 * self.elastic_sigma) + 1
        kernel = (min(width, 2 * x.shape[1] - 1), min(width, 2 * x.shape[2] - 1))
        smooth = gaussian_blur2d(noise, kernel, (self.elastic_sigma, self.elastic_sigma), border_type="constant")
        return x + self.elastic_alpha * smooth[:, 0], y + self.elastic_alpha * smooth[:, 1]
