"""What the headline claims, and what it does not."""

import re

import pytest

from finetune.report.pages.headline_text import write_headline
from finetune.report.results.formatting import MINUS

CLAIMS = re.compile(r"\b(wins|better|lower|beats|outperforms)\b")


def headline(study):
    return write_headline(study.section())


def test_pretraining_wins_where_the_interval_excludes_zero(study):
    """Differences -2, -2.1, -2.2 points: mean -2.1, half width 4.30265 * 0.1 / sqrt(3) = 0.248."""
    study.arm("dbn", [0.030, 0.031, 0.032])
    study.arm("glorot", [0.050, 0.052, 0.054])
    found = headline(study)
    assert found.verdict == "pretrained"
    assert found.title == "Pretraining wins: dbn has the lower test error"
    numbers = (
        "Paired difference -2.10 percentage points, 95 % interval -2.35 to -1.85 (bootstrap -2.20 to -2.00), "
        "over 3 common seeds."
    )
    assert numbers in found.detail.replace(MINUS, "-")


def test_random_initialisation_can_win(study):
    study.arm("dbn", [0.050, 0.052, 0.054])
    study.arm("glorot", [0.030, 0.031, 0.032])
    assert headline(study).verdict == "random"
    assert headline(study).title == "Random initialisation wins: glorot has the lower test error"


def test_nothing_is_claimed_where_the_interval_includes_zero(study):
    study.arm("dbn", [0.03, 0.03, 0.03])
    study.arm("glorot", [0.04, 0.05, 0.06])  # -1, -2, -3 points: mean -2, half width 2.484
    found = headline(study)
    assert found.verdict == "unsettled"
    assert found.title == "Not settled: the interval includes zero with 3 seeds"
    assert "-4.48 to +0.48" in found.detail.replace(MINUS, "-")
    assert not CLAIMS.search(found.text)


@pytest.mark.parametrize(
    ("pretrained_seeds", "random_seeds", "words"),
    [([0], [0], "one common seed gives no interval"), ([0, 1], [2, 3], "no seed in common")],
)
def test_without_an_interval_nothing_is_claimed(study, pretrained_seeds, random_seeds, words):
    for seed in pretrained_seeds:
        study.run("dbn", seed, 0.01)
    for seed in random_seeds:
        study.run("glorot", seed, 0.50)
    found = headline(study)
    assert found.verdict == "unsettled"
    assert words in found.title
    assert not CLAIMS.search(found.text)


def test_equal_differences_claim_nothing(study):
    study.arm("dbn", [0.10, 0.20])
    study.arm("glorot", [0.15, 0.25])
    assert headline(study).verdict == "unsettled"
    assert "same in all 2 seeds" in headline(study).title


def test_only_common_seeds_enter_the_difference(study):
    study.arm("dbn", [0.030, 0.031, 0.032])
    study.arm("glorot", [0.050, 0.052, 0.054, 0.900])
    difference = headline(study).difference
    assert difference.seeds == (0, 1, 2)
    assert difference.estimate.mean == pytest.approx(-0.021)


def test_one_run_without_validation_makes_the_choice_fall_back_and_say_so(study):
    study.run("dbn_lucky", 0, metrics={"test/error": 0.01, "validation/error": 0.05})
    study.run("dbn_sound", 0, metrics={"test/error": 0.02, "validation/error": 0.03})
    study.run("glorot", 0, metrics={"test/error": 0.04})
    assert study.section().best_pretrained.name == "dbn_lucky"
    assert "the choice has seen the test set" in headline(study).choice


def test_without_pretrained_arms_the_headline_says_what_there_is(study):
    study.arm("glorot", [0.05, 0.07])
    study.arm("he", [0.04, 0.05])
    found = headline(study)
    assert found.verdict == "none"
    assert found.title == "No difference in test error is settled among 2 arms"
    assert "(he)" in found.detail
    assert "(glorot)" in found.detail
    assert not CLAIMS.search(found.text)


def test_a_control_is_counted_where_there_is_nothing_to_compare_with(study):
    study.run("dbn", 0, 0.05)
    study.run("marginals", 0, metrics={}, kind="control")
    assert headline(study).title == (
        "Nothing to compare: no random arm with a test error among 1 pretrained arm and 1 control arm"
    )


def test_a_settled_interval_is_never_written_as_ending_at_zero(study):
    """Differences -0.006, -0.007, -0.004 points: [-0.0095, -0.0019]; two decimals would print an end at 0.00."""
    study.arm("dbn", [0.02, 0.02, 0.02])
    study.arm("glorot", [0.02006, 0.02007, 0.02004])
    found = headline(study)
    assert found.verdict == "pretrained"
    assert "95 % interval -0.009 to -0.002" in found.detail.replace(MINUS, "-")


def test_autoencoders_are_compared_by_squared_error(study):
    for seed, (a, b) in enumerate([(5.0, 6.0), (5.1, 6.3)]):
        study.run("dbn", seed, task="autoencoder", metrics={"test/squared_error": a})
        study.run("glorot", seed, task="autoencoder", metrics={"test/squared_error": b})
    section = study.section()
    assert section.metric == "test/squared_error"
    assert "%" not in headline(study).detail.replace("95 %", "")
    assert "-1.100" in headline(study).detail.replace(MINUS, "-")
