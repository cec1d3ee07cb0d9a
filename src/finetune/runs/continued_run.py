"""Training for more epochs than a completed run, in a new run that starts from its last checkpoint."""

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from dbn.errors import SettingError
from dbn.files import replacing, write_bytes
from dbn.fitting.checkpoints import LAST
from dbn.fitting.metrics_tail import METRICS
from dbn.fitting.processes import wait_for_all
from dbn.fitting.ranks import is_first
from dbn.runs.identity import run_identity
from dbn.runs.run import CONFIG, RENAME_ADVICE, Difference, differences_of, read_result

MAY_DIFFER = frozenset({"base_name", "continue_from", "name", "study", "training.epochs", "training.patience"})
"""Settings in which a run may differ from the run that it continues."""


@dataclass(frozen=True)
class Earlier:
    """A completed run to continue from.

    Attributes:
        directory: of the run.
        epochs: number of epochs it was trained for.
    """

    directory: Path
    epochs: int


def earlier_run(config: Mapping[str, Any]) -> Earlier | None:
    """The run that ``continue_from`` names; None if that is not set.

    Raises:
        SettingError: there is no such run, it is not complete, was trained together with others, differs in other
            settings, or has as many epochs already.
    """
    if config["continue_from"] is None:
        return None
    directory = Path(config["continue_from"]).expanduser()
    where = f"continue_from={config['continue_from']}"
    if not (directory / CONFIG).is_file():
        raise SettingError(
            f"{where}: there is no run. Give the directory of one, such as runs/default/finetune/dbn_seed0."
        )
    result = read_result(directory)
    if result is None:
        raise SettingError(f"{where}: this run is not done. Complete it first, with the command that started it.")
    if config["n_parallel_seeds"] != 1:
        raise SettingError(
            f"{where}, n_parallel_seeds={config['n_parallel_seeds']}: a run continues a single other run. Use "
            "n_parallel_seeds=1, and the seed of that run."
        )
    if not (directory / "checkpoints" / f"{LAST}.ckpt").is_file():
        raise SettingError(
            f"{where}: checkpoints/{LAST}.ckpt is missing: runs that train together do not keep it when they are done. "
            "Train that run alone (n_parallel_seeds=1), then continue it."
        )
    stored = yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8"))
    differences = differences_of(run_identity(stored), run_identity(config))
    if others := [difference for difference in differences if difference[0] not in MAY_DIFFER]:
        key, old, new = others[0]
        raise SettingError(
            f"{where}: that run has {key}={old}, this one {key}={new}. A run may differ from the one it continues only "
            f"in {', '.join(sorted(MAY_DIFFER))}. Use {key}={old}."
        )
    epochs = int(result["epochs"])
    if config["training"]["epochs"] <= epochs:
        raise SettingError(
            f"training.epochs={config['training']['epochs']}: {directory} was trained for {epochs} epochs already. "
            "Give the number of all epochs, those before included."
        )
    return Earlier(directory, epochs)


def copy_checkpoint(earlier: Earlier, directory: Path, *, fresh_schedule: bool) -> None:
    """Copy checkpoints and metrics of a completed run into a new run's directory, unless that has a checkpoint.

    Args:
        earlier: the completed run, which is not changed.
        directory: of the new run.
        fresh_schedule: remove the state of the learning-rate schedule, which then starts again.
    """
    last = directory / "checkpoints" / f"{LAST}.ckpt"
    if is_first() and not last.is_file():
        for name in (METRICS, "checkpoints/best.ckpt"):
            if (earlier.directory / name).is_file():
                with replacing(directory / name) as temporary:
                    shutil.copyfile(earlier.directory / name, temporary)
        checkpoint = torch.load(earlier.directory / "checkpoints" / last.name, map_location="cpu", weights_only=True)
        if fresh_schedule:
            checkpoint["lr_schedulers"] = []
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(last, content.getbuffer())
    wait_for_all()


def advice(config: Mapping[str, Any], directory: Path, differences: Sequence[Difference]) -> str:
    """Advice if a directory holds a run with other settings: rename; continue if only more epochs are asked for."""
    changed = {key: (old, new) for key, old, new in differences}
    if changed.keys() == {"data.split_seed"}:
        split = changed["data.split_seed"][0]
        return f"To go on in this study, whose seeds do not draw the split: data.split_seed={split}."
    old, new = changed.get("training.epochs", (0, 0))
    done = read_result(directory)
    if done is None or not changed.keys() <= MAY_DIFFER or new <= old:
        return RENAME_ADVICE
    return (
        f"To train it further, in a run of its own, add: continue_from={directory} "
        f"name={config['name']}_{new}_epochs. To train anew, give this run a name of its own (name=...) or another "
        "study (study=...)."
    )
