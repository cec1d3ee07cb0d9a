"""What the headline claims, and what it does not."""

import re

import numpy as np
import pytest

from finetune.report.pages.headline_text import write_headline
from finetune.report.results.formatting import MINUS
from finetune.tasks.predictions import Predictions

CLAIMS = re.compile(r"\b(wins|better|lower|beats|outperforms)\b")


def headline(study):
    return write_headline(study.section())


HIGH = [0.050, 0.052, 0.054, 0.051, 0.053]
LOW = [0.030, 0.031, 0.032, 0.030, 0.032]


def test_pretraining_wins_where_the_difference_is_settled(study):
    """Differences -2, -2.1, -2.2, -2.1, -2.1 points: mean -2.1, half width 2.77645 * 0.0707 / sqrt(5) = 0.088."""
    study.arm("dbn", LOW)
    study.arm("glorot", HIGH)
    found = headline(study)
    assert found.verdict == "pretrained"
    assert found.title == "Pretraining wins: dbn has the lower test error"
    numbers = (
        "Paired difference -2.10 percentage points (-40 % of the random arm's mean), 95 % interval -2.19 to -2.01 for "
        "new seeds (standard error 0.032; that over test images is not in it), over 5 common seeds."
    )
    assert numbers in found.detail.replace(MINUS, "-")


def test_random_initialisation_can_win(study):
    study.arm("dbn", HIGH)
    study.arm("glorot", LOW)
    assert headline(study).verdict == "random"
    assert headline(study).title == "Random initialisation wins: glorot has the lower test error"


def test_nothing_is_claimed_where_the_interval_includes_zero(study):
    study.arm("dbn", [0.03, 0.03, 0.03, 0.06, 0.03])
    study.arm("glorot", [0.04, 0.05, 0.06, 0.03, 0.05])
    found = headline(study)
    assert found.verdict == "unsettled"
    assert found.title == "Not settled: the interval includes zero with 5 seeds"
    assert re.search(
        r"If the true difference is the observed one, \d+ to (\d+|more than 1000) seeds would", found.detail
    )
    assert not CLAIMS.search(found.text)


def test_nothing_is_claimed_of_three_seeds_however_clear(study):
    study.arm("dbn", LOW[:3])
    study.arm("glorot", HIGH[:3])
    found = headline(study)
    assert found.title == "Not settled: 3 seeds, and at least 5 are needed"
    assert not CLAIMS.search(found.text)


def test_an_interval_that_excludes_zero_and_does_not_pass_the_correction_is_said_to(study):
    gains = [0.001, 0.0035, 0.002, 0.0005, 0.003]  # p = 0.02
    study.arm("dbn", [value - gain for value, gain in zip(HIGH, gains, strict=True)])
    study.arm("glorot", HIGH)
    study.arm("he", [0.055, 0.050, 0.051, 0.056, 0.050])
    study.arm("he_b", [0.050, 0.056, 0.054, 0.050, 0.055])
    title = headline(study).title
    assert re.fullmatch(
        r"Not settled: the interval excludes zero, but not after correction for 6 comparisons "
        r"\(adjusted p 0\.\d+, level 0\.05\)",
        title,
    )


def test_no_difference_that_matters_is_a_finding(study):
    study.arm("dbn", [0.0500, 0.0521, 0.0540, 0.0511, 0.0529])
    study.arm("glorot", HIGH)
    found = write_headline(study.section(margin=0.1))
    assert found.title == "No difference that matters: dbn and glorot differ by less than 0.10 percentage points"


def test_what_a_verdict_is_judged_by_stands_beside_it(study):
    """500 test images, 0.2 points each; two arms against one; 3 TFLOP against 2; both parts of the standard error."""
    rng = np.random.default_rng(0)
    for name, rate in (("dbn", 0.1), ("dbn_b", 0.15), ("glorot", 0.12)):
        for seed in range(5):
            wrong = rng.random(500) < rate
            flops = {"pretraining": 1e12, "fine_tuning": 2e12} if name != "glorot" else {"fine_tuning": 2e12}
            directory = study.run(name, seed, float(wrong.mean()), flops=flops)
            Predictions(np.zeros(500, np.int64), wrong.astype(np.int64)).save(directory)
    found = headline(study)
    facts = " ".join(found.facts)
    assert "500 test images, of which one is worth 0.20 percentage points." in facts
    assert "2 pretrained and 1 random arms; no search of settings is known for them." in facts
    assert "Operations, pretraining included: 3.00 TFLOP and 2.00 TFLOP, a ratio of 1.5." in facts
    assert re.search(
        r"for new seeds and new test images \(standard error \d\.\d+ over seeds, \d\.\d+ over images\)", found.detail
    )


@pytest.mark.parametrize(
    ("pretrained_seeds", "random_seeds", "words"),
    [([0], [0], "1 seed, and at least 5 are needed"), ([0, 1], [2, 3], "2 seeds, and at least 5 are needed")],
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
    study.arm("dbn", [0.10, 0.20, 0.11, 0.12, 0.13])
    study.arm("glorot", [0.15, 0.25, 0.16, 0.17, 0.18])
    assert headline(study).verdict == "unsettled"
    assert "same in all 5 seeds" in headline(study).title


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
    """Differences of about -0.006 points: two decimals would print an end at 0.00."""
    study.arm("dbn", [0.02] * 5)
    study.arm("glorot", [0.02006, 0.02007, 0.02004, 0.02006, 0.02005])
    found = headline(study)
    assert found.verdict == "pretrained"
    assert "95 % interval -0.007 to -0.004" in found.detail.replace(MINUS, "-")


def test_autoencoders_are_compared_by_squared_error(study):
    for seed, (a, b) in enumerate([(5.0, 6.0), (5.1, 6.3)]):
        study.run("dbn", seed, task="autoencoder", metrics={"test/squared_error": a})
        study.run("glorot", seed, task="autoencoder", metrics={"test/squared_error": b})
    section = study.section()
    assert section.metric == "test/squared_error"
    assert "percentage" not in headline(study).detail
    assert "-1.100" in headline(study).detail.replace(MINUS, "-")
