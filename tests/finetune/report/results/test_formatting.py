"""Numbers as text."""

import pytest

from finetune.report.results.formatting import MINUS, Format, choose_format, metric_label


def test_formats():
    percent = choose_format("test/error", [0.5])
    assert (percent.number(0.0231), percent.signed(-0.0231), percent.signed(0.0)) == ("2.31", f"{MINUS}2.31", "0.00")
    assert percent.number(-1e-17) == percent.number(0.0) == "0.00"
    assert choose_format("test/squared_error", [5.1234, 0.1]) == Format(percent=False, decimals=3)
    assert choose_format("test/squared_error", [123456.0]).number(123456.0) == "123456"
    assert metric_label("test/calibration_error") == "test calibration error"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 60_000, "0.002"),  # one image of MNIST's training set in percent: not none
        (-1 / 60_000, f"{MINUS}0.002"),
        (0.0000499, "0.005"),
        (3e-7, "0.00003"),
        (1e-9, "0.00"),  # three more places than the column has, and no more
    ],
)
def test_what_is_not_zero_is_not_written_as_zero(value, text):
    assert choose_format("train/error", [0.5]).number(value) == text
