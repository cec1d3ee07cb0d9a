"""The command ``dbn-report``: a study's results as a page, tables and a CSV file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_text, choice, optional, within
from finetune.report.comparison.family import MIN_SEEDS
from finetune.report.pages.overview_page import write_overview
from finetune.report.pages.report_files import write_report
from finetune.report.results.study import find_studies


def main() -> None:
    """Console entry point."""
    run_command("report", _report, positional="path")


def _report(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_report(settings)
    path = Path(settings["path"])
    output = None if settings["output"] is None else Path(settings["output"])
    latex = settings["format"] == "latex"
    if find_studies(path):
        own = ", ".join(
            f"{key}={settings[key]}" for key in ("reference", "metric", "max_seeds") if settings[key] is not None
        )
        if own:
            raise SettingError(
                f"{own}: {path} holds several studies. Give such settings with the directory of one of them."
            )
        overview = write_overview(path, output, margin=settings["margin"], latex=latex)
        print(f"{overview.text}\n\nreport: {overview.html}")
        return
    report = write_report(
        path, reference=settings["reference"], metric=settings["metric"], output=output, margin=settings["margin"],
        max_seeds=settings["max_seeds"], latex=latex,
    )  # fmt: skip
    print(report.text)
    print(f"\nreport: {report.html}\ntable:  {report.table}\ncsv:    {report.csv}")
    if report.chosen is not None:
        print(f"chosen: {report.chosen}")
    for file in report.latex:
        print(f"latex:  {file}")


def check_report(settings: Mapping[str, Any]) -> None:
    """Check the types of dbn-report's settings.

    Raises:
        SettingError: a setting is of the wrong type or out of range, or the path is not given.
    """
    check_text("path", settings["path"], what="a study's folder")
    for key in ("reference", "metric", "output"):
        optional(check_text)(key, settings[key])
    optional(choice("latex"))("format", settings["format"])
    optional(within(low=0, above=True))("margin", settings["margin"])
    optional(within(low=MIN_SEEDS, whole=True))("max_seeds", settings["max_seeds"])


if __name__ == "__main__":
    main()
