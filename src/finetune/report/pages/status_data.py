"""How far a study is, as data: what ``dbn-status json=true`` prints."""

import time
from pathlib import Path
from typing import Any

from finetune.report.results.study_state import RunState, StudyState

SCHEMA = 1
"""Grows when a key goes or changes its meaning; new keys may come without."""


def status_data(state: StudyState) -> dict[str, Any]:
    """A study's state in types of JSON. Unknown values are None.

    Keys:
        schema: 1.
        study, directory: its name and absolute path.
        time: of looking, in seconds since 1970.
        over: whether nothing is at work on it and no job of it waits.
        counts: number of runs by state (``done, running, pending, failed, damaged, unfinished, missing``), stacks not
            among them.
        stacks: number of stacks pretrained.
        seconds_done: what is done took, pretraining included.
        seconds_left: of fine-tuning not done, in one process.
        checkout, submitted: state of the code here, and when the study was submitted: ``{commit, dirty}``.
        checkout_code, submitted_code: hashes of that code.
        code: ``[{commit, dirty, code, runs}]``, the number of runs made by each state of the code, and its hash.
        slurm: ``{running, pending: {reason: number}, unknown}``; ``unknown`` says why nothing is known of the queue.
        runs: for each run and stack the fields of :class:`finetune.report.results.study_state.RunState`; ``git`` is
            ``{commit, dirty}``, error rates are fractions.
    """
    return {
        "schema": SCHEMA,
        "study": state.name,
        "directory": str(state.directory.absolute()),
        "time": time.time(),
        "over": state.is_over,
        "counts": state.counts,
        "stacks": sum(run.stage == "pretrain" and run.state == "done" for run in state.runs),
        "seconds_done": state.seconds_done,
        "seconds_left": state.seconds_left,
        "checkout": None if state.checkout is None else dict(state.checkout),
        "submitted": None if state.submitted is None else dict(state.submitted),
        "checkout_code": state.checkout_code or None,
        "submitted_code": state.submitted_code or None,
        "code": [
            {"commit": code.commit, "dirty": code.dirty, "code": code.name or None, "runs": n}
            for code, n in state.codes().items()
        ],
        "slurm": {
            "running": sum(not job.waits for job in state.queue.jobs.values()),
            "pending": state.queue.reasons(),
            "unknown": state.queue.unknown,
        },
        "runs": [_run(run) for run in state.runs],
    }


def _run(run: RunState) -> dict[str, Any]:
    return {
        "stage": run.stage or None,
        "name": run.name or None,
        "seed": run.seed if run.seed >= 0 else None,
        "state": run.state,
        "label": run.label,
        "directory": _path(run.directory),
        "arm": run.arm or None,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "metric": run.metric or None,
        "value": run.value,
        "seconds": run.seconds,
        "seconds_left": run.seconds_left,
        "message": run.message or None,
        "log": _path(run.log),
        "job": run.job,
        "host": run.host,
        "reason": run.reason or None,
        "command": run.command,
        "git": None if run.git is None else {"commit": run.git.get("commit"), "dirty": bool(run.git.get("dirty"))},
        "code": run.code or None,
        "code_before": list(run.code_before),
    }


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
