"""The pages that ``make docs`` builds: without a warning, without a dead link or a request, and right in a browser.

One build takes twenty seconds of a processor, most of it for docstrings: nothing else shows that these can be read.
"""

import html
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

from gallery import PAGE, PICTURE, write_gallery

BUILDER = Path(__file__).resolve().parents[1] / "docs" / "site"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DESK, PHONE = 1280, 390


def missing(what: str, install: str) -> None:
    """Skip the test, or fail where all programs must be there."""
    assert not os.environ.get("DBN_NEEDS_BROWSER"), f"DBN_NEEDS_BROWSER is set, and there is no {what}"
    pytest.skip(f"needs {what}: {install}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, with grey pictures in place of the gallery's."""
    if importlib.util.find_spec("sphinx") is None:
        missing("Sphinx", "pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("docs")

    def draw(commands: str, place: Path) -> str:
        for name in PICTURE.findall(PAGE.read_text("utf-8")):
            Image.new("RGB", (1200, 800), "grey").save(place / name)
        return "a table " * 20

    write_gallery(folder / "source" / "gallery", draw)
    code = "import sys; from build import build, Path; sys.exit(build(*map(Path, sys.argv[1:])))"
    words = [sys.executable, "-c", code, str(folder / "source"), str(folder / "site")]
    done = subprocess.run(words, cwd=BUILDER, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "site"


class Page(HTMLParser):
    """Names of places in a page, addresses that it leads to, and addresses that it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.formulas = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {key: value or "" for key, value in attrs}
        self.places |= {named[key] for key in ("id", "name") if key in named}
        self.formulas += tag == "math"
        if "href" in named:
            (self.links if tag == "a" else self.loads).append(named["href"])
        if "src" in named:
            self.loads.append(named["src"])


def read(site: Path) -> dict[Path, Page]:
    """All pages."""
    return {file: Page(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}


def test_no_link_is_dead_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = read(site)
    dead = []
    for file, page in pages.items():
        for link in [*page.links, *page.loads]:
            if link.startswith(("http:", "https:")):
                assert link in page.links, f"{file.name} loads {link}"
                continue
            name, _, place = link.partition("#")
            target = (file.parent / unquote(name.partition("?")[0])).resolve() if name else file
            if not target.exists() or (place and target in pages and unquote(place) not in pages[target].places):
                dead.append(f"{file.name}: {link}")
    assert dead == []
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()[\s\"']*(https?:)?//", style.read_text("utf-8")), style


def test_every_page_is_there_with_its_formulas(site: Path) -> None:
    pages = read(site)
    assert {"index.html", "units.html", "gallery/index.html", "api/units.html", "benchmarks/RESULTS.html"} <= {
        str(file.relative_to(site)) for file in pages
    }
    assert pages[site / "api" / "units.html"].formulas > 20
    text = (site / "api" / "units.html").read_text("utf-8")
    assert ":math:" not in text
    assert ":class:" not in text


PROBE = """<script>addEventListener('load', () => {
  const seen = all => [...document.querySelectorAll(all)].filter(e => e.getClientRects().length);
  const over = seen('article *').filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.table-wrapper, pre, .formula')).map(e => e.tagName + '.' + e.className);
  parent.postMessage({
    page: decodeURI(location.pathname), width: innerWidth, scroll: document.documentElement.scrollWidth, over,
    flat: seen('math').filter(e => e.getBoundingClientRect().height < 5).length,
    broken: [...document.images].filter(e => !e.naturalWidth).map(e => e.src),
    loaded: performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith('file:')),
  }, '*');
})</script>"""

FRAME = """<!DOCTYPE html><body style="margin:0"><iframe style="border:0;width:WIDTHpx;height:900px"></iframe><script>
const pages = PAGES, found = [], next = () => document.querySelector('iframe').src = pages[found.length];
addEventListener('message', e => {
  found.push(e.data);
  if (found.length < pages.length) next(); else document.body.dataset.found = JSON.stringify(found);
});
next();</script>"""


def browse(address: str, folder: Path, *options: str) -> str:
    """A page as a browser has it, after its scripts; no script may fail."""
    if BROWSER is None:
        missing("Chromium", "apt install chromium")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--enable-logging=stderr", f"--user-data-dir={folder}", *options,
        "--allow-file-access-from-files", "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert ":CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def look(site: Path, width: int, folder: Path) -> list[dict[str, Any]]:
    """What a browser makes of each page in a window of that width."""
    pages = [file for file in sorted(site.rglob("*.html")) if file.stem not in {"search", "genindex", "py-modindex"}]
    probed = folder / "site"
    shutil.copytree(site, probed)
    for file in pages:
        text = file.read_text("utf-8").replace("</body>", PROBE + "</body>")
        (probed / file.relative_to(site)).write_text(text, encoding="utf-8")
    addresses = json.dumps([(probed / file.relative_to(site)).as_uri() for file in pages])
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGES", addresses), encoding="utf-8")
    shown = browse(
        frame.as_uri(), folder / "browser", "--virtual-time-budget=60000", f"--window-size={max(width, 500)},900"
    )
    found = re.search(r'data-found="([^"]*)"', shown)
    assert found, shown[:2000]
    result: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    assert len(result) == len(pages)
    return result


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_pages_fit_their_window(site: Path, width: int, tmp_path: Path) -> None:
    """Only tables, blocks of code and formulas of their own may be wider, and scroll by themselves."""
    for found in look(site, width, tmp_path):
        assert found["width"] == width
        assert found["over"] == [], found["page"]
        assert found["scroll"] <= width, found["page"]
        assert found["flat"] == 0, found["page"]
        assert found["broken"] == [], found["page"]
        assert found["loaded"] == [], found["page"]


def test_search_works_from_a_file(site: Path, tmp_path: Path) -> None:
    shown = browse((site / "search.html").as_uri() + "?q=tempering", tmp_path, "--virtual-time-budget=20000")
    found = re.search(r'<ul[^>]* class="search">(.*?)</ul>', shown, re.DOTALL)
    assert found, shown[:2000]
    assert 'href="samplers.html' in found[1]
