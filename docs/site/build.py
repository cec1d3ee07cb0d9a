"""Build docs/_site/ from README, docs/*.md, docstrings, and pictures that the package draws: ``make docs``."""

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from gallery import write_gallery
from reference import write_reference
from sources import DOCS, copy_pages

SETTINGS = Path(__file__).resolve().parent


def main() -> int:
    """Draw the gallery, and build the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep-gallery", action="store_true", help="take the gallery that was drawn before")
    source, site = DOCS / "_source", DOCS / "_site"
    gallery = source / "gallery"
    if not (parser.parse_args().keep_gallery and (gallery / "index.md").exists()):
        shutil.rmtree(source, ignore_errors=True)
        write_gallery(gallery)
    shutil.rmtree(site, ignore_errors=True)
    status = build(source, site)
    if status == 0:
        print(f"{site / 'index.html'}: open it in a browser")
    return status


def build(source: Path, site: Path) -> int:
    """Collect what Sphinx reads, and let it make the pages.

    Args:
        source: folder with ``gallery/index.md``; README, pages and reference are written into it.
        site: folder for the pages.

    Returns:
        Exit status of Sphinx; not zero if there was a warning.
    """
    copy_pages(source)
    write_reference(source / "api")
    doctrees = site / ".doctrees"
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-b", "html", "-d", str(doctrees), "-c", str(SETTINGS)]
    status: int = build_main([*options, str(source), str(site)])
    shutil.rmtree(doctrees, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
