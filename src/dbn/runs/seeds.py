"""Runs of several seeds that train together: their configurations, and the folder for what is theirs in common."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dbn.files import write_json
from dbn.runs.run import Run
from dbn.settings import check_number

LARGEST_GROUP = 10_000
"""Seeds that train together at most: each has a directory of its own."""


def by_seed(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The configuration of each of ``n_parallel_seeds`` seeds, from ``seed`` up.

    Raises:
        SettingError: ``seed`` or ``n_parallel_seeds`` is not a whole number that can be.
    """
    first, n = config["seed"], config["n_parallel_seeds"]
    check_number("seed", first, low=0, whole=True)
    check_number("n_parallel_seeds", n, low=1, high=LARGEST_GROUP, whole=True)
    return [{**config, "seed": seed} for seed in range(first, first + n)]


@contextmanager
def checkpoint_folder(runs: Sequence[Run]) -> Iterator[Path]:
    """Where checkpoints of a fit go: the run's directory, or one of several runs in common, gone when they are done.

    ``<runs>/<study>/together/<stage>_<name>_seed0-15`` has no result of its own: those are in the runs' directories.
    """
    directory, seeds = runs[0].directory, [run.seed for run in runs]
    if len(runs) == 1:
        yield directory
        return
    stage, name = directory.parent, directory.name.removesuffix(str(seeds[0]))
    folder = stage.parent / "together" / f"{stage.name}_{name}{ranges(seeds)}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # there are others
        folder.parent.rmdir()


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in few words: ``0-2_5_7-9``."""
    words: list[list[int]] = []
    for number in numbers:
        if words and number == words[-1][-1] + 1:
            words[-1].append(number)
        else:
            words.append([number])
    return "_".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in words)


SEEDS = "seeds.json"
"""In a folder of checkpoints: the seeds that train together, in their order."""


def seeds_to_resume(checkpoints: Path | None, seeds: Sequence[int], among: Sequence[int]) -> list[int]:
    """The seeds to train together: ``seeds``, or those of an interrupted fit whose checkpoints are there.

    A checkpoint holds all members of its fit, of which some may have been finished before the interruption. One whose
    members are not all at hand any more is of no use, and is deleted.

    Args:
        checkpoints: folder of the fit's checkpoints; None where none are kept.
        seeds: those that are not finished, of which there is at least one.
        among: those that could take part.
    """
    if checkpoints is None:
        return list(seeds)
    file = checkpoints / SEEDS
    if file.is_file():
        kept: list[int] = json.loads(file.read_text(encoding="utf-8"))
        if set(kept) <= set(among):
            return kept
        shutil.rmtree(checkpoints)
    if len(among) > 1:
        write_json(file, list(seeds))
    return list(seeds)
