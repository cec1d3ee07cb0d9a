"""Exported networks give, in a process that has nothing of this package, what Network.predict_proba gives."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dbn.data import DataSet
from dbn.data.scaling import Scaling
from dbn.errors import ModelFileError, SettingError
from dbn.models.activations import Activation
from finetune.export import export_network
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.normalisation import Normalisation

TOLERANCE = 2e-6
"""Largest difference of probabilities: products add up in another order, by up to a few units of the last place."""

BY_ONNX = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(name,), (output,) = [node.name for node in session.get_inputs()], [node.name for node in session.get_outputs()]
given = numpy.load(sys.argv[2])
found, one = (session.run(None, {name: images})[0] for images in (given, given[:1]))
numpy.savez(sys.argv[3], **{output: found, "one": one})
print(session.get_modelmeta().custom_metadata_map)
assert not {"torch", "dbn", "finetune"} & set(sys.modules)
"""
BY_TORCH = """
import sys, numpy, torch
extra = {"description.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
given = torch.from_numpy(numpy.load(sys.argv[2]))
with torch.no_grad():
    numpy.savez(sys.argv[3], outputs=program(given).numpy(), one=program(given[:1]).numpy())
print(extra["description.json"])
assert not {"dbn", "finetune"} & set(sys.modules)
"""


def elsewhere(file: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Outputs for all images and for the first alone, and what is printed, in a fresh process."""
    np.save("given.npy", images)
    code = BY_ONNX if file.suffix == ".onnx" else BY_TORCH
    command = [sys.executable, "-c", code, str(file), "given.npy", "found.npz"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load("found.npz") as found:
        (name,) = set(found.files) - {"one"}
        return found[name], found["one"], done.stdout


def network_of(data: DataSet, sizes: Sequence[int] = (64, 20, 15, 10), **options: Any) -> Network:
    """With weights, running averages and scales that are no identity anywhere."""
    generator = torch.Generator().manual_seed(1)
    network = Network.dense(sizes, **options)
    with torch.no_grad():
        for name, own in [*network.named_parameters(), *network.named_buffers()]:
            drawn = torch.randn(own.shape, generator=generator) * (2 / own.shape[-1] ** 0.5 if own.dim() > 1 else 1)
            own.copy_(drawn.abs() + 0.5 if "variance" in name else drawn)
    network.meaning = Meaning(data.scaling, "classifier", "logits", data.classes)
    return network


def as_stored(data: DataSet) -> np.ndarray:
    """Test images, ``(n, 1, 8, 8)``, in the type that they are stored in."""
    pixels: np.ndarray = data.test.pixels.reshape(-1, *data.shape).numpy()  # type: ignore[attr-defined]
    return pixels


DENSE_NORMALISATIONS = sorted(kind for kind, own in Normalisation.registry.items() if own.of_units)
"""That of responses is exported with a convolutional network, in tests/finetune/runs/test_convolutional_runs.py."""
SOFTMAX = {"kind": "softmax", "categories": 5}
KINDS: dict[str, Mapping[str, Any]] = {
    **{kind: {"activation": kind} for kind in sorted(set(Activation.registry) - {"binomial", "softmax", "mixed"})},
    "binomial": {"activation": {"kind": "binomial", "trials": 3}},
    "softmax": {"activation": SOFTMAX, "sizes": [64, 20, 10]},
    "mixed": {
        "activation": {"kind": "mixed", "parts": [{"n": 10, "activation": "relu"}, {"n": 10, "activation": SOFTMAX}]},
        "sizes": [64, 20, 10],
    },
    **{f"{kind} norm": {"normalisation": kind, "activation": "relu"} for kind in DENSE_NORMALISATIONS},
    "dropout": {"dropout_input": 0.2, "dropout_hidden": 0.5, "activation": "relu"},
}


@pytest.mark.parametrize("format", ["onnx", "torch_export"])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_a_classifier(kind: str, format: str, digits_data: DataSet) -> None:  # noqa: A002
    network = network_of(digits_data, **KINDS[kind])
    network.save("network.safetensors")
    images = as_stored(digits_data).astype(np.float32)
    expected = Network.load("network.safetensors").predict_proba(images)
    assert float(np.ptp(expected, axis=0).max()) > 0.1, "or this tests little"
    exported = export_network("network.safetensors", format=format)
    found, one, said = elsewhere(exported.network, images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(one, expected[:1], rtol=0, atol=TOLERANCE)
    assert json.dumps(list(map(str, range(10)))) in said.replace('\\"', '"')


@pytest.mark.parametrize("format", ["onnx", "torch_export"])
def test_bytes_are_taken_as_they_are_stored(format: str, digits_data: DataSet) -> None:  # noqa: A002
    network = network_of(digits_data)
    network.save("network.safetensors")
    images = as_stored(digits_data).astype(np.uint8)
    exported = export_network("network.safetensors", format=format, dtype="uint8")
    found, _, _ = elsewhere(exported.network, images)
    np.testing.assert_allclose(found, network.eval().predict_proba(images), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("format", ["onnx", "torch_export"])
@pytest.mark.parametrize("outputs", ["pixel_logits", "pixels"])
def test_reconstructions_are_images_as_stored(outputs: str, format: str) -> None:  # noqa: A002
    """Of an autoencoder with standardised inputs, or with inputs from 0 to 255."""
    generator = torch.Generator().manual_seed(0)
    if outputs == "pixels":
        offset, factor = torch.rand(12, generator=generator) * 100, torch.rand(12, generator=generator) + 0.1
        scaling = Scaling((2, 3, 2), offset, factor, 255.0)
    else:
        scaling = Scaling((2, 3, 2), torch.zeros(()), torch.tensor(1 / 255.0))
    network = Network.dense([12, 8, 3, 8, 12], activation="tanh", code=2)
    network.meaning = Meaning(scaling, "autoencoder", outputs)
    network.save("network.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (30, 2, 3, 2)).astype(np.float32)
    exported = export_network("network.safetensors", format=format)
    found, one, _ = elsewhere(exported.network, images)
    expected = network.eval().reconstruct(images)
    assert found.shape == images.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=255 * TOLERANCE)
    np.testing.assert_allclose(one, expected[:1], rtol=0, atol=255 * TOLERANCE)


def test_scores_that_are_no_probabilities_stay_scores(digits_data: DataSet) -> None:
    network = network_of(digits_data)
    network.meaning = Meaning(digits_data.scaling, "classifier", "scores", digits_data.classes)
    network.save("network.safetensors")
    images = as_stored(digits_data).astype(np.float32)
    found, _, _ = elsewhere(export_network("network.safetensors").network, images)
    with torch.no_grad():
        expected = network.eval()(digits_data.scaling.features(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    assert (found.argmax(1) == network.predict(images)).mean() > 0.99


def test_what_is_refused(digits_data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(digits_data)
    network.save("network.safetensors")
    with pytest.raises(SettingError, match=r"output=here\.txt: a file of format=onnx ends in \.onnx"):
        export_network("network.safetensors", "here.txt")
    with pytest.raises(SettingError, match="format='onx'"):
        export_network("network.safetensors", format="onx")
    with pytest.raises(SettingError, match="dtype='float64'"):
        export_network("network.safetensors", dtype="float64")
    with pytest.raises(ModelFileError, match="there is no such network"):
        export_network("nosuch.safetensors")
    from finetune.export import formats

    monkeypatch.setattr(formats, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(SettingError, match=r"it needs no_such_package.*layerwise-dbn\[export\].*format=torch_export"):
        export_network("network.safetensors")
    assert not list(Path().glob("*.onnx")) + list(Path().glob("*.md"))


def test_nothing_of_a_person_s_is_written_over_without_a_word(
    digits_data: DataSet, caplog: pytest.LogCaptureFixture
) -> None:
    network_of(digits_data).save("network.safetensors")
    Path("mine.md").write_text("my own words")
    with pytest.raises(SettingError, match=r"mine\.md exists already, and may be edited\. .*overwrite=true"):
        export_network("network.safetensors", "mine.pt2", format="torch_export")
    assert Path("mine.md").read_text() == "my own words"
    assert not Path("mine.pt2").exists()
    with caplog.at_level(logging.WARNING):
        export_network("network.safetensors", "mine.pt2", format="torch_export", overwrite=True)
    assert "mine.md is replaced" in caplog.text
    assert Path("mine.md").read_text().startswith("---\n")


def test_a_card_that_cannot_be_written_leaves_no_part_of_one(
    digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    network_of(digits_data).save("network.safetensors")

    def no_room(path: Path, text: str, **_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", no_room)
        with pytest.raises(OSError, match="No space left"):
            export_network("network.safetensors", format="torch_export")
    assert not list(Path().glob("*.md")) + list(Path().glob("*.part")) + list(Path().glob(".*.part"))


def test_a_card_without_a_run_says_that_nothing_is_known_of_its_training(digits_data: DataSet) -> None:
    network_of(digits_data, normalisation="layer").save("network.safetensors")
    text = export_network("network.safetensors", format="torch_export").card.read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == "unknown"
    for words in (
        "Input `images`: float32 `(batch, 1, 8, 8)`", "divided by 16",
        "Units, inputs first: 64-20-15-10; hidden: sigmoid",
        "normalisation: layer", "Classes, in the order of the output: 0, 1, 2", "gave no `license=`",
        "To be written by whoever publishes", "There is no `result.json`",
    ):  # fmt: skip
        assert words in text, words
