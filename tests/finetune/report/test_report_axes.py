"""Sections that differ in one quantity: which axes there are, what they say, and where training stops."""

import itertools

import pytest

from finetune.report import write_report
from finetune.report.axes import axes_of, axis_table, lowest_places, outcome
from finetune.report.compare import compare
from finetune.report.line_names import spread
from finetune.report.read import read_study
from finetune.report.untrained import untrained_sentences


def _axes(study):
    return axes_of(compare(read_study(study.directory).compared))


def _arm(study, arm: str, where: str, errors: list[float], **content) -> None:
    study.arm(f"{arm}_{where}", errors, arm=arm, pretrained=arm.startswith("dbn"), **content)


def test_labels_are_an_axis_in_order_of_their_number(study) -> None:
    for labels, shift in ((None, 0.02), (100, -0.05), (1000, -0.01)):
        _arm(study, "dbn", str(labels), [0.1 + shift, 0.101 + shift, 0.099 + shift], n_labelled=labels)
        _arm(study, "relu", str(labels), [0.1, 0.102, 0.098], n_labelled=labels)
    (axis,) = _axes(study)
    assert axis.quantity == "labelled images"
    assert axis.ticks == ("100", "1000", "all")
    assert [line.name for line in axis.lines] == ["relu", "dbn"]  # the lower one at the end first
    said = "Pretraining wins with 100 and 1000 labelled images; random initialisation wins with all labelled images."
    assert outcome(axis) == said
    table = axis_table(axis)
    assert table.rows[1].cells[0].startswith("5.00 ±")
    assert table.rows[1].lowest == (True, True, False)
    assert table.differences[0].startswith("\N{MINUS SIGN}5.00 [")
    assert table.differences[0].endswith("*")


def _deep(study, arm: str, depth: int, errors: list[float], train: float = 0.0) -> None:
    for seed, error in enumerate(errors):
        study.run(
            f"{arm}_{depth}", seed, arm=arm, pretrained=arm == "dbn", sizes=[64, *[20] * depth, 10],
            metrics={"test/error": error, "train/error": train},
        )  # fmt: skip


def test_depth_is_an_axis_and_where_training_stops_is_said(study) -> None:
    for depth in (1, 2, 3):
        _deep(study, "dbn", depth, [0.05, 0.06])
        _deep(study, "random_sigmoid", depth, [0.07, 0.08] if depth < 3 else [0.9, 0.9], 0.0 if depth < 3 else 0.88)
    (axis,) = _axes(study)
    assert (axis.quantity, axis.ticks) == ("hidden layers", ("1", "2", "3"))
    assert [section.title for section in axis.sections][2] == "digits, classifier, 100 labels, 3 hidden layers of 20"
    assert untrained_sentences(axis) == ["random_sigmoid does not train: 2 of 2 seeds at 3 hidden layers."]
    page = write_report(study.directory).html.read_text()
    assert "random_sigmoid does not train" in page


def test_a_grid_search_says_where_validation_is_lowest(study) -> None:
    for width, validation, test in ((10, 0.2, 0.1), (50, 0.1, 0.2)):
        for seed in (0, 1):
            metrics = {"test/error": test, "validation/error": validation}
            study.run(f"net_{width}", seed, arm="net", pretrained=False, sizes=[64, width, 10], metrics=metrics)
    (axis,) = _axes(study)
    assert axis.quantity == "hidden units"
    assert outcome(axis) == ""
    assert lowest_places(axis) == ["net: the lowest validation error is that of 50 hidden units."]


def test_arms_of_different_shapes_stay_in_one_comparison_where_each_has_one(study) -> None:
    study.arm("dbn", [0.1, 0.2], sizes=[64, 20, 10])
    study.arm("relu", [0.1, 0.2], sizes=[64, 40, 40, 10])
    (section,) = compare(read_study(study.directory).compared)
    assert section.hidden == ()
    assert not _axes(study)


def test_a_baseline_stands_beside_networks_of_every_shape(study) -> None:
    for depth in (1, 2):
        _deep(study, "dbn", depth, [0.05, 0.06])
    study.run("linear", 0, 0.2, stage="baseline", pretrained=False)
    sections = compare(read_study(study.directory).compared)
    assert len(sections) == 2
    assert all(any(arm.name == "linear" for arm in section.arms) for section in sections)


def test_data_sets_are_an_axis(study) -> None:
    for data in ("digits", "mnist"):
        _arm(study, "dbn", data, [0.05, 0.06, 0.07], data=data)
        _arm(study, "relu", data, [0.05, 0.07, 0.06], data=data)
    (axis,) = _axes(study)
    assert axis.quantity == "data set"
    assert outcome(axis) == "Not settled with digits and mnist."


@pytest.mark.parametrize("wanted", [[0, 0, 0], [10, 5, 50], [100, 100, 98, 0, 1], [50]])
def test_names_keep_their_distance_their_order_and_inside(wanted: list[float]) -> None:
    places = spread(wanted, 15, 0, 100)
    ordered = sorted(zip(wanted, places, strict=True))
    gaps = [b - a for (_, a), (_, b) in itertools.pairwise(ordered)]
    assert all(gap >= 15 - 1e-9 for gap in gaps)
    assert min(places) >= -1e-9
    assert max(places) <= 100 + 1e-9


def test_names_with_room_are_where_they_should_be() -> None:
    assert spread([20, 60], 15, 0, 100) == [20, 60]
