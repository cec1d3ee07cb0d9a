"""The command ``dbn-report``: a study's results as a page, tables and a CSV file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.runs.wandb_settings import check_wandb
from dbn.settings import check_table, check_text, choice, optional, within
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.results.archive import SUFFIX, is_archive, unpack, write_archive
from finetune.report.results.study import find_studies


def main() -> None:
    """Console entry point."""
    run_command("report", _report, positional="path")


def _report(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_report(settings)
    path = Path(settings["path"])
    # Here: matplotlib, pandas and scipy, which --help and an invalid command line have no use for.
    from finetune.report.pages.overview_page import write_overview
    from finetune.report.pages.report_files import write_report

    output = None if settings["output"] is None else Path(settings["output"])
    wandb = settings["logger"]["wandb"]
    latex = settings["format"] == "latex"
    if find_studies(path):
        own = ", ".join(
            f"{key}={settings[key]}"
            for key in ("reference", "metric", "max_seeds", "archive")
            if settings[key] is not None
        ) or ("logger=wandb" if wandb is not None else "")
        if own:
            raise SettingError(
                f"{own}: {path} holds several studies. Give such settings with the directory of one of them."
            )
        overview = write_overview(path, output, margin=settings["margin"], latex=latex)
        print(f"{overview.text}\n\nreport: {overview.html}")
        return
    if is_archive(path):
        if output is None:
            raise SettingError(
                f"output=null: {path} is an archive. Say where to unpack it: dbn-report {path} output=runs"
            )
        path, output = unpack(path, output), None
    report = write_report(
        path, reference=settings["reference"], metric=settings["metric"], output=output, margin=settings["margin"],
        max_seeds=settings["max_seeds"], latex=latex,
    )  # fmt: skip
    if settings["archive"] is not None:
        write_archive(path, Path(settings["archive"]))
    if wandb is not None:
        from finetune.report.pages.tracked_report import track_report

        track_report(path, report, wandb)
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
    for key in ("reference", "metric", "output", "archive"):
        optional(check_text)(key, settings[key])
    if settings["archive"] is not None and not is_archive(Path(settings["archive"])):
        raise SettingError(f"archive={settings['archive']}: an archive's name ends in {SUFFIX}.")
    check_table("logger", settings["logger"], {"wandb": optional(check_wandb)}, needed=["wandb"])
    elsewhere = settings["output"] is not None and not is_archive(Path(settings["path"]))
    if settings["logger"]["wandb"] is not None and elsewhere:
        raise SettingError(
            f"output={settings['output']}: logger=wandb keeps the report's run in the study's own directory. Leave one "
            "of them out."
        )
    optional(choice("latex"))("format", settings["format"])
    optional(within(low=0, above=True))("margin", settings["margin"])
    optional(within(low=MIN_SEEDS, whole=True))("max_seeds", settings["max_seeds"])


if __name__ == "__main__":
    main()
