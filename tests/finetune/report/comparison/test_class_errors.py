"""Errors by class and confused pairs, from predictions whose mistakes the tests choose."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from finetune.report import write_report
from finetune.report.comparison.class_errors import SectionClassErrors, class_errors, class_groups, confusion_matrix
from finetune.tasks.predictions import PREDICTIONS_FILE, Predictions

NAMES = ["0", "8", "B", "D", "zh_jing"]


LABELS = [0] * 4 + [1] * 4 + [2] * 2 + [3] * 5 + [4] * 2


def with_predictions(study: Any, name: str, seed: int, mistakes: dict[int, int], **content: object) -> Path:
    """A run whose predictions are right but at the places given."""
    predicted = [mistakes.get(place, label) for place, label in enumerate(LABELS)]
    error = sum(label != guess for label, guess in zip(LABELS, predicted, strict=True)) / len(LABELS)
    directory: Path = study.run(name, seed, error, classes=NAMES, data="easypr", **content)
    Predictions(np.array(LABELS), np.array(predicted)).save(directory)
    return directory


@pytest.fixture
def characters(study: Any) -> Any:
    """Two seeds: dbn takes one 0, then two, for D; glorot a D for 0 and an 8 for B; easypr all 8 for B."""
    with_predictions(study, "dbn", 0, {0: 3})
    with_predictions(study, "dbn", 1, {0: 3, 1: 3})
    for seed in range(2):
        with_predictions(study, "glorot", seed, {10: 0, 4: 2, 16: 1})
        with_predictions(study, "easypr", seed, {4: 2, 5: 2, 6: 2, 7: 2}, stage="baseline")
    with_predictions(study, "dbn_worse", 0, dict.fromkeys(range(15), 4))
    return study


def errors_of(study: Any) -> SectionClassErrors | None:
    section = study.section()
    return class_errors(section)


def test_confusion_matrix_is_scikit_learn_s() -> None:
    random = np.random.default_rng(0)
    label, predicted = random.integers(0, 6, (2, 200))
    assert np.array_equal(confusion_matrix(label, predicted, 6), sklearn_confusion_matrix(label, predicted))


def test_errors_of_classes_and_groups_by_hand(characters: Any) -> None:
    view = errors_of(characters)
    assert view is not None
    assert [(column.name, column.role) for column in view.columns] == [
        ("dbn", "best pretrained"),
        ("glorot", "best random start"),
        ("easypr", "baseline"),
    ]
    errors = {row.name: [error.mean for error in row.errors] for row in view.worst}
    assert errors["0"] == [0.375, 0, 0]  # (1/4 + 2/4) / 2
    assert errors["8"] == [0, 0.25, 1]
    assert errors["D"] == pytest.approx([0, 0.2, 0])
    assert [row.name for row in view.worst] == ["8", "0", "D", "zh_jing", "B"]  # mistakes: 5, 1.5, 1, 1, 0
    assert {row.name: row.n_images for row in view.groups} == {
        "digits": 8, "letters": 7, "digits and letters": 15, "provinces": 2,
    }  # fmt: skip
    groups = {row.name: [error.mean for error in row.errors] for row in view.groups}
    assert groups["digits"] == pytest.approx([1.5 / 8, 1 / 8, 4 / 8])
    assert groups["digits and letters"] == pytest.approx([1.5 / 15, 2 / 15, 4 / 15])
    assert groups["provinces"] == [0, 0.5, 0]
    assert view.every == ()


def test_look_alikes_count_both_ways(characters: Any) -> None:
    view = errors_of(characters)
    assert view is not None
    pairs = {(pair.first, pair.second): pair.counts for pair in view.pairs}
    assert list(pairs) == [("8", "B"), ("0", "D"), ("8", "zh_jing")]
    assert pairs["0", "D"] == ((1.5, 0), (0, 1), (0, 0))
    assert pairs["8", "zh_jing"] == ((0, 0), (0, 1), (0, 0))  # one zh_jing is taken for an 8


def test_groups_are_those_of_licence_plates_only() -> None:
    assert class_groups(["3", "A", "zh_e"]) == {
        "digits": [0], "letters": [1], "digits and letters": [0, 1], "provinces": [2],
    }  # fmt: skip
    assert class_groups([str(digit) for digit in range(10)]) == {}
    assert class_groups(["Trouser", "Bag"]) == {}
    assert class_groups(["zh_e", "zh_yun", "a dog"]) == {}


def test_without_names_classes_are_numbers_and_without_predictions_there_is_nothing(study: Any) -> None:
    study.arm("dbn", [0.1, 0.2])
    assert errors_of(study) is None
    directory = study.directory / "finetune" / "dbn_seed0"
    Predictions(np.arange(20), np.roll(np.arange(20), 1)).save(directory)
    view = errors_of(study)
    assert view is not None
    assert [row.name for row in view.every] == [str(label) for label in range(20)]
    assert len(view.worst) == 12
    assert view.columns[0].confusion.shape == (1, 20, 20)


def test_the_page_shows_them_and_says_what_is_damaged(characters: Any) -> None:
    (characters.directory / "finetune" / "glorot_seed1" / PREDICTIONS_FILE).write_bytes(b"no tensors")
    html = write_report(characters.directory).html.read_text(encoding="utf-8")
    assert (
        html.index("The numbers")
        < html.index("Errors by class")
        < html.index("Pairs of classes confused most often")
        < html.index("What was run")
    )
    assert "0 / D" in html
    assert "1.5 + 0.0" in html
    assert "<td>37.5</td>" in html  # of a class, no interval
    assert "<td>18.8 ± " in html  # of the digits
    assert "digits and letters" in html
    assert "glorot_seed1/predictions.safetensors holds no predictions" in html


def test_a_study_of_old_runs_has_no_such_part(study: Any) -> None:
    study.arm("dbn", [0.1, 0.2])
    assert "Errors by class" not in write_report(study.directory).html.read_text(encoding="utf-8")
