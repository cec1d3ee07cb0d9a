"""The page of a study."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dbn.errors import SettingError
from finetune.report import write_report

VOID = {"meta", "br", "img", "wbr", "hr", "link", "input"}


NASTY = "dbn<script>alert(1)</script>&\"'$x_1$"


class Page(HTMLParser):
    """Collects what a page refers to, its ids and its text, and checks that elements close in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.addresses, self.ids, self.words, self.tags = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self._attributes(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._attributes(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def _attributes(self, tag, attributes):
        self.tags.append(tag)
        for key, value in attributes:
            if key in ("src", "href", "srcset", "action", "data", "xlink:href", "poster"):
                self.addresses.append(value)
            if key == "id":
                self.ids.append(value)
            assert not key.startswith("on")

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words).replace("\N{NO-BREAK SPACE}", " "))


@pytest.fixture(scope="module")
def full(make_study):
    """Everything at once: two kinds of arm, a baseline, a stack, curves, pictures, a failure, a hole, a nasty name."""
    study = make_study("toy")
    rng = np.random.default_rng(0)
    for seed in range(3):
        for name, error, step in (("dbn", 0.030, 0.001), ("glorot", 0.050, 0.002), ("he_relu", 0.045, 0.002)):
            directory = study.run(
                name,
                seed,
                metrics={"test/error": error + step * seed, "validation/error": error},
                config={"init": {"kind": name}, "optimizer": {"lr": 0.1}},
            )
            rows = "".join(f"{epoch},{0.5 / (epoch + 1)}\n" for epoch in range(5))
            (directory / "metrics.csv").write_text("epoch,validation/error\n" + rows)
        study.run("knn", seed, 0.09, stage="baseline")
        directory = study.run("digits_stack", seed, stage="pretrain", metrics={"layer1/reconstruction_error": 1.5})
        (directory / "metrics.csv").write_text(
            "epoch,layer1/reconstruction_error,layer1/free_energy_gap\n0,3,0\n1,2,1\n"
        )
    np.savez(study.directory / "finetune" / "dbn_seed0" / "pictures.npz", filters=rng.normal(size=(9, 8, 8)))
    directory = study.unfinished("he_relu", 3, "DivergenceError: <b>boom</b>")
    return study


@pytest.fixture(scope="module")
def files(full):
    return write_report(full.directory)


@pytest.fixture(scope="module")
def page(files):
    return Page(files.html.read_text(encoding="utf-8"))


def test_files_are_where_they_belong_and_nothing_is_left_behind(full, files):
    assert files.html == full.directory / "report.html"
    assert sorted(path.name for path in full.directory.iterdir() if path.is_file()) == [
        "report.html",
        "results.csv",
        "table.md",
    ]
    assert files.html.stat().st_size < 3_000_000
    assert files.html.stat().st_mode & 0o077 == files.table.stat().st_mode & 0o077 != 0


def test_page_says_the_outcome_first(page):
    headline = page.text.index("Not settled: 3 seeds, and at least 5 are needed", 60)
    assert headline < page.text.index("Every arm, every seed") < page.text.index("The numbers")
    assert page.tags.count("h1") == 1


def test_page_holds_every_arm_and_number(page):
    for name in ("dbn", "glorot", "he_relu", "knn", "digits_stack"):
        assert name in page.text
    for number in ("3.10 ± 0.25", "5.20 ± 0.50", "4.70 ± 0.50", "9.00 ± 0.00", "1.500"):
        assert number in page.text, number
    for words in ("DivergenceError: <b>boom</b>", "0123456789ab", "a processor", "init.kind", "pretraining (s)"):
        assert words in page.text, words


def test_sections_come_in_order(page):
    heads = [
        "The numbers",
        "Without a result",
        "Learning curves",
        "Pretraining",
        "Training time",
        "Filters, samples and reconstructions",
    ]
    places = [page.text.rindex(head) for head in (*heads, "What was run")]
    assert places == sorted(places)


def test_page_says_what_a_time_means_where_seeds_trained_together(make_study, page):
    words = "Seeds trained together (3 at a time): a run's time is its share."
    assert words not in page.text
    study = make_study("together")
    for name in ("dbn", "glorot"):
        study.arm(name, [0.03, 0.04, 0.05], trained_together=3)
    html = write_report(study.directory).html.read_text(encoding="utf-8")
    assert words in Page(html).text


def test_page_needs_nothing_but_itself(full, files, page):
    html = files.html.read_text(encoding="utf-8")
    for address in page.addresses:
        assert address.startswith(("#", "./", "data:image/png;base64,")), address
    for address in page.addresses:
        if address.startswith("./"):
            assert (full.directory / address).exists(), address
        if address.startswith("#"):
            assert address[1:] in page.ids, address
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "script" not in page.tags
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {f"#{name}" for name in page.ids}
    assert len(page.ids) == len(set(page.ids))


def test_the_same_runs_give_the_same_bytes(full, files, tmp_path):
    copy = tmp_path / full.directory.name
    shutil.copytree(full.directory, copy)
    again = write_report(copy)
    for one, other in ((files.html, again.html), (files.table, again.table), (files.csv, again.csv)):
        assert one.read_bytes() == other.read_bytes()


def test_names_are_text_not_markup(study):
    for seed in range(2):
        (study.directory / "finetune" / f"a_seed{seed}").mkdir(parents=True)
        content = {"study": "toy", "stage": "finetune", "name": NASTY, "seed": seed, "pretrained": True}
        content |= {"metrics": {"test/error": 0.1 + seed / 100}, "config": {"note": "</pre><script>"}, "data": "<i>"}
        (study.directory / "finetune" / f"a_seed{seed}" / "result.json").write_text(json.dumps(content))
    study.arm("glorot", [0.2, 0.3], config={"note": "other"}, data="<i>")
    html = write_report(study.directory).html.read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags
    assert "i" not in {tag for tag, text in zip(page.tags, page.words, strict=False) if "alert" in text}
    assert NASTY in page.text


def test_a_dollar_in_a_name_starts_no_formula_in_the_figures(study):
    study.arm("a$x$b", [0.1, 0.2])
    assert ">a$x$b</text>" in write_report(study.directory).html.read_text(encoding="utf-8")


def test_files_with_only_the_required_keys_make_a_page(study):
    for seed in range(2):
        directory = study.unfinished("x", seed)
        content = {"study": "toy", "stage": "finetune", "name": "x", "seed": seed, "metrics": {"test/error": 0.5}}
        (directory / "result.json").write_text(json.dumps(content))
    page = Page(write_report(study.directory).html.read_text(encoding="utf-8"))
    assert "Nothing to compare" in page.text
    assert "50.00" in page.text


def test_a_study_that_only_pretrained_makes_a_page(study):
    study.run("stack", 0, stage="pretrain", metrics={"layer1/reconstruction_error": 2.5})
    files = write_report(study.directory)
    assert "only pretraining has run" in Page(files.html.read_text(encoding="utf-8")).text
    assert "1 pretrained stack (stack)" in files.table.read_text(encoding="utf-8")
    assert files.text.startswith("Nothing to compare yet")


def test_several_comparisons_each_get_a_verdict(study):
    for labels in (100, 1000):
        for seed in range(5):
            study.run(f"dbn_n_labelled={labels}", seed, 10 / labels + 0.001 * seed, n_labelled=labels)
            study.run(f"he_n_labelled={labels}", seed, 15 / labels + 0.002 * seed, n_labelled=labels)
    files = write_report(study.directory)
    page = Page(files.html.read_text(encoding="utf-8"))
    assert page.text.count("Pretraining wins") == 2 * 2 + 2  # in the list and above each; title and part on both
    assert "Pretraining wins with 100 and 1000 labelled images." in page.text
    assert "by number of labelled images" in page.text
    assert (
        files.table.read_text(encoding="utf-8").count("## digits, classifier") == 4
    )  # the axis, the labels saved, and each of them


def test_runs_without_the_metric_are_listed_and_not_averaged(study):
    study.arm("dbn", [0.1, 0.2])
    study.run("dbn", 2, metrics={"test/error": float("nan")})
    study.run("broken", 0, metrics={})
    files = write_report(study.directory)
    text = Page(files.html.read_text(encoding="utf-8")).text
    assert "result.json has no finite test/error" in text
    assert "15.00 [0.00, 78.53]" in text
    assert "2 of 3" in text


def test_a_failed_report_leaves_the_earlier_one(study):
    study.arm("dbn", [0.1, 0.2])
    before = write_report(study.directory).html.read_bytes()
    with pytest.raises(SettingError):
        write_report(study.directory, reference="nobody")
    assert (study.directory / "report.html").read_bytes() == before


def test_a_relative_directory_is_named_like_an_absolute_one(study, monkeypatch):
    study.arm("dbn", [0.1, 0.2])
    absolute = write_report(study.directory).html.read_bytes()
    monkeypatch.chdir(study.directory)
    assert write_report(Path()).html.resolve() == study.directory / "report.html"
    assert (study.directory / "report.html").read_bytes() == absolute
