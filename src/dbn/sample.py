"""The command ``dbn-sample``: a pretrained stack draws images, fills in missing pixels, or reconstructs."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_choice, check_list, check_number, check_text, format_value, optional, within
from dbn.use.check_settings import check_named, check_output, check_shared

SUFFIXES = (".png", ".npy", ".npz")
TASKS = ("draw", "fill", "reconstruct")
N, STEPS = 64, 1000


def main() -> None:
    """Console entry point."""
    run_command("sample", _sample)


def _sample(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_sample(settings)
    output = check_output(settings)
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from dbn.machine.subnormals import flush_subnormals
        from dbn.models.dbn import DBN
        from dbn.models.model_file import DBN_FILE
        from dbn.use.blocks import progress_bar
        from dbn.use.data_to_use import data_to_use
        from dbn.use.device import chosen_device
        from dbn.use.sampling import draw, fill, first_images, known_scaling, reconstruct
        from dbn.use.trained_run import TrainedRun

    flush_subnormals()
    run = TrainedRun.find(settings["stack"]["file"], DBN_FILE)
    stack = DBN.load(run.file, chosen_device(settings["device"]))
    task, seed = settings["task"]["name"], settings["seed"]
    n = N if settings["n"] is None else settings["n"]
    steps = STEPS if settings["steps"] is None else settings["steps"]
    if task != "draw" or output.suffix == ".png":
        known_scaling(stack)
    if task == "draw":
        with progress_bar("steps", steps, wanted=settings["progress"]) as advance:
            generated = draw(stack, n, steps, seed, advance)
    else:
        images = first_images(data_to_use(settings.get("data"), settings["split"], [run]), n)
        if task == "fill":
            with progress_bar("steps", steps, wanted=settings["progress"]) as advance:
                generated = fill(stack, images, settings["mask"], steps, seed, advance)
        else:
            generated = reconstruct(stack, images)
    generated.save(output)
    print(f"{len(generated.arrays[generated.main])} {generated.main.replace('filled', 'images filled in')}\n{output}")


def check_sample(settings: Mapping[str, Any]) -> None:
    """Check the settings of dbn-sample, except for the data's.

    Raises:
        SettingError: a setting is invalid, or has no meaning for the task.
    """
    check_named(settings, "stack", "file")
    check_text("stack.file", settings["stack"]["file"], what="a DBN file or a run's directory")
    check_named(settings, "task", "name")
    task = settings["task"]["name"]
    check_choice("task.name", task, TASKS)
    optional(within(low=1, whole=True))("n", settings["n"])
    optional(within(low=1, whole=True))("steps", settings["steps"])
    check_number("seed", settings["seed"], low=0, whole=True)
    optional(check_mask)("mask", settings["mask"])
    check_shared(settings, SUFFIXES)
    if task == "draw" and (settings.get("data") is not None or settings["split"] != "all"):
        raise SettingError(
            "data, split: task=draw takes no images. Use task=fill or task=reconstruct, or leave them away."
        )
    if task != "fill" and settings["mask"] is not None:
        raise SettingError(
            f"mask={format_value(settings['mask'])}: it is for task=fill. Leave it away, or add task=fill."
        )
    if task == "reconstruct" and settings["steps"] is not None:
        raise SettingError(f"steps={settings['steps']}: task=reconstruct draws nothing. Leave it away.")


def check_mask(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a picture's file, or top, left, height and width of a box."""
    if isinstance(value, str):
        check_text(key, value, what="a picture's file")
        return
    check_list(key, value)
    if len(value) != 4:
        raise SettingError(f"{key}={format_value(value)}: a box is written {key}=[top,left,height,width].")
    for place, number in zip(("top", "left", "height", "width"), value, strict=True):
        check_number(f"{key}: {place}", number, low=0 if place in ("top", "left") else 1, whole=True)


if __name__ == "__main__":
    main()
