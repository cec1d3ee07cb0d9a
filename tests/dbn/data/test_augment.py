"""Augmentation against maps whose result is known."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from dbn.data import DataSet, Source, load_data
from dbn.data.augment import Augment
from dbn.errors import SettingError
from dbn.random.streams import stream, streams

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
    "options", [{}, {"rotation": 10.0, "scale": 0.1}, {"translation": 0.1, "shear": 5.0, "elastic_alpha": 34.0}]
)
def test_warps_alone_draw_what_they_always_drew(options: dict[str, float]) -> None:
    """Values at the sampling points (scipy's, between pixels and beyond borders), and nothing is drawn after these."""
    x, augment = torch.rand(6, 3 * 9 * 8), Augment(**options)  # type: ignore[arg-type]
    used, reference = stream(3, "augment"), stream(3, "augment")
    across, down = (own.numpy() for own in augment.sampling_points(6, 9, 8, reference))
    expected = [
        ndimage.map_coordinates(picture.numpy(), (down[k], across[k]), order=1, mode="nearest")
        for k, own in enumerate(x.reshape(6, 3, 9, 8))
        for picture in own
    ]
    warped = augment(x, (3, 9, 8), used).reshape(18, 9, 8)
    torch.testing.assert_close(warped, torch.from_numpy(np.stack(expected)), atol=1e-5, rtol=0)
    assert torch.equal(used.get_state(), reference.get_state())


def test_warps_come_first_and_draw_the_same_beside_others() -> None:
    x, shape = torch.rand(30, 3 * 9 * 8), (3, 9, 8)
    warp, others = {"rotation": 20.0, "elastic_alpha": 5.0}, {"crop": 2, "flip": 0.5, "contrast": 0.5}
    both = Augment(**warp, **others)(x, shape, stream(0, "augment"))  # type: ignore[arg-type]
    generator = stream(0, "augment")
    warped = Augment(**warp)(x, shape, generator)  # type: ignore[arg-type]
    assert torch.equal(Augment(**others)(warped, shape, generator), both)  # type: ignore[arg-type]


COLOUR = Augment(crop=1, flip=0.5, brightness=0.5, contrast=0.5, saturation=0.5)


def colour_data(split_seed: int = 0, *, standardise: bool = True) -> DataSet:
    """Bytes of 60 images of 3 x 6 x 5 pixels whose channels differ."""
    images = torch.rand(60, 3, 6, 5, generator=stream(0, "images")) ** 2 * torch.tensor([255, 180, 90])[:, None, None]
    return load_data(
        Source("mine", images.to(torch.uint8), maximum=255), split_seed=split_seed, standardise=standardise
    )


def test_pictures_change_whatever_the_scaling_of_their_features() -> None:
    """Standardised features are those of the changed picture, whose values stay in the range of bytes."""
    plain, data = colour_data(standardise=False), colour_data()
    expected = COLOUR(plain.train.features(), plain.shape, stream(0, "augment"))
    assert expected.min() >= 0
    assert expected.max() <= 1
    with_scaling = COLOUR(plain.train.features(), plain.shape, stream(0, "augment"), plain.scaling)
    torch.testing.assert_close(with_scaling, expected, rtol=0, atol=1e-6)
    assert with_scaling.max() <= plain.scaling.features(torch.tensor([[255] * 90])).max()
    found = COLOUR(data.train.features(), data.shape, stream(0, "augment"), data.scaling)
    assert found.min() < 0
    torch.testing.assert_close(data.scaling.stored(found), 255 * expected, rtol=0, atol=1e-3)
    moved = [
        Augment(crop=1, flip=0.5)(own.train.features(), own.shape, stream(0, "augment"), own.scaling)
        for own in (plain, data)
    ]
    torch.testing.assert_close(data.scaling.stored(moved[1]), 255 * moved[0], rtol=0, atol=1e-3)


def test_members_of_a_group_are_changed_as_they_would_be_alone() -> None:
    """Each with the scaling of its own split."""
    sets = [colour_data(seed) for seed in range(3)]
    features = torch.stack([data.train.features() for data in sets])
    assert not torch.equal(sets[0].scaling.offset, sets[1].scaling.offset)
    together = COLOUR(features, (3, 6, 5), streams(range(3), "augment"), [data.scaling for data in sets])
    for seed, data in enumerate(sets):
        assert torch.equal(together[seed], COLOUR(features[seed], data.shape, stream(seed, "augment"), data.scaling))


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": -1},
        {"scale": 1.0},
        {"elastic_sigma": 0},
        {"translation": "2px"},
        {"translation": 2},
        {"crop": 1.5},
        {"crop": -1},
        {"flip": 1.1},
        {"brightness": 2},
        {"contrast": "much"},
        {"saturation": -0.1},
    ],
)
def test_bad_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=f"augment.{next(iter(options))}"):
        Augment(**options)  # type: ignore[arg-type]
