"""The part of the report that asks why: numbers against closed forms and scipy, and what is on the page when."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats
from sklearn.manifold import trustworthiness

from finetune.report.compare import Arm, compare
from finetune.report.features import read_features
from finetune.report.generalisation import at_equal_training, verdicts
from finetune.report.lengths import lengths_figure, lines_of
from finetune.report.read import read_study
from finetune.report.space import distance_between, embeddings, space_views, thinned, total_variation
from finetune.report.why import weight_row
from finetune.report.write import write_report
from finetune.trajectory import RecordedTrajectory


def section_of(study: Any) -> Any:
    (section,) = compare(read_study(study.directory).of_stage("finetune"))
    return section


def arm_of(study: Any, name: str) -> Arm:
    return next(arm for arm in section_of(study).arms if arm.name == name)


def add_losses(study: Any, name: str, train: Any, test: Any, **content: Any) -> None:
    for seed, (own, other) in enumerate(zip(train, test, strict=True)):
        metrics = {"test/error": 0.1, "train/nll": float(own), "test/nll": float(other)}
        study.run(name, seed, metrics=metrics, **content)


def add_trajectory(directory: Any, outputs: Any) -> None:
    outputs = torch.as_tensor(np.asarray(outputs)).half()
    save_file({"outputs": outputs, "epochs": torch.arange(len(outputs))}, directory / "trajectory.safetensors")


def test_total_variation_worked_by_hand():
    a = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    b = np.array([[0.0, 1.0], [0.25, 0.75]], dtype=np.float32)
    assert total_variation(a, b) == pytest.approx((1 + 0.25) / 2)
    runs = [(None, RecordedTrajectory(np.arange(1), own[None])) for own in (a, b, b)]
    assert distance_between(runs, runs) == pytest.approx((0.625 + 0.625 + 0) / 3)
    assert distance_between(runs[:1], runs[1:]) == pytest.approx(0.625)
    one = runs[:1]
    assert distance_between(one, one) is None


def test_isomap_unrolls_an_arc_and_tsne_keeps_neighbours():
    """Points along three quarters of a circle: the geodesic distance is the angle, which Isomap's first axis shows."""
    angles = np.sort(np.random.default_rng(0).uniform(0, 1.5 * np.pi, 200))
    points = np.zeros((200, 30), dtype=np.float32)
    points[:, 3], points[:, 17] = np.cos(angles), np.sin(angles)
    planes = embeddings(points)
    axis = planes["Isomap"][:, 0]
    assert abs(np.corrcoef(axis, angles)[0, 1]) > 0.999
    assert np.ptp(axis) == pytest.approx(np.ptp(angles), rel=0.02)
    assert trustworthiness(points, planes["t-SNE"], n_neighbors=5) > 0.99
    for name, again in embeddings(points).items():
        assert np.array_equal(again, planes[name])


@pytest.mark.parametrize(("n_runs", "n_snapshots"), [(3, 50), (60, 50), (300, 9), (400, 2), (4, 700)])
def test_few_enough_points_with_every_start_and_end(study, n_runs, n_snapshots):
    for name in ("dbn", "he"):
        study.arm(name, [0.1] * (n_runs // 2 + n_runs % 2))
    outputs = np.zeros((n_snapshots, 1, 2), dtype=np.float32)
    runs = [(run, RecordedTrajectory(np.arange(n_snapshots) * 3, outputs)) for run in read_study(study.directory).runs]
    paths = thinned(runs)
    assert sum(len(path.epochs) for path in paths) <= 600
    assert sum(len(path.epochs) for path in paths) > (250 if n_snapshots * n_runs > 500 else 0)
    assert {path.run.name for path in paths} == {"dbn", "he"}
    for path in paths:
        assert (path.epochs[0], path.epochs[-1]) == (0, 3 * (n_snapshots - 1))
        assert len(path.epochs) == len(path.outputs) == len(set(path.epochs))


def test_networks_that_saw_other_images_are_not_put_into_one_space(study):
    for name, n_images in (("dbn", 3), ("he", 4)):
        for seed in range(3):
            directory = study.run(name, seed, 0.1)
            add_trajectory(directory, np.random.default_rng(seed).random((5, n_images, 2)))
    views, complaints = space_views(read_study(study.directory))
    assert [view.arms for view in views] == [("dbn",), ("he",)]
    assert not complaints


def test_the_difference_at_equal_training_is_that_of_partial_regression(study):
    """Frisch, Waugh & Lovell: residuals on residuals give the same slope; scipy fits those."""
    generator = np.random.default_rng(1)
    train = {"dbn": generator.uniform(0.01, 0.1, 12), "he": generator.uniform(0.01, 0.1, 9)}
    test = {
        name: 0.3 - 0.05 * np.log(own) - 0.04 * (name == "dbn") + generator.normal(0, 0.01, len(own))
        for name, own in train.items()
    }
    low = max(own.min() for own in train.values())
    high = min(own.max() for own in train.values())
    for name in train:
        add_losses(study, name, train[name], test[name])
    found = at_equal_training(arm_of(study, "dbn"), arm_of(study, "he"))
    kept = {name: (own >= low) & (own <= high) for name, own in train.items()}
    x = np.log(np.concatenate([train[name][kept[name]] for name in train]))
    y = np.concatenate([test[name][kept[name]] for name in train])
    first = np.repeat([1.0, 0.0], [kept[name].sum() for name in train])
    residuals = [own - stats.linregress(x, own).slope * x - stats.linregress(x, own).intercept for own in (first, y)]
    fitted = stats.linregress(*residuals)
    error = fitted.stderr * np.sqrt((len(y) - 2) / (len(y) - 3))
    half = stats.t.ppf(0.975, len(y) - 3) * error
    assert found.n == len(y)
    assert found.difference == pytest.approx(fitted.slope, rel=1e-9)
    assert found.interval.low == pytest.approx(fitted.slope - half, rel=1e-9)
    assert found.interval.high == pytest.approx(fitted.slope + half, rel=1e-9)
    (words,) = verdicts(section_of(study))
    assert "lower, as of a regulariser" in words


def test_without_equal_training_nothing_is_said_about_it(study):
    add_losses(study, "dbn", [0.1, 0.2, 0.3, 0.4], [0.5] * 4)
    add_losses(study, "he", [0.01, 0.02, 0.03, 0.35], [0.5] * 4)
    assert at_equal_training(arm_of(study, "dbn"), arm_of(study, "he")) is None
    (words,) = verdicts(section_of(study))
    assert words.startswith("Equal training: nothing to say. dbn ends at a training NLL of 0.1 to 0.4")


def test_the_question_is_put_to_the_random_arm_with_the_same_network(study):
    for name, activation in (("dbn", "sigmoid"), ("sigmoid", "sigmoid"), ("relu", "relu")):
        error = {"relu": 0.1}.get(name, 0.2)  # the better one is not the one to ask
        for seed, train in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
            metrics = {"test/error": error, "train/nll": train, "test/nll": train + 0.01 * seed}
            study.run(name, seed, metrics=metrics, config={"network": {"activation": activation}})
    (words,) = verdicts(section_of(study))
    assert "dbn minus that of sigmoid" in words


def test_lines_over_epochs_of_pretraining(study):
    for epochs, errors in ((10, [0.1, 0.2]), (1, [0.3, 0.5]), (100, [0.1, 0.1])):
        config = {"stack": {"every_layer": {"epochs": epochs}}}
        study.arm(f"dbn_epochs={epochs}", errors, config=config, arm="dbn")
    assert lengths_figure(section_of(study), "l").count("<svg") == 2
    study.arm("dbn_other_training.epochs=7", [0.1], config={"stack": {"every_layer": {"epochs": 3}}})
    study.arm("he", [0.4, 0.2], config={"stack": {"every_layer": {"epochs": 30}}})
    (line,) = lines_of(section_of(study)).items()
    assert line[0] == "dbn"
    assert [(epochs, arm.estimate("test/error").mean) for epochs, arm in line[1]] == [
        (1, pytest.approx(0.4)),
        (10, pytest.approx(0.15)),
        (100, pytest.approx(0.1)),
    ]
    assert "he, no pretraining" in lengths_figure(section_of(study), "l")


def test_one_length_is_no_figure(study):
    study.arm("dbn", [0.1], config={"stack": {"every_layer": {"epochs": 10}}})
    study.arm("he", [0.1], config={"stack": {"every_layer": {"epochs": 30}}})
    assert lengths_figure(section_of(study), "l") is None


def test_weights_are_means_over_seeds(study):
    for seed, change in enumerate((0.5, 1.0)):
        weights = [{"layer": 1, "change": change, "cosine": 0.8}, {"layer": 2, "change": None, "cosine": None}]
        study.run("dbn", seed, 0.1, weights=weights)
    assert weight_row(arm_of(study, "dbn")).cells == (("0.75", "0.80"), ("\N{EN DASH}", "\N{EN DASH}"))


def test_features_from_below_before_and_after(study):
    directory = study.run("dbn", 0, 0.1)
    names = ["maximised_output", "combined_layer10", "maximised_layer10", "maximised_layer2"]
    arrays = {f"features_{name}_{when}": np.ones((7, 1, 8, 8)) for name in names for when in ("end", "start")}
    np.savez(directory / "pictures.npz", filters=np.ones((4, 1, 8, 8)), **arrays)
    layers = read_features(read_study(study.directory).runs[0])
    assert [layer.name for layer in layers] == ["layer 2", "layer 10", "output units"]
    for layer in layers:
        assert [picture.caption for picture in layer.maximised] == ["before fine-tuning", "after fine-tuning"]
    assert [len(layer.combined) for layer in layers] == [0, 2, 0]


def test_the_page_shows_each_part_only_where_there_is_data(study):
    study.arm("dbn", [0.1, 0.2, 0.3])
    study.arm("he", [0.2, 0.3, 0.4])
    page = write_report(study.directory).html
    assert "Why, not only whether" not in page.read_text()
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
        "Why, not only whether",
        "4 images of digits, 5 of 5 networks, 30 points",
        "Fit against generalisation",
        '0.12 <span class="quiet">0.25</span>',
        "What higher units look for",
        "he_seed2/trajectory.safetensors: not readable",
    ):
        assert words in text
    assert "How long to pretrain" not in text
    assert write_report(study.directory).html.read_text() == text
