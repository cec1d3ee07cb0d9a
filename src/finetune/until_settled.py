"""Seeds until a study is settled: batches of jobs, and after each a look at the study's report.

A look that finds a winner ends the study; its level is what alpha spending leaves to it, and every look is recorded
before the next seeds are trained. Results are read from the runs' directories, so that a study that was interrupted
goes on where it was.
"""

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.errors import UserError
from finetune.halving import Launch, directory_of
from finetune.report.comparison.headline import decide_headline
from finetune.report.pages.report_files import write_report
from finetune.seed_batches import SeedBatches, batch_job
from finetune.sweep import Job, composer, jobs_in, jobs_of, plan_jobs

log = logging.getLogger(__name__)


def grow(config: DictConfig, options: SeedBatches, launch: Launch) -> None:
    """Train the jobs of a multirun with more and more seeds.

    Args:
        config: of the multirun, with Hydra's own.
        options: numbers of seeds.
        launch: runs a batch of jobs.

    Raises:
        Exception: the error of a job of a batch of which no job succeeded.
    """
    compose = composer()
    composed = [(job, compose(tuple(job))) for job in jobs_in(config)]
    for start, end in pairwise([0, *options.looks]):
        batch = [batch_job(job, its_config, start, end) for job, its_config in composed]
        jobs = [job for overrides in batch for job in jobs_of(overrides, compose)]
        plan_jobs(jobs)
        records = launch(batch)
        if records and not any((directory_of(job) / "result.json").is_file() for job in jobs):
            _ = records[0].return_value
        if end < options.max_seeds and is_settled(jobs, options.max_seeds):
            log.info("Settled with %d seeds.", end)
            return
        log.info("%d of at most %d seeds.", end, options.max_seeds)


def is_settled(jobs: Sequence[Job], max_seeds: int) -> bool:
    """Look at the studies of jobs; whether each of their sections has a winner."""
    margins = {job.study: job.margin for job in jobs}
    looked = [_has_winners(study, margin, max_seeds) for study, margin in margins.items()]  # every study is looked at
    return all(looked)


def _has_winners(study: Path, margin: Any, max_seeds: int) -> bool:
    try:
        report = write_report(study, margin=margin, max_seeds=max_seeds)
    except UserError as error:
        log.warning("%s: no look. %s", study, error)
        return False
    return all(decide_headline(section) in ("pretrained", "random") for section in report.sections)
