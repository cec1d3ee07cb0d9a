"""The pages in a real browser, at the width of a desk and of a phone."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fake_study import FakeStudy

from finetune.report import write_report
from finetune.report.pages.overview_page import write_overview

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


DESK, PHONE = 1280, 390


PROBE = """<script>addEventListener('load', () => {
  const seen = all => [...document.querySelectorAll(all)].filter(e => e.getClientRects().length);
  const over = seen('main *').filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.scroll') && !e.closest('svg')).map(e => e.tagName + '.' + e.className);
  const scale = e => Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b);
  const size = e => parseFloat(getComputedStyle(e).fontSize) * scale(e);
  parent.postMessage(JSON.stringify({
    width: innerWidth, scroll: document.documentElement.scrollWidth, over,
    wide: seen('.wide').length, narrow: seen('.narrow').length, smallest: Math.min(...seen('svg text').map(size)),
    loaded: performance.getEntriesByType('resource').map(e => e.name),
  }), '*');
})</script>"""


FRAME = """<!DOCTYPE html><body style="margin:0"><iframe src="probed.html" style="border:0;width:WIDTHpx;height:900px">
</iframe><script>addEventListener('message', e => document.body.dataset.found = e.data)</script>"""


def look(page: Path, width: int) -> dict[str, Any]:
    """What a browser makes of a page in a window of that width."""
    if BROWSER is None:
        assert not os.environ.get("DBN_NEEDS_BROWSER"), "DBN_NEEDS_BROWSER is set, and there is no Chromium"
        pytest.skip("needs Chromium: apt install chromium")
    text = page.read_text(encoding="utf-8")
    (page.parent / "probed.html").write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    frame = page.parent / "frame.html"
    frame.write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--enable-logging=stderr", f"--user-data-dir={page.parent}/browser", "--virtual-time-budget=5000",
        f"--window-size={max(width, 500)},900", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ":CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.fixture
def pages(tmp_path: Path) -> tuple[Path, Path]:
    """Of a study with labels as an axis, and of the folder above it."""
    study = FakeStudy(tmp_path / "runs" / "labels")
    for labels in (100, 300, 1000, 3000, None):
        for arm in ("dbn", "random_relu_dropout_augment_with_a_long_name"):
            errors = [0.05 + 0.01 * len(arm) + 0.001 * seed for seed in range(5)]
            study.arm(f"{arm}_{labels}", errors, arm=arm, n_labelled=labels, pretrained=arm == "dbn")
    study.unfinished("dbn_100", 7, "DataError: " + "a long message without an end " * 20)
    return write_report(study.directory).html, write_overview(tmp_path / "runs").html


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("number", [0, 1], ids=["study", "overview"])
def test_a_page_fits_its_window_and_can_be_read(pages: tuple[Path, Path], number: int, width: int) -> None:
    found = look(pages[number], width)
    assert found["width"] == width
    assert found["over"] == []
    assert found["scroll"] <= width
    shown, hidden = ("wide", "narrow") if width == DESK else ("narrow", "wide")
    assert found[shown] > 0
    assert found[hidden] == 0, "each figure is drawn for one of the two"
    assert found["smallest"] >= 9, "pixels, the smallest letters of a figure"
    assert found["loaded"] == [], "nothing is fetched"
