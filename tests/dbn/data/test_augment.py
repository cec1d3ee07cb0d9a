"""Augmentation against maps whose result is known."""

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from dbn.data.augment import Augment
from dbn.errors import SettingError
from dbn.random.streams import stream

SHAPE = (1, 28, 28)


def blob(x: float, y: float) -> Tensor:
    """A smooth spot at a place, in pixels from the centre, ``(1, 784)``."""
    axis = torch.arange(28) - 13.5
    return torch.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / 18).reshape(1, -1)


def centre(features: Tensor) -> Tensor:
    """Centres of mass (x, y) from the image's centre, ``(batch, 2)``."""
    axis = torch.arange(28) - 13.5
    images = features.reshape(-1, 28, 28)
    mass = images.sum((1, 2))
    return torch.stack([(images.sum(1) * axis).sum(1) / mass, (images.sum(2) * axis).sum(1) / mass], 1)


def test_nothing_asked_nothing_changed() -> None:
    x = torch.rand(5, 784)
    torch.testing.assert_close(Augment()(x, SHAPE, stream(0, "augment")), x, atol=1e-5, rtol=0)


def test_translation_is_in_parts_of_the_side_and_fills_its_range() -> None:
    moved = centre(Augment(translation=4 / 28)(blob(0, 0).expand(2000, -1), SHAPE, stream(0, "augment")))
    assert moved.abs().max() < 4.05
    assert (moved.abs().amax(0) > 3.9).all()
    assert (moved.std(0) / (4 / 3**0.5) - 1).abs().max() < 0.05  # even distribution


def test_rotation_is_in_degrees_round_the_centre() -> None:
    moved = centre(Augment(rotation=30)(blob(6, 0).expand(2000, -1), SHAPE, stream(0, "augment")))
    angles = torch.rad2deg(torch.atan2(moved[:, 1], moved[:, 0]))
    assert angles.abs().max() == pytest.approx(30, abs=0.5)
    torch.testing.assert_close(moved.norm(dim=1), torch.full((2000,), 6.0), atol=0.1, rtol=0)


def test_scale_is_relative() -> None:
    moved = centre(Augment(scale=0.2)(blob(5, 5).expand(2000, -1), SHAPE, stream(0, "augment")))
    assert moved.min().item() == pytest.approx(4.0, abs=0.15)
    assert moved.max().item() == pytest.approx(6.0, abs=0.15)


def test_elastic_displacements_are_those_of_simard() -> None:
    """Uniform noise smoothed by a Gaussian (scipy's, on the same noise) times alpha."""
    augment = Augment(elastic_alpha=10.0, elastic_sigma=2.0)
    zero = torch.zeros(1, 28, 28)
    x, y = augment.displace(zero, zero, stream(0, "augment"))
    noise = 2 * torch.rand(1, 2, 28, 28, generator=stream(0, "augment")) - 1
    for found, part in ((x, noise[0, 0]), (y, noise[0, 1])):
        expected = 10 * ndimage.gaussian_filter(part.numpy(), 2.0, mode="constant", truncate=3.0)
        torch.testing.assert_close(found[0], torch.from_numpy(expected), atol=1e-4, rtol=0)


def test_every_image_is_deformed_in_its_own_way_and_reproducibly() -> None:
    x = blob(3, 2).expand(4, -1)
    augment = Augment(rotation=10, translation=0.07, elastic_alpha=20)
    once, again = (augment(x, SHAPE, stream(5, "augment")) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once[0], once[1])
    assert once.min() >= 0
    assert once.max() <= 1


@pytest.mark.parametrize(
    "options", [{"rotation": -1}, {"scale": 1.0}, {"elastic_sigma": 0}, {"translation": "2px"}, {"translation": 2}]
)
def test_bad_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=f"augment.{next(iter(options))}"):
        Augment(**options)  # type: ignore[arg-type]
