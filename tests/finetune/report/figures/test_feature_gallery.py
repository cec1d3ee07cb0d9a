"""Mosaics of features."""

import numpy as np

from finetune.report.figures.feature_gallery import layer_features
from finetune.report.results.study import read_study


def test_features_from_below_before_and_after(study):
    directory = study.run("dbn", 0, 0.1)
    names = ["maximised_output", "combined_layer10", "maximised_layer10", "maximised_layer2"]
    arrays = {f"features_{name}_{when}": np.ones((7, 1, 8, 8)) for name in names for when in ("end", "start")}
    np.savez(directory / "pictures.npz", filters=np.ones((4, 1, 8, 8)), **arrays)
    layers = layer_features(read_study(study.directory).runs[0])
    assert [layer.name for layer in layers] == ["layer 2", "layer 10", "output units"]
    for layer in layers:
        assert [picture.caption for picture in layer.maximised] == ["before fine-tuning", "after fine-tuning"]
    assert [len(layer.combined) for layer in layers] == [0, 2, 0]
