"""The command ``dbn-status``: how far a study is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_flag, check_number, check_text
from finetune.report.pages.status_data import status_data
from finetune.report.pages.study_status import status_text
from finetune.report.results.study_state import read_study_state


def main() -> None:
    """Console entry point."""
    run_command("status", _status, positional="path")


def _status(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_status(settings)
    path = Path(settings["path"])
    if settings["json"]:
        print(json.dumps(status_data(read_study_state(path)), indent=2, allow_nan=False))
    elif settings["watch"]:
        from finetune.report.pages.status_watch import watch  # here: rich's live display

        watch(path, float(settings["every"]))
    else:
        print(status_text(path))


def check_status(settings: Mapping[str, Any]) -> None:
    """Check the settings of dbn-status.

    Raises:
        SettingError: a setting is of the wrong type or out of range, or two exclude each other.
    """
    check_text("path", settings["path"], what="a study's folder")
    for key in ("watch", "json"):
        check_flag(key, settings[key])
    check_number("every", settings["every"], low=0, above=True)
    if settings["watch"] and settings["json"]:
        raise SettingError(
            "watch=true, json=true: data are printed once. Leave watch=true out, and call the command "
            "whenever you want to look."
        )


if __name__ == "__main__":
    main()
