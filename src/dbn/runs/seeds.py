"""Runs of several seeds that train together: their configurations, and the folder of their shared checkpoints."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dbn.data import DataSet
from dbn.data.images import ImageSet
from dbn.data.split_settings import split_seed_of
from dbn.files import write_json
from dbn.runs.run import Run
from dbn.settings import check_number

log = logging.getLogger(__name__)

LARGEST_GROUP = 10_000
"""Largest number of seeds that train together; each has its own directory."""


def by_seed(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The configuration of each of ``n_parallel_seeds`` seeds, from ``seed`` up.

    Where ``data.split_seed`` is null, a seed also draws the split: it is set to the seed.

    Raises:
        SettingError: ``seed`` or ``n_parallel_seeds`` is invalid.
    """
    first, n = config["seed"], config["n_parallel_seeds"]
    check_number("seed", first, low=0, whole=True)
    check_number("n_parallel_seeds", n, low=1, high=LARGEST_GROUP, whole=True)
    return [with_split({**config, "seed": seed}) for seed in range(first, first + n)]


def with_split(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of one seed with a number as ``data.split_seed``, so that runs state it."""
    if not isinstance(config.get("data"), Mapping):
        return dict(config)
    return {**config, "data": {**config["data"], "split_seed": split_seed_of(config)}}


def in_equal_parts(runs: Sequence[Run], data: Sequence[DataSet], others: Sequence[ImageSet] = ()) -> list[slice]:
    """Consecutive runs whose data sets have as many training and validation images: only such can train together.

    Splits that keep groups of images whole (all pictures of a person, all copies of a picture) differ in size.

    Args:
        runs: of all seeds of a configuration.
        data: data set of each.
        others: further images of each, whose numbers must be equal as well; empty if there are none.
    """
    sizes = [(len(own.train), len(own.validation), len(others[k]) if others else 0) for k, own in enumerate(data)]
    starts = [k for k in range(len(runs)) if k == 0 or sizes[k] != sizes[k - 1]]
    if len(starts) > 1:
        log.info(
            "data=%s: splits of different seeds have different numbers of images (%d to %d to train on), so %d seeds "
            "train in %d parts.", data[0].name, min(sizes)[0], max(sizes)[0], len(runs), len(starts),
        )  # fmt: skip
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(runs)], strict=True)]


@contextmanager
def checkpoint_folder(runs: Sequence[Run]) -> Iterator[Path]:
    """Folder for a fit's checkpoints: the run's directory; for several runs a shared one, deleted when they are done.

    The shared folder is ``<runs>/<study>/together/<stage>_<name>_seed0-15``; results are in the runs' directories.
    """
    directory, seeds = runs[0].directory, [run.seed for run in runs]
    if len(runs) == 1:
        yield directory
        return
    stage, name = directory.parent, directory.name.removesuffix(str(seeds[0]))
    folder = stage.parent / "together" / f"{stage.name}_{name}{ranges(seeds)}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not empty
        folder.parent.rmdir()


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as text with ranges, ``0-2_5_7-9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "_".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


SEEDS = "seeds.json"
"""File in a folder of checkpoints: the seeds that train together, in order."""


def seeds_to_resume(checkpoints: Path | None, seeds: Sequence[int], among: Sequence[int]) -> list[int]:
    """The seeds to train together: ``seeds``, or those of an interrupted fit with checkpoints.

    A checkpoint holds all members of its fit, some of which may be finished. It is deleted if not all of its members
    are ``among`` the given seeds, since it cannot be resumed then.

    Args:
        checkpoints: folder of the fit's checkpoints; None: no checkpoints.
        seeds: seeds that are not finished, at least one.
        among: all seeds of the configuration.
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
