"""The worst mistakes of the best networks, with what they were taken for."""

import numpy as np

from finetune.report import write_report
from finetune.report.figures.mistake_gallery import SHOWN, mistake_galleries


def with_mistakes(study, name, seed, error, n, **content):
    mistakes = [
        {"index": 7 * k, "name": f"plates/{k}.png" if name == "dbn" else None, "label": 1, "predicted": 2,
         "probability": 0.999 - 0.01 * k}
        for k in range(n)
    ]  # fmt: skip
    directory = study.run(name, seed, error, classes=["zero", "one", "two"], mistakes=mistakes, **content)
    np.savez(directory / "pictures.npz", mistakes=np.random.default_rng(seed).random((n, 1, 8, 8)))
    return directory


def test_the_best_arm_of_each_side_shows_what_it_took_for_what(study):
    study.run("dbn", 0, 0.10)
    with_mistakes(study, "dbn", 1, 0.11, 20)
    with_mistakes(study, "he", 0, 0.12, 3)
    with_mistakes(study, "worse", 0, 0.3, 3)
    galleries, errors = mistake_galleries(study.section())
    assert not errors
    assert [(gallery.run.name, gallery.run.seed, len(gallery.pictures)) for gallery in galleries] == [
        ("dbn", 1, SHOWN), ("he", 0, 3)
    ]  # fmt: skip
    assert galleries[0].pictures[0].caption == "one, taken for two, 99.9 %"
    assert galleries[0].names[1] == "plates/1.png"
    assert galleries[1].names[1] == "test image 7"
    page = write_report(study.directory).html.read_text(encoding="utf-8")
    assert page.count("taken for two") == 2 * (SHOWN + 3), "caption and description of each picture"
    assert "Worst mistakes" in page


def test_a_study_without_mistakes_has_no_such_part(study):
    study.run("dbn", 0, 0.1)
    study.run("he", 0, 0.12, mistakes=[])
    assert "Worst mistakes" not in write_report(study.directory).html.read_text(encoding="utf-8")


def test_pictures_that_do_not_match_are_named(study):
    directory = with_mistakes(study, "dbn", 0, 0.1, 3)
    np.savez(directory / "pictures.npz", mistakes=np.zeros((2, 1, 8, 8)))
    galleries, (error,) = mistake_galleries(study.section())
    assert not galleries
    assert "finetune/dbn_seed0/pictures.npz does not show the mistakes" in error
    page = write_report(study.directory).html.read_text(encoding="utf-8")
    assert "does not show the mistakes" in page
