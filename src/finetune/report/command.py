"""The command ``dbn-report``: a study's results as a page, a table and a CSV file."""

from pathlib import Path

from omegaconf import DictConfig

from dbn.command import plain, run_command
from finetune.report.write import write_report


def main() -> None:
    """Console entry point."""
    run_command("report", _report, positional="path")


def _report(config: DictConfig) -> None:
    settings = plain(config)
    report = write_report(Path(settings["path"]), reference=settings["reference"], metric=settings["metric"])
    print(report.text)
    print(f"\nreport: {report.html}\ntable:  {report.table}\ncsv:    {report.csv}")


if __name__ == "__main__":
    main()
