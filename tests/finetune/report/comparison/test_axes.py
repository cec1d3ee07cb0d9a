"""Sections that differ in one quantity."""

from finetune.report.comparison.sections import make_sections
from finetune.report.results.study import read_study


def test_arms_of_different_shapes_stay_in_one_comparison_where_each_has_one(study) -> None:
    study.arm("dbn", [0.1, 0.2], sizes=[64, 20, 10])
    study.arm("relu", [0.1, 0.2], sizes=[64, 40, 40, 10])
    section = study.section()
    assert section.hidden == ()
    assert not study.axes()


def test_a_baseline_stands_beside_networks_of_every_shape(study) -> None:
    for depth in (1, 2):
        study.deep("dbn", depth, [0.05, 0.06])
    study.run("linear", 0, 0.2, stage="baseline", pretrained=False)
    sections = make_sections(read_study(study.directory).compared)
    assert len(sections) == 2
    assert all(any(arm.name == "linear" for arm in section.arms) for section in sections)
