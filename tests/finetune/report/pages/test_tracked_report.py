"""A study's report in Weights & Biases: page, every table, every figure and the runs, in one run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from fake_study import FakeStudy
from numpy.typing import NDArray

from dbn.runs.tracking import tracking
from finetune.report import write_report
from finetune.report.comparison.axes import Axis
from offline_runs import offline_runs, records

OFFLINE = {"project": "dbn", "entity": None, "tags": [], "mode": "offline"}


def test_page_tables_figures_and_runs_are_in_one_run(
    study: FakeStudy, along_labels: tuple[Axis, dict[tuple[str, int], NDArray[np.float64]]]
) -> None:
    folder = study.directory
    for seed in (0, 1):
        (folder / f"finetune/dbn_100_seed{seed}" / "wandb_id").write_text(f"id{seed}\n")
    report = write_report(folder)
    assert report.figures
    described: dict[str, Any] = {"study": "toy", "stage": "report", "name": "toy_report", "tags": [], "config": {}}
    for _ in range(2):  # a sweep that is called again writes its report again
        with tracking(folder, OFFLINE, **described) as tracker:
            tracker.log_report(report.html, report.tables, report.figures)
    parts = offline_runs(folder)
    assert len(parts) == 2
    for part in parts:
        found = records(part)
        (run,) = (record["run"] for record in found if record["type"] == "run")
        assert (run["job_type"], run["run_group"]) == ("report", "toy")
        assert run["run_id"] == (folder / "wandb_id").read_text()
        (row,) = (record["history"]["item"] for record in found if record["type"] == "history")
        logged = {name.removesuffix("._type") for name in row if name.endswith("._type")}
        tables = {f"tables/{title}" for title in (*report.tables, "runs")}
        assert logged == {"report", *tables, *(f"figures/{title}" for title in report.figures)}
        assert content(part, row["report.path"]) == report.html.read_text()
        for title, figure in report.figures.items():
            assert content(part, row[f"figures/{title}.path"]) == figure
        for title, (heads, rows) in report.tables.items():
            table = json.loads(content(part, row[f"tables/{title}.path"]))
            assert table == {"columns": list(heads), "data": [list(cells) for cells in rows]}
        runs = json.loads(content(part, row["tables/runs.path"]))
        assert runs["data"] == [["finetune", f"dbn_100_seed{seed}", f"id{seed}"] for seed in (0, 1)]


def content(part: Path, name: str) -> str:
    """Of a file that a part refers to."""
    return (part / "files" / name).read_text(encoding="utf-8")
