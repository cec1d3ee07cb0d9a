"""Pictures in files: read as a viewer shows them. What is expected is computed by hand."""

import numpy as np
import pytest
from PIL import Image

from dbn.data import image_folder, load_data
from dbn.data.sources.picture_file import PictureReader, background_colour, picture_size
from dbn.errors import DataError, SettingError

WHITE = (255, 255, 255)
NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def read(file, grey=True, background=WHITE, size=None):
    return PictureReader(grey, background, size).read(file)


def luma(rgb):
    """ITU-R 601, of (..., 3)."""
    return np.asarray(rgb, float) @ [0.299, 0.587, 0.114]


def over(colour, alpha, behind):
    """``alpha`` of a colour in front of another."""
    return np.asarray(colour, float) * alpha / 255 + np.asarray(behind, float) * (1 - alpha / 255)


@pytest.mark.parametrize("background", ["white", "black", 128, "#ff8000"])
@pytest.mark.parametrize("alpha", [0, 77, 255])
def test_transparent_pixels_let_the_background_through(tmp_path, background, alpha):
    Image.new("RGBA", (2, 3), (10, 200, 60, alpha)).save(tmp_path / "0.png")
    behind = {"white": WHITE, "black": (0, 0, 0), 128: (128, 128, 128), "#ff8000": (255, 128, 0)}[background]
    assert background_colour(background) == behind
    expected = over((10, 200, 60), alpha, behind)
    colour = read(tmp_path / "0.png", grey=False, background=behind)
    assert colour.shape == (3, 3, 2)
    assert np.abs(colour[:, 1, 1] - expected).max() <= 0.51
    assert abs(float(read(tmp_path / "0.png", background=behind)[0, 0, 0]) - luma(expected)) <= 1.1


def test_a_black_drawing_on_transparent_ground(tmp_path):
    """As in the case transparent_drawing: black on white, where all was black."""
    drawn = np.zeros((8, 8), bool)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(5):
            pixels = np.zeros((8, 8, 4), np.uint8)
            pixels[2:6, 1 + number if name == "a" else 4] = (0, 0, 0, 255)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    drawn[2:6, 3] = True
    images = image_folder(tmp_path).train_images
    assert np.array_equal(images[2, 0].numpy(), np.where(drawn, 0, 255))
    assert image_folder(tmp_path, background="black").train_images.max() == 0
    assert image_folder(tmp_path, background=100).train_images.unique().tolist() == [0, 100]


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1", "LA", "PA"])
def test_transparency_of_every_mode(tmp_path, mode):
    """The left half is transparent, the right is what it was: in PNG, GIF and TIFF files as Pillow writes them."""
    if mode == "LA":
        image = Image.fromarray(np.stack([np.full((4, 4), 90), np.repeat([[0, 0, 255, 255]], 4, 0)], -1).astype("u1"))
        assert image.mode == "LA"
        image.save(tmp_path / "0.png")
        expected = 90
    elif mode == "PA":
        image = Image.new("RGBA", (4, 4), (90, 90, 90, 255))
        image.paste((5, 6, 7, 0), (0, 0, 2, 4))
        image.quantize(8).save(tmp_path / "0.png")  # a palette with an alpha value for each colour
        expected = 90
    else:
        values = {"P": (1, 2), "L": (50, 90), "RGB": ((1, 2, 3), (90, 90, 90)), "1": (0, 255)}[mode]
        image = Image.new(mode, (4, 4), values[1])
        if mode == "P":
            image.putpalette([9, 9, 9, 5, 5, 5, 90, 90, 90])
        image.paste(values[0], (0, 0, 2, 4))
        image.save(tmp_path / "0.png", transparency=values[0])
        expected = 255 if mode == "1" else 90
    grey = read(tmp_path / "0.png", background=(30, 30, 30))[0]
    assert grey.tolist() == [[30, 30, expected, expected]] * 4


def test_a_gif_with_transparency_and_several_frames_gives_its_first(tmp_path):
    frames = []
    for value in (1, 2):
        frame = Image.new("P", (3, 3), value)
        frame.putpalette([0, 0, 0, 40, 40, 40, 200, 200, 200])
        frame.putpixel((0, 0), 0)
        frames.append(frame)
    frames[0].save(tmp_path / "0.gif", save_all=True, append_images=frames[1:], transparency=0, disposal=2)
    with Image.open(tmp_path / "0.gif") as image:
        assert image.n_frames == 2
    assert read(tmp_path / "0.gif")[0].tolist() == [[255, 40, 40], [40, 40, 40], [40, 40, 40]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
def test_the_stored_orientation_is_applied(tmp_path, orientation, kind):
    """A picture stored turned or mirrored, with the tag that says so, equals the upright one (EXIF 2.3, table 6)."""
    stored = {
        1: NOISE, 2: NOISE[:, ::-1], 3: NOISE[::-1, ::-1], 4: NOISE[::-1], 5: NOISE.transpose(1, 0, 2),
        6: np.rot90(NOISE, 1), 7: NOISE[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(NOISE, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"0.{kind}", exif=exif, **options)
    assert np.array_equal(read(tmp_path / f"0.{kind}", grey=False), NOISE.transpose(2, 0, 1))


def test_a_photograph_lying_on_its_side_is_of_the_size_it_is_shown_in(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4), (9, 9, 9)).save(tmp_path / "0.jpg", exif=exif)
    assert read(tmp_path / "0.jpg").shape == (1, 8, 4)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_of_grey_are_rounded_to_8(tmp_path, suffix):
    deep = np.array([[0, 128, 129, 257, 385], [386, 32768, 40000, 65406, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / f"0.{suffix}")
    expected = np.array([[0, 0, 1, 1, 1], [2, 128, 156, 254, 255]])  # value / 257, rounded
    assert np.array_equal(read(tmp_path / f"0.{suffix}")[0], expected)
    assert np.array_equal(read(tmp_path / f"0.{suffix}", grey=False), np.stack([expected] * 3))


def test_16_bits_turned_and_transparent(tmp_path):
    deep = (np.arange(6, dtype=np.uint16) * 10_000).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(deep).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read(tmp_path / "turned.png")[0], np.round(deep[::-1, ::-1] / 257))
    Image.fromarray(deep).save(tmp_path / "clear.png", transparency=0)
    assert read(tmp_path / "clear.png", background=(7, 7, 7))[0, 0].tolist() == [7, 39, 78]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_of_32_bits_are_refused(tmp_path, mode):
    Image.new(mode, (3, 3), 70_000).save(tmp_path / "0.tif")
    with pytest.raises(DataError, match=rf"0\.tif has pixels of more than 8 bits \(mode {mode}\).*data\.maximum"):
        read(tmp_path / "0.tif")


def test_palettes_1_bit_cmyk_and_luma_are_what_they_show(tmp_path):
    palette = Image.fromarray(NOISE).quantize(200)
    palette.save(tmp_path / "palette.png")
    shown = np.asarray(palette.convert("RGB"))
    assert np.array_equal(read(tmp_path / "palette.png", grey=False), shown.transpose(2, 0, 1))
    assert np.abs(read(tmp_path / "palette.png")[0] - luma(shown)).max() <= 0.51
    Image.fromarray(NOISE[..., 0] > 100).save(tmp_path / "bits.png")
    assert np.array_equal(read(tmp_path / "bits.png")[0], np.where(NOISE[..., 0] > 100, 255, 0))
    ink = Image.new("CMYK", (2, 2), (255, 0, 102, 51))
    for name in ("ink.tif", "ink.jpg"):
        ink.save(tmp_path / name, quality=100)
        expected = [0, 204, 122]  # (255 - ink) * (255 - black) / 255
        assert np.abs(read(tmp_path / name, grey=False)[:, 1, 1].astype(int) - expected).max() <= 2
        assert abs(float(read(tmp_path / name)[0, 1, 1]) - luma(expected)) <= 2


def test_resizing_averages_over_what_falls_into_a_pixel(tmp_path):
    """A chequerboard of single pixels becomes grey all over: without antialiasing it would stay black and white."""
    board = np.where(np.indices((40, 60)).sum(0) % 2, 255, 0).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "0.png")
    small = read(tmp_path / "0.png", size=(4, 6))
    assert small.shape == (1, 4, 6)
    assert np.abs(small[0, 1:-1, 1:-1] - 127.5).max() <= 1.5
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None], 50, 0)  # 50 x 100, linear in width
    Image.fromarray(ramp).save(tmp_path / "1.png")
    resized = read(tmp_path / "1.png", size=(5, 10))[0]
    assert np.abs(resized[:, 1:-1] - (9 + 20 * np.arange(10))[1:-1]).max() <= 1
    assert read(tmp_path / "1.png", grey=False, size=(60, 120)).shape == (3, 60, 120)


def test_what_is_transparent_is_composited_before_it_is_resized(tmp_path):
    """Colours under transparent pixels do not bleed in."""
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :20] = (255, 255, 255, 255)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    assert read(tmp_path / "0.png", size=(4, 4)).min() == 255


@pytest.mark.parametrize(
    ("value", "size"), [(28, (28, 28)), ([20, 30], (20, 30)), ((5, 6), (5, 6)), (1, (1, 1)), (None, None)]
)
def test_sizes(value, size):
    assert picture_size(value) == size


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "28", [28], [28, 0], [28, None], [1, 2, 3], "a", {}, 10**9])
def test_sizes_that_cannot_be_used_are_refused_by_name(value):
    with pytest.raises(SettingError, match=r"data\.size="):
        picture_size(value)


def test_backgrounds():
    assert background_colour("128") == background_colour(128) == (128, 128, 128)
    assert background_colour("navy") == (0, 0, 128)


@pytest.mark.parametrize("value", [-1, 256, 1.5, "whitish", "", True, None, [255, 255, 255], "#12", "#11223344", 1e400])
def test_backgrounds_that_cannot_be_used_are_refused_by_name(value):
    with pytest.raises(SettingError, match=r"data\.background="):
        background_colour(value)


def test_a_file_that_unpacks_to_too_much_is_refused_by_name(tmp_path, monkeypatch):
    Image.new("L", (300, 300)).save(tmp_path / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image"):
        read(tmp_path / "0.png")


def test_grey_values_of_a_folder_are_0_to_255_however_dark(tmp_path, caplog):
    for name in ("a", "b"):
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (2, 2), 10 + number).save(tmp_path / name / f"{number}.png")
    data = load_data(image_folder(tmp_path), validation=0, test=2)
    assert data.maximum == 255
    assert "brightest pixel of all images is 12 of 255; data.maximum=12 " in caplog.text
    data = load_data(image_folder(tmp_path, maximum=12), validation=0, test=0)
    assert sorted(set(data.train.features().flatten().tolist())) == pytest.approx([10 / 12, 11 / 12, 1])
    with pytest.raises(DataError, match=r"data\.maximum=11:.*10 to 12.*Set data\.maximum=12 "):
        load_data(image_folder(tmp_path, maximum=11))
