"""Every file of conf/data composes, resolves and builds what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from scipy.io import savemat

import dbn.data
from dbn.data import Source, load_data

CONF = Path(__file__).parents[3] / "conf" / "data"
CHOICES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "base")


@pytest.fixture
def composed(tmp_path):
    """Compose ``data=<choice>`` into an otherwise empty configuration."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "primary.yaml").write_text(
        f"defaults: [{{data: digits}}, _self_]\nhydra: {{searchpath: ['file://{CONF.parent}']}}\n"
    )

    def composed(*overrides):
        with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
            return compose("primary", list(overrides))

    return composed


def test_the_choices():
    assert {"digits", "mnist", "fashion_mnist", "binarized_mnist", "npz", "image_folder", "memmap", "mat"} <= set(
        CHOICES
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_composes_and_every_interpolation_resolves(composed, choice, monkeypatch):
    monkeypatch.setenv("DBN_DATA", "somewhere")
    needs_path = choice in ("npz", "mat", "image_folder", "memmap", "table")
    config = composed(f"data={choice}", *(["data.path=of/mine"] if needs_path else []))
    data = OmegaConf.to_container(config.data, resolve=True, throw_on_missing=True)
    assert data["name"] == choice
    assert callable(getattr(dbn.data, data["source"]["_target_"].removeprefix("dbn.data.")))
    assert data["source"].get("root", "somewhere") == "somewhere"
    assert data["source"].get("path", "of/mine") == "of/mine"
    assert {"split_seed", "n_labelled", "validation", "standardise", "representations"} <= data.keys()
    assert (CONF / f"{choice}.yaml").read_text().startswith("# ")


def test_without_dbn_data_the_root_is_null(composed, monkeypatch):
    monkeypatch.delenv("DBN_DATA", raising=False)
    assert composed("data=mnist").data.source.root is None


@pytest.mark.parametrize("override", ["data.test=0.1", "data.path=x", "data.grey=true"])
def test_a_key_without_effect_does_not_exist(composed, override):
    with pytest.raises(HydraException, match=r"data\.\w+"):
        composed("data=mnist", override)


def loaded(config):
    """As the entry points do it."""
    data = config.data
    return load_data(
        instantiate(data.source),
        split_seed=data.split_seed,
        validation=data.validation,
        test=data.get("test", 0.2),
        standardise=data.standardise,
    )


def test_digits_from_configuration(composed):
    data = loaded(composed("data=digits", "data.validation=100", "data.test=97"))
    assert (len(data.train), len(data.validation), len(data.test)) == (1600, 100, 97)


def test_npz_from_configuration(composed, tmp_path):
    images = np.full((30, 2, 2), 50, np.uint8)
    np.savez(tmp_path / "mine.npz", images=images, labels=[0, 1, 2] * 10)
    data = loaded(composed("data=npz", f"data.path={tmp_path / 'mine.npz'}", "data.maximum=100", "data.name=plates"))
    assert data.name == "plates"
    assert data.train.features().unique().tolist() == [0.5]


def test_image_folder_from_configuration(composed, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (4, 3), (number, 0, 0)).save(tmp_path / "own" / name / f"{number}.png")
    source = instantiate(composed("data=image_folder", f"data.path={tmp_path / 'own'}", "data.grey=false").data.source)
    assert isinstance(source, Source)
    assert source.train_images.shape == (10, 3, 3, 4)


@pytest.mark.parametrize(
    ("override", "shape", "corner"),
    [
        ("data.size=[6,2]", (1, 6, 2), 255),
        ("data.size=5", (1, 5, 5), 255),
        ("data.background=black", (1, 3, 4), 0),
        ("data.background=7", (1, 3, 4), 7),
        ('data.background="#070707"', (1, 3, 4), 7),
    ],
)
def test_pictures_as_the_command_line_asks_for_them(composed, tmp_path, override, shape, corner):
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        Image.new("RGBA", (4, 3), (0, 0, 0, 0)).save(tmp_path / "own" / name / "0.png")
    source = instantiate(composed("data=image_folder", f"data.path={tmp_path / 'own'}", override).data.source)
    assert source.train_images.shape == (2, *shape)
    assert source.train_images.unique().tolist() == [corner]


def test_matlab_file_and_arrays_by_other_names_from_configuration(composed, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 2, 3)).astype(np.uint8)
    savemat(tmp_path / "mine.mat", {"X": np.moveaxis(images, 0, -1), "y": np.arange(30) % 3})
    np.savez(tmp_path / "mine.npz", X=images, y=np.arange(30) % 3)
    for choice, more in (("mat", ["data.images_last=true"]), ("npz", [])):
        path = f"data.path={tmp_path / 'mine'}.{choice}"
        data = loaded(composed(f"data={choice}", path, "data.images=X", "data.labels=y", "data.test=0", *more))
        assert len(data.test) == 0
        both = torch.cat([data.train.pixels, data.validation.pixels]).numpy()
        assert sorted(map(bytes, both)) == sorted(map(bytes, images.reshape(30, 6)))
