"""Which kind of start wins: only a settled difference decides."""

import pytest

from finetune.report.comparison.headline import decide_headline

HIGH = [0.050, 0.052, 0.054, 0.051, 0.053]
LOW = [0.030, 0.031, 0.032, 0.030, 0.033]
NEAR = [0.0500, 0.0521, 0.0540, 0.0511, 0.0529]


@pytest.mark.parametrize(
    ("pretrained", "random", "verdict"),
    [
        (LOW, HIGH, "pretrained"),
        (HIGH, LOW, "random"),
        (LOW[:4], HIGH[:4], "unsettled"),  # four seeds, however clear
        (NEAR, HIGH, "unsettled"),  # the interval includes zero
        ([value - 0.01 for value in HIGH], HIGH, "unsettled"),  # the same difference in every seed
        ([0.030], HIGH, "unsettled"),  # one common seed
        (HIGH, [], "none"),
        ([], HIGH, "none"),
    ],
)
def test_only_a_settled_difference_decides(study, pretrained, random, verdict) -> None:
    study.arm("dbn", pretrained)
    study.arm("he", random)
    assert decide_headline(study.section()) == verdict


@pytest.mark.parametrize(("margin", "verdict"), [(None, "unsettled"), (0.005, "unsettled"), (0.1, "equivalent")])
def test_a_difference_within_the_margin_is_a_finding(study, margin, verdict) -> None:
    """Differences 0, 0.01, 0, 0.01, -0.01 points: 0.002 within 0.010."""
    study.arm("dbn", NEAR)
    study.arm("he", HIGH)
    assert decide_headline(study.section(margin=margin)) == verdict


def test_four_seeds_are_no_finding_of_no_difference(study) -> None:
    study.arm("dbn", NEAR[:4])
    study.arm("he", HIGH[:4])
    assert decide_headline(study.section(margin=1.0)) == "unsettled"


def test_selection_among_many_arms_makes_a_difference_count_less(study) -> None:
    """A difference whose own p is 0.02: settled where it is the only one, not as one of sixteen that might be shown."""
    random = [0.050, 0.052, 0.054, 0.051, 0.053]
    gains = [-0.001, -0.0035, -0.002, -0.0005, -0.003]
    study.arm("dbn", [value + gain for value, gain in zip(random, gains, strict=True)])
    study.arm("he", random)
    assert decide_headline(study.section()) == "pretrained"
    for k in range(1, 4):
        study.arm(f"dbn{k}", [value + 0.01 * k + 0.001 * (i % 2) for i, value in enumerate(random)])
        study.arm(f"he{k}", [value + 0.01 * k + 0.001 * (i % 3) for i, value in enumerate(random)])
    section = study.section()
    assert (section.best_pretrained.name, section.best_random.name) == ("dbn", "he")
    assert decide_headline(section) == "unsettled"
