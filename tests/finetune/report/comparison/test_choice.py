"""Which arm stands for each side: on which seeds it was chosen, and ties."""

import numpy as np

from finetune.report.pages.headline_text import write_headline
from finetune.report.results.study import read_study, tuning_trials


def validated(study, name, tests, validations, first=0, **content):
    for seed, (test, validation) in enumerate(zip(tests, validations, strict=True), start=first):
        study.run(name, seed, metrics={"test/error": test, "validation/error": validation}, **content)


def tried(study, arm, validations, seed=1000):
    for number, validation in enumerate(validations):
        study.run(
            f"{arm}_trial{number}", seed, arm=arm, metrics={"validation/error": validation},
            trial={"number": number, "settings": {}}, pretrained=arm.startswith("dbn"),
        )  # fmt: skip


def test_equal_validation_means_are_said_and_not_broken_by_the_alphabet_in_silence(study):
    """0.1 + 0.2 and 0.2 + 0.1: the same counts, whatever the last bit says."""
    validated(study, "dbn_b", [0.02, 0.03, 0.04], [0.1, 0.2, 0.3])
    validated(study, "dbn_a", [0.03, 0.03, 0.04], [0.3, 0.2, 0.1])
    validated(study, "dbn_c", [0.03, 0.03, 0.04], [0.3, 0.3, 0.1])
    validated(study, "he", [0.03, 0.03, 0.04], [0.3, 0.3, 0.1])
    section = study.section()
    assert section.choice.tied == {"pretrained": ("dbn_a", "dbn_b")}
    assert section.best_pretrained.name == "dbn_a"
    assert "dbn_a and dbn_b tie; dbn_a stands for them, as the first by name." in write_headline(section).choice


def test_arms_are_chosen_on_the_seeds_of_their_search_where_there_is_one(study):
    """dbn_lucky has the lowest validation error on the seeds compared, dbn_sound in the search, which decides."""
    rng = np.random.default_rng(0)
    validated(study, "dbn_lucky", rng.uniform(0.02, 0.03, 5), [0.01] * 5)
    validated(study, "dbn_sound", rng.uniform(0.02, 0.03, 5), [0.02] * 5)
    validated(study, "he", rng.uniform(0.02, 0.03, 5), [0.02] * 5)
    validated(study, "he_b", rng.uniform(0.02, 0.03, 5), [0.02] * 5)
    alone = study.section()
    assert alone.best_pretrained.name == "dbn_lucky"
    for arm, values in (("dbn_lucky", [0.5, 0.3]), ("dbn_sound", [0.4, 0.2]), ("he", [0.1, 0.9]), ("he_b", [0.6, 0.7])):
        tried(study, arm, values)
    section = study.section(trials=tuning_trials(read_study(study.directory)))
    assert section.best_pretrained.name == "dbn_sound"
    assert section.choice.on == "tuning"
    assert section.n_trials == {"pretrained": 4, "random": 4}
    assert section.family.size == 3  # three arms against the best random one; alone every pair that might have been
    assert alone.family.size == 5
    found = write_headline(section)
    assert "in the search, on other seeds than those compared" in found.choice
    assert "searched with 4 trials and 4 trials" in " ".join(found.facts)


def test_a_search_on_the_seeds_that_are_compared_chooses_nothing(study):
    validated(study, "dbn", [0.02, 0.03], [0.01, 0.01])
    validated(study, "he", [0.02, 0.03], [0.02, 0.02])
    tried(study, "dbn", [0.1], seed=1)
    tried(study, "he", [0.1], seed=1)
    assert study.section(trials=read_study(study.directory).trials).choice.on == "validation"


def test_a_search_in_another_study_is_found_through_the_choice_that_runs_took(study, make_study):
    other = make_study("tune")
    tried(other, "dbn", [0.2, 0.1])
    config = {"search": {"chosen": str(other.directory / "chosen.json")}}
    study.run("dbn", 0, 0.1, config=config)
    assert len(tuning_trials(read_study(study.directory))) == 2


def test_a_run_that_diverged_does_not_make_the_choice_see_the_test_set(study):
    validated(study, "dbn", [0.02, 0.03], [0.01, 0.01])
    validated(study, "he", [0.02, 0.03], [0.02, 0.02])
    study.run("he", 2, metrics={"test/error": float("nan"), "validation/error": float("nan")})
    assert study.section().choice.on == "validation"


def test_copies_of_one_arm_are_paired_and_judged_as_arms_of_both_sides(study):
    """What sweep=aa makes: seeds 0 to 4 as pretrained, 10 to 14 as random."""
    rng = np.random.default_rng(1)
    for name, side, first in (("relu_a0", "pretrained", 0), ("relu_b0", "random", 10)):
        config = {"copy": {"side": side, "first_seed": first}}
        validated(study, name, rng.uniform(0.02, 0.03, 5), [0.02] * 5, first, config=config, pretrained=False)
    section = study.section()
    assert section.best_difference.seeds == (0, 1, 2, 3, 4)
    assert (section.best_pretrained.name, section.best_random.name) == ("relu_a0", "relu_b0")
    assert write_headline(section).verdict == "unsettled"
