"""What is said of an axis: where pretraining wins, where values are lowest, where training stops."""

from typing import Any

from fake_study import scipy_interval
from scipy import stats

from finetune.report import write_report
from finetune.report.pages.parts.axis_part import axis_grid, axis_outcome, lowest_points, untrained_sentences
from finetune.report.results.formatting import MINUS


def _arm(study, arm: str, where: str, errors: list[float], **content) -> None:
    study.arm(f"{arm}_{where}", errors, arm=arm, pretrained=arm.startswith("dbn"), **content)


def test_labels_are_an_axis_in_order_of_their_number(study) -> None:
    for labels, shift in ((None, 0.02), (100, -0.05), (1000, -0.01)):
        errors = [0.1 + shift, 0.101 + shift, 0.099 + shift, 0.1 + shift, 0.101 + shift]
        _arm(study, "dbn", str(labels), errors, n_labelled=labels)
        _arm(study, "relu", str(labels), [0.1, 0.102, 0.098, 0.1, 0.102], n_labelled=labels)
    (axis,) = study.axes()
    assert axis.quantity == "labelled images"
    assert axis.ticks == ("100", "1000", "all")
    assert [line.name for line in axis.lines] == ["relu", "dbn"]  # the lower one at the end first
    said = "Pretraining wins with 100 and 1000 labelled images; random initialisation wins with all labelled images."
    assert axis_outcome(axis) == said
    grid = axis_grid(axis)
    (_, dbn, differences) = (cells for _, _, cells in grid.rows)
    assert dbn[0].startswith("5.02 ±")
    assert grid.strong == {(2, 0), (2, 1), (2, 2)}  # the differences that are settled, and nothing else
    assert differences[0].startswith("\N{MINUS SIGN}5.02 [")
    assert differences[0].endswith("*")


def test_depth_is_an_axis_and_where_training_stops_is_said(study) -> None:
    for depth in (1, 2, 3):
        study.deep("dbn", depth, [0.05, 0.06])
        study.deep("random_sigmoid", depth, [0.07, 0.08] if depth < 3 else [0.9, 0.9], 0.0 if depth < 3 else 0.88)
    (axis,) = study.axes()
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
    (axis,) = study.axes()
    assert axis.quantity == "hidden units"
    assert axis_outcome(axis) == ""
    assert lowest_points(axis) == ["net: the lowest validation error is that of 50 hidden units."]


def test_data_sets_are_an_axis(study) -> None:
    for data in ("digits", "mnist"):
        _arm(study, "dbn", data, [0.05, 0.06, 0.07], data=data)
        _arm(study, "relu", data, [0.05, 0.07, 0.06], data=data)
    (axis,) = study.axes()
    assert axis.quantity == "data set"
    assert axis_outcome(axis) == "Not settled with digits and mnist."


def test_the_axis_table_is_that_of_scipy(along_labels: Any) -> None:
    axis, errors = along_labels
    *arms, (_, _, differences) = axis_grid(axis).rows
    for name, _, cells in arms:
        for labels, cell in zip((100, 1000, 10_000), cells, strict=True):
            own = 100 * errors[name, labels]
            half = stats.t.ppf(0.975, 2) * stats.sem(own)
            assert cell == f"{own.mean():.2f} ± {half:.2f}"
    for labels, cell in zip((100, 1000, 10_000), differences, strict=True):
        difference = 100 * (errors["dbn", labels] - errors["relu", labels])
        low, high = scipy_interval(difference)
        expected = f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        assert cell.replace(MINUS, "-").removesuffix(" *") == expected
