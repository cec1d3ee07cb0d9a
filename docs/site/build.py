"""Build docs/_site/ from docs/*.md, docstrings and pictures that the package draws: ``make docs``."""

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent
sys.path[:0] = [str(HERE)]


def main() -> int:
    """Draw the gallery, write the reference, and let Sphinx make pages of them; a warning is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep-gallery", action="store_true", help="take the gallery that was drawn before")
    parser.add_argument("--output", type=Path, default=DOCS / "_site", help="folder of the pages, which is replaced")
    arguments = parser.parse_args()

    from sphinx.cmd.build import build_main

    from gallery import write_gallery
    from reference import write_reference
    from sources import copy_pages

    source, gallery = DOCS / "_source", DOCS / "_source" / "gallery"
    if not (arguments.keep_gallery and (gallery / "index.md").exists()):
        shutil.rmtree(source, ignore_errors=True)
        write_gallery(gallery)
    copy_pages(source)
    write_reference(source / "api")
    shutil.rmtree(arguments.output, ignore_errors=True)
    doctrees = arguments.output / ".doctrees"
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-b", "html", "-d", str(doctrees), "-c", str(HERE)]
    status = build_main([*options, str(source), str(arguments.output)])
    shutil.rmtree(doctrees, ignore_errors=True)
    if status == 0:
        print(f"{arguments.output / 'index.html'}: open it in a browser")
    return status


if __name__ == "__main__":
    sys.exit(main())
