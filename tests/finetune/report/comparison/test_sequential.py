"""Studies that grow until they are settled: looks are recorded, and each has a level of its own."""

import json

import numpy as np
import pytest

from dbn.errors import DataError, SettingError
from finetune.report import write_report
from finetune.report.comparison.statistics.alpha_spending import nominal_levels
from finetune.report.results.looks import FILE


def grow(study, start, end):
    rng = np.random.default_rng(start)
    for seed in range(start, end):
        study.run("dbn", seed, 0.030 + 0.001 * rng.standard_normal())
        study.run("he", seed, 0.0316 + 0.001 * rng.standard_normal())


def looks(study):
    (own,) = json.loads((study.directory / FILE).read_text())["sections"].values()
    return [(one["seeds"], one["level"]) for one in own]


def test_every_report_of_more_seeds_is_a_look_with_the_level_that_is_left_to_it(study):
    grow(study, 0, 3)
    assert "at least 5 are needed" in write_report(study.directory, max_seeds=20).text
    assert json.loads((study.directory / FILE).read_text()) == {"max_seeds": 20, "sections": {}}
    grow(study, 3, 5)
    write_report(study.directory)
    first = write_report(study.directory).text  # the same seeds once more are no other look
    grow(study, 5, 10)
    write_report(study.directory, max_seeds=20)
    levels = nominal_levels([0.25, 0.5], 0.05)
    assert looks(study) == [(5, pytest.approx(levels[0])), (10, pytest.approx(levels[1]))]
    assert levels[0] < 2e-4
    assert "wins" not in first
    grow(study, 10, 20)
    assert "Pretraining wins" in write_report(study.directory).text
    assert looks(study)[2] == (20, pytest.approx(nominal_levels([0.25, 0.5, 1.0], 0.05)[2]))


def test_after_the_planned_number_of_seeds_nothing_is_left(study):
    grow(study, 0, 20)
    assert "Pretraining wins" in write_report(study.directory, max_seeds=20).text
    grow(study, 20, 22)
    assert "wins" not in write_report(study.directory).text
    assert [n for n, _ in looks(study)] == [20]


def test_a_plan_is_kept(study):
    grow(study, 0, 5)
    write_report(study.directory, max_seeds=20)
    with pytest.raises(SettingError, match=r"max_seeds=30: .*planned with 20"):
        write_report(study.directory, max_seeds=30)
    (study.directory / FILE).write_text("{}")
    with pytest.raises(DataError, match="no claim from a study that grew is valid"):
        write_report(study.directory)


def test_a_study_of_a_fixed_number_of_seeds_has_no_looks(study):
    grow(study, 0, 5)
    write_report(study.directory)
    assert not (study.directory / FILE).exists()
