"""Images that do not fit into memory are predicted and transformed a block at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn.data import Images, StreamedImages, memmap
from dbn.data.parts import parts_of
from dbn.data.scaling import Scaling
from dbn.use.data_to_use import DataToUse
from finetune import Network
from finetune.networks.meaning import Meaning
from finetune.use.ensemble import Ensemble
from finetune.use.extracting import Features, write_features
from finetune.use.predicting import predict_to_csv


def test_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a thousand images are taken from the file at once, and all are there in the end."""
    pixels = np.random.default_rng(0).integers(0, 256, (2500, 3, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    source = memmap(tmp_path)
    data = DataToUse("memmap", parts_of(source), source.classes, source.shape)
    network = Network.dense([9, 6, 4]).eval()
    scaling = Scaling((1, 3, 3), torch.tensor(0.0), torch.tensor(1 / 255))
    network.meaning = Meaning(scaling, "classifier", "logits", ("a", "b", "c", "d"))
    sizes: list[int] = []
    take = StreamedImages.take

    def recorded(self: StreamedImages, index: Tensor) -> Images:
        sizes.append(len(index))
        return take(self, index)

    monkeypatch.setattr(StreamedImages, "take", recorded)
    monkeypatch.setattr(StreamedImages, "features", None)
    predict_to_csv(Ensemble([network]), data, tmp_path / "predictions.csv")
    write_features(Features(network), data, tmp_path / "features.npy")
    assert max(sizes) == 1000
    assert sum(sizes) == 2 * (1000 + 2500)  # the first thousand are looked at before
    rows = np.loadtxt(tmp_path / "predictions.csv", delimiter=",", skiprows=1, usecols=(2, 3, 4, 5), dtype=np.float32)
    assert np.array_equal(rows, network.predict_proba(pixels))
    assert np.array_equal(np.load(tmp_path / "features.npy"), network.transform(pixels))
