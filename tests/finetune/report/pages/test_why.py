"""Why pretraining helps: what is shown when."""

import json
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from finetune.report.pages.function_space_view import function_space_views
from finetune.report.pages.report_files import write_report
from finetune.report.pages.why import weight_row
from finetune.report.results.study import read_study


def add_trajectory(directory: Any, outputs: Any) -> None:
    outputs = torch.as_tensor(np.asarray(outputs)).half()
    save_file({"outputs": outputs, "epochs": torch.arange(len(outputs))}, directory / "trajectory.safetensors")


def test_networks_that_saw_other_images_are_not_put_into_one_space(study):
    for name, n_images in (("dbn", 3), ("he", 4)):
        for seed in range(3):
            directory = study.run(name, seed, 0.1)
            add_trajectory(directory, np.random.default_rng(seed).random((5, n_images, 2)))
    views, errors = function_space_views(read_study(study.directory))
    assert [view.arms for view in views] == [("dbn",), ("he",)]
    assert not errors


def test_weights_are_means_over_seeds(study):
    for seed, change in enumerate((0.5, 1.0)):
        weights = [{"layer": 1, "change": change, "cosine": 0.8}, {"layer": 2, "change": None, "cosine": None}]
        study.run("dbn", seed, 0.1, weights=weights)
    assert weight_row(study.arm_named("dbn")).cells == (("0.75", "0.80"), ("\N{EN DASH}", "\N{EN DASH}"))


def test_the_page_shows_each_part_only_where_there_is_data(study):
    study.arm("dbn", [0.1, 0.2, 0.3])
    study.arm("he", [0.2, 0.3, 0.4])
    page = write_report(study.directory).html
    assert "Why pretraining helps, or does not" not in page.read_text()
    generator = np.random.default_rng(0)
    weights = [{"layer": 1, "change": 0.125, "cosine": 0.25, "norm_start": 1.0, "norm_end": 1.0}]
    for name in ("dbn", "he"):
        for seed in range(3):
            directory = study.directory / "finetune" / f"{name}_seed{seed}"
            result = json.loads((directory / "result.json").read_text())
            result["metrics"] |= {"train/nll": 0.1 + 0.1 * seed, "test/nll": 0.2}
            (directory / "result.json").write_text(json.dumps({**result, "weights": weights}))
            add_trajectory(directory, generator.dirichlet(np.ones(2), (6, 4)))
    (study.directory / "finetune/he_seed2/trajectory.safetensors").write_bytes(b"cut")
    np.savez(study.directory / "finetune/dbn_seed0/pictures.npz", features_maximised_layer2_end=np.ones((3, 1, 8, 8)))
    text = write_report(study.directory).html.read_text()
    for words in (
        "Why pretraining helps, or does not",
        "4 images of digits, 5 of 5 networks, 30 points",
        "Training against test error",
        '0.12 <span class="quiet">0.25</span>',
        "Features of higher layers",
        "he_seed2/trajectory.safetensors: not readable",
    ):
        assert words in text
    assert "Length of pretraining" not in text
    assert write_report(study.directory).html.read_text() == text
