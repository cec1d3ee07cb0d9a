"""Copies of one arm as contenders of both sides: the check that the report claims nothing where there is nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from finetune.report.results.run_result import RunResult


def as_contenders(runs: Sequence[RunResult]) -> list[RunResult]:
    """Runs of ``sweep=aa`` as runs of pretrained and random arms; all other runs as they are.

    Their configuration says ``copy: {side: pretrained, first_seed: 10}``: the copy counts as an arm of that side, and
    its seeds from 0, so that copies are paired, chosen from and judged as arms are.
    """
    return [_as_contender(run) for run in runs]


def _as_contender(run: RunResult) -> RunResult:
    stated = run.config.get("copy")
    if not isinstance(stated, Mapping) or stated.get("side") not in ("pretrained", "random"):
        return run
    return replace(run, kind=stated["side"], seed=run.seed - int(stated.get("first_seed", 0)))
