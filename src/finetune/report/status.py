"""The command ``dbn-status``: how far a study is."""

from pathlib import Path

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.texts import with_texts
from dbn.settings import check_text
from finetune.report.pages.study_status import status_text


def main() -> None:
    """Console entry point."""
    run_command("status", _status, positional="path")


def _status(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_text("path", settings["path"], what="a study's folder")
    print(status_text(Path(settings["path"])))


if __name__ == "__main__":
    main()
