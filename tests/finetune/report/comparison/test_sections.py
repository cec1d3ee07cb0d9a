"""Which runs are compared with each other, and by what."""

import pytest

from dbn.errors import SettingError
from finetune.report.comparison.sections import make_sections
from finetune.report.pages.headline_text import write_headline
from finetune.report.results.study import read_study


def test_best_arms_are_chosen_on_validation_where_every_run_has_it(study):
    """``dbn_lucky`` has the lowest test error and not the lowest validation error: it must not be picked."""
    for seed in range(3):
        study.run("dbn_lucky", seed, metrics={"test/error": 0.01, "validation/error": 0.05})
        study.run("dbn_sound", seed, metrics={"test/error": 0.02, "validation/error": 0.03})
        study.run("glorot", seed, metrics={"test/error": 0.04, "validation/error": 0.04})
    section = study.section()
    assert section.best_pretrained.name == "dbn_sound"
    assert (section.choice.metric, section.choice.on) == ("validation/error", "validation")
    assert "mean validation error" in write_headline(section).choice


def test_a_baseline_without_validation_does_not_spoil_the_choice(study):
    for name in ("dbn", "glorot"):
        study.run(name, 0, metrics={"test/error": 0.02, "validation/error": 0.03})
    study.run("knn", 0, 0.1, stage="baseline")
    assert study.section().choice.metric == "validation/error"


def test_a_baseline_is_no_contender(study):
    study.arm("dbn", [0.03, 0.04])
    study.arm("glorot", [0.05, 0.07])
    study.arm("knn", [0.01, 0.01], stage="baseline")
    section = study.section()
    assert section.best_random.name == "glorot"
    assert section.arms[0].name == "knn"


def test_a_control_is_no_contender(study):
    """Weights drawn from a stack's have seen its images: they are neither pretrained nor a random start."""
    study.arm("dbn", [0.03, 0.04])
    study.arm("glorot", [0.05, 0.07])
    study.arm("marginals", [0.01, 0.01], kind="control")
    section = study.section()
    assert (section.best_pretrained.name, section.best_random.name) == ("dbn", "glorot")
    assert section.reference.name == "glorot"
    assert [comparison.name for comparison in section.comparisons] == ["marginals", "dbn"], "but it is compared"
    assert "marginals" not in write_headline(section).text


def test_different_data_tasks_and_numbers_of_labels_are_not_compared(study):
    study.run("dbn", 0, 0.1, n_labelled=1000)
    study.run("dbn_few", 0, 0.2, n_labelled=100)
    study.run("dbn_all", 0, 0.05, n_labelled=None)
    study.run("dbn_other", 0, 0.3, data="faces")
    study.run("dbn_code", 0, task="autoencoder", metrics={"test/squared_error": 4.0})
    sections = make_sections(read_study(study.directory).of_stage("finetune"))
    assert [section.title for section in sections] == [
        "digits, autoencoder",
        "digits, classifier, 100 labels",
        "digits, classifier, 1000 labels",
        "digits, classifier, all labels",
        "faces, classifier, 100 labels",
    ]


def test_settings_that_cannot_be_used_are_named_with_what_can(study):
    study.arm("dbn", [0.03])
    study.arm("glorot", [0.05])
    with pytest.raises(SettingError, match=r"reference=glorrot: .*Did you mean glorot\? .*glorot, dbn"):
        study.section(reference="glorrot")
    with pytest.raises(SettingError, match=r"metric=test/err: .*Did you mean test/error\?"):
        study.section(metric="test/err")
    study.run("acc", 0, metrics={"test/accuracy": 0.9})
    with pytest.raises(SettingError, match=r"less is better\. Use test/error"):
        study.section(metric="test/accuracy")
