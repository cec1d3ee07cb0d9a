"""Images as stored, features as read, pictures as shown."""

import pytest
import torch

from dbn.data import DataSet, Images, Source, check_unit_interval, load_data
from dbn.data.block_reader import Decoder, decode_on_gpu
from dbn.errors import DataError


def picture_source(n=60, maximum=255.0, seed=0):
    """Unlabelled uint8 pictures of 2 x 3 pixels; the last pixel is always 7."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, int(maximum) + 1, (n, 1, 2, 3), generator=generator).to(torch.uint8)
    images[..., -1, -1] = 7
    return Source("pictures", images, maximum=maximum)


def test_features_follow_the_formula():
    pixels = torch.tensor([[0, 10], [255, 20]], dtype=torch.uint8)
    images = Images(pixels, None, torch.tensor([5.0, 10.0]), torch.tensor([0.5, 0.1]))
    expected = torch.tensor([[-2.5, 0.0], [125.0, 1.0]])
    torch.testing.assert_close(images.features(), expected)
    torch.testing.assert_close(images.features(torch.tensor([1])), expected[1:])
    torch.testing.assert_close(images.features(slice(0, 1)), expected[:1])


@pytest.mark.parametrize("out_dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [None, torch.tensor(1 / 255), torch.rand(6) + 0.1], ids=["no", "one", "each"])
@pytest.mark.parametrize("offset", [None, torch.tensor(3.0), torch.rand(6)], ids=["no", "one", "each"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_a_gpu_decodes_the_same_bits(dtype, offset, factor, out_dtype):
    """In another way, on any device: float32 as everywhere, shorter destinations rounded once."""
    pixels = torch.randint(0, 256, (9, 6)).to(dtype)
    decode = Decoder(
        pixels, torch.tensor(0.0) if offset is None else offset, torch.tensor(1.0) if factor is None else factor
    )
    out = torch.empty(9, 6, dtype=out_dtype)
    assert decode_on_gpu(pixels, decode.offset, decode.factor, out) is out
    assert torch.equal(out, decode(pixels).to(out_dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_reading_features_leaves_the_pixels_alone(dtype):
    pixels = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
    images = Images(pixels, None, torch.tensor(0.0), torch.tensor(0.5))
    for index in (None, slice(None), torch.tensor([0, 1])):
        assert images.features(index).dtype == torch.float32
    assert pixels.tolist() == [[1, 2], [3, 4]]


def test_take_keeps_labels_with_their_images():
    images = Images(
        torch.arange(5, dtype=torch.uint8)[:, None], torch.arange(5) + 10, torch.tensor(0.0), torch.tensor(1.0)
    )
    taken = images.take(torch.tensor([3, 0]))
    assert taken.pixels.squeeze(1).tolist() == [3, 0]
    assert taken.labels.tolist() == [13, 10]
    assert len(taken) == 2


def test_to_moves_every_tensor():
    images = Images(torch.zeros(2, 3), torch.zeros(2).long(), torch.tensor(0.0), torch.tensor(1.0)).to("meta")
    moved = (images.pixels, images.labels, images.offset, images.factor)
    assert all(tensor.device.type == "meta" for tensor in moved)


def test_without_standardisation_features_are_pixels_over_the_maximum():
    source = picture_source(maximum=16.0)
    data = load_data(source, validation=0, test=10)
    assert data.train.pixels.dtype == torch.uint8
    torch.testing.assert_close(data.train.features(), data.train.pixels / 16, rtol=0, atol=1e-7)
    assert load_data(picture_source(), validation=0).train.features().max() == 1.0  # 255 gives 1, not a bit more


def test_standardised_training_features_have_mean_0_and_deviation_1():
    data = load_data(picture_source(200), standardise=True)
    assert data.train.pixels.dtype == torch.uint8  # nothing was converted, only read otherwise
    features = data.train.features().double()
    varying, constant = features[:, :-1], features[:, -1]
    torch.testing.assert_close(varying.mean(0), torch.zeros(5).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(varying.std(0, correction=0), torch.ones(5).double(), rtol=0, atol=1e-5)
    assert constant.abs().max() == 0


def test_standardisation_looks_at_training_images_only():
    source = picture_source(200)
    data = load_data(source, standardise=True)
    torch.testing.assert_close(data.train.offset, data.train.pixels.float().mean(0))
    assert torch.equal(data.test.offset, data.train.offset)
    assert torch.equal(data.validation.factor, data.train.factor)
    assert (data.train.offset - source.train_images.flatten(1).float().mean(0))[:-1].abs().min() > 0


def test_a_pixel_that_never_changes_in_training_does_not_explode_in_testing():
    train = torch.zeros(10, 1, 1, 2)
    train[::2, ..., 0] = 1.0
    data = load_data(
        Source("x", train, test_images=torch.ones(3, 1, 1, 2), maximum=1.0), validation=0, standardise=True
    )
    assert data.test.features()[:, 1].tolist() == pytest.approx([100.0] * 3)  # 1 / floor of 0.01


@pytest.mark.parametrize("standardise", [False, True])
def test_to_pixels_undoes_features(standardise):
    images = torch.rand(40, 3, 2, 4)
    data = load_data(Source("colour", images * 8, maximum=8.0), validation=0, test=8, standardise=standardise)
    shown = data.to_pixels(data.train.features())
    assert shown.shape == (32, 3, 2, 4)
    torch.testing.assert_close(shown.flatten(1), data.train.pixels / 8, rtol=0, atol=1e-5)


def test_to_pixels_clips_and_works_for_a_data_set_built_by_hand():
    images = Images(torch.zeros(1, 2, dtype=torch.uint8), None, torch.tensor(0.0), torch.tensor(1 / 255))
    data = DataSet("by hand", images, images, images, (1, 1, 2), ())
    assert data.n_features == 2
    torch.testing.assert_close(
        data.to_pixels(torch.tensor([[-3.0, 0.25], [0.5, 7.0]])).flatten(1), torch.tensor([[0, 0.25], [0.5, 1]])
    )


def test_pixels_are_flattened_channel_row_column():
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5)
    data = load_data(Source("x", images, test_images=images, maximum=255), validation=0)
    channel, row, column = 2, 1, 3
    assert data.train.pixels[1, (channel * 4 + row) * 5 + column] == images[1, channel, row, column]
    assert data.shape == (3, 4, 5)


def test_unit_interval_accepts_both_ends_and_no_images():
    unit = Images(torch.tensor([[0, 255]], dtype=torch.uint8), None, torch.tensor(0.0), torch.tensor(1 / 255))
    check_unit_interval(unit, data_name="x")
    check_unit_interval(unit.take(torch.tensor([], dtype=torch.int64)), data_name="x")


@pytest.mark.parametrize(
    ("pixels", "message", "cure"),
    [
        ([[0.5, 1.5], [0.0, 0.0]], r"data=x.*test images.* 0 to 1\.5", "data.maximum=1.5"),
        ([[0.5, 1.0], [-0.25, 0.0]], r"-0\.25 to 1,", "shift and scale"),
    ],
)
def test_unit_interval_refuses_a_single_value_outside(pixels, message, cure):
    images = Images(torch.tensor(pixels), None, torch.tensor(0.0), torch.tensor(1.0))
    with pytest.raises(DataError, match=message) as caught:
        check_unit_interval(images, data_name="x", split="test")
    for words in (cure, "stack.visible=gaussian", "data.standardise=true"):
        assert words in str(caught.value)


def test_unit_interval_refuses_standardised_features():
    with pytest.raises(DataError, match="data=pictures"):
        check_unit_interval(load_data(picture_source(), standardise=True).train, data_name="pictures")
