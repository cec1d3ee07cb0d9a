"""Which kind of start wins: only a settled difference decides."""

import pytest

from finetune.report.comparison.headline import decide_headline

HIGH = [0.050, 0.052, 0.054]


@pytest.mark.parametrize(
    ("pretrained", "random", "verdict"),
    [
        ([0.030, 0.031, 0.032], HIGH, "pretrained"),
        (HIGH, [0.030, 0.031, 0.032], "random"),
        ([0.049, 0.060, 0.051], HIGH, "unsettled"),  # the interval includes zero
        ([0.040, 0.042, 0.044], HIGH, "unsettled"),  # the same difference in every seed
        ([0.030], HIGH, "unsettled"),  # one common seed
        (HIGH, [], "none"),
        ([], HIGH, "none"),
    ],
)
def test_only_a_settled_difference_decides(study, pretrained, random, verdict) -> None:
    study.arm("dbn", pretrained)
    study.arm("he", random)
    assert decide_headline(study.section()) == verdict
