"""The gallery of ``make docs``: its commands compose, draw what the page shows, and stop the build where one fails."""

import re
import subprocess
from pathlib import Path

import pytest

import gallery
from gallery import PAGE, PICTURE, write_gallery
from test_docs_pages import compose

PRINT_CALLS = """
for name in cp dbn-{pretrain,sample,evaluate}; do
    eval "$name() { printf '%s\\\\0' $name \\"\\$@\\" END; }"
done
"""
"""Defines functions of bash that stand for commands, and print their words."""


def gallery_commands(folder: Path) -> list[list[str]]:
    """Commands of the gallery's page, as bash would call them."""
    script = PRINT_CALLS + "".join(gallery.COMMANDS.findall(PAGE.read_text("utf-8")))
    done = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, check=True)
    return [call.strip("\0").split("\0") for call in done.stdout.split("\0END\0") if call.strip("\0")]


def test_commands_of_the_gallery_compose_and_draw_what_its_page_shows(tmp_path: Path) -> None:
    calls = [words for words in gallery_commands(tmp_path) if words[0] != "cp"]
    assert len(calls) > 12
    for words in calls:
        compose(words)
    drawn = {word.partition("=")[2] for words in calls for word in words if word.startswith(("output=", "figure="))}
    assert {*PICTURE.findall(PAGE.read_text("utf-8"))} <= drawn


def test_the_gallery_shows_what_commands_print_and_draw(tmp_path: Path) -> None:
    def run(commands: str, folder: Path) -> str:
        for name in re.findall(r"\w+\.png", PAGE.read_text("utf-8")):
            (folder / name).write_bytes(b"a picture")
        return f"printed by {commands.split()[-1]}"

    write_gallery(tmp_path / "gallery", run)
    page = (tmp_path / "gallery" / "index.md").read_text("utf-8")
    assert "printed by temperatures=1000" in page
    assert page.count("printed by") == 1
    assert sorted(PICTURE.findall(page)) == sorted(file.name for file in (tmp_path / "gallery").glob("*.png"))


def test_a_command_of_the_gallery_that_fails_stops_the_build(tmp_path: Path) -> None:
    assert gallery.run("echo $((1 + 1))", tmp_path) == "2\n"
    with pytest.raises(RuntimeError, match="no such thing"):
        gallery.run("echo no such thing; false; echo but", tmp_path)
