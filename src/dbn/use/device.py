"""The device that a trained model is applied on."""

import torch

from dbn.errors import SettingError


def chosen_device(wanted: str) -> torch.device:
    """The device of ``device=auto|cpu|cuda``; ``auto`` is a GPU where there is one.

    Raises:
        SettingError: ``cuda`` where there is none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingError("device=cuda: torch finds no GPU here. Use device=cpu, or auto.")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")
