"""One page over several studies, and the ladder on it."""

from pathlib import Path

import pytest
from fake_study import FakeStudy

from dbn.errors import DataError
from finetune.report.pages.overview_page import write_overview
from finetune.report.results.study import find_studies


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    first = FakeStudy(tmp_path / "runs" / "alpha")
    first.arm("dbn", [0.030, 0.031, 0.032, 0.030, 0.033])
    first.arm("relu", [0.050, 0.052, 0.054, 0.051, 0.053])
    second = FakeStudy(tmp_path / "runs" / "ladder")
    for step, what in ((1, "Perceptrons"), (2, "One hidden layer")):
        config = {"ladder": {"step": step, "what": what}}
        second.arm(f"ladder_{step}", [0.2 / step, 0.21 / step, 0.2 / step], config=config)
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


def test_studies_are_the_folders_that_hold_runs(runs: Path) -> None:
    assert [path.name for path in find_studies(runs)] == ["alpha", "ladder"]
    assert find_studies(runs / "alpha") == []


def test_the_page_says_what_each_study_found_and_links_to_it(runs: Path) -> None:
    files = write_overview(runs)
    page = files.html.read_text(encoding="utf-8")
    assert "Pretraining wins: dbn has the lower test error" in page
    assert 'href="./alpha/report.html"' in page
    assert (runs / "alpha" / "report.html").is_file()
    assert "alpha: Pretraining wins: dbn has the lower test error." in files.text
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_ladder_is_shown_in_its_order_with_what_each_step_brought(runs: Path) -> None:
    page = write_overview(runs).html.read_text(encoding="utf-8")
    first, second = page.index("1. Perceptrons"), page.index("2. One hidden layer")
    assert first < second
    assert "\N{MINUS SIGN}10.17 [" in page  # (0.2 + 0.21 + 0.2) / 3 / 2
    assert "The lowest test error is that of step 2" in page


def test_a_study_that_cannot_be_read_is_named(runs: Path) -> None:
    (runs / "empty" / "finetune").mkdir(parents=True)
    assert "empty: no run has a result yet" in write_overview(runs).html.read_text(encoding="utf-8")


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty" / "finetune").mkdir(parents=True)
    with pytest.raises(DataError, match="no study has a result yet"):
        write_overview(tmp_path)
