"""The command ``dbn-sample``: a pretrained stack draws, fills in, reconstructs, or shows what its units look for."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_choice, check_list, check_number, check_text, format_value, optional, within
from dbn.use.check_settings import check_named, check_output, check_shared

if TYPE_CHECKING:
    from dbn.use.sampling import Generated
    from dbn.use.table_sampling import GeneratedTable

SUFFIXES = (".png", ".npy", ".npz", ".csv")
TASKS = ("draw", "fill", "reconstruct", "features")
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
        from dbn.models.class_rbm import stack_given_label
        from dbn.models.dbm import DBM
        from dbn.models.dbm_layer import is_of_dbm
        from dbn.models.dbn import DBN
        from dbn.models.model_file import DBN_FILE
        from dbn.use.blocks import progress_bar
        from dbn.use.data_to_use import data_to_use
        from dbn.use.device import chosen_device
        from dbn.use.feature_sheet import features_of
        from dbn.use.sampling import draw, fill, first_images, known_scaling, reconstruct
        from dbn.use.table_sampling import draw_rows, fill_rows, reconstruct_rows
        from dbn.use.trained_run import TrainedRun

    flush_subnormals()
    run = TrainedRun.find(settings["stack"]["file"], DBN_FILE)
    stack = DBN.load(run.file, chosen_device(settings["device"]))
    if settings["label"] is not None:
        stack = stack_given_label(stack, settings["label"])
    model = DBM.of_stack(stack) if is_of_dbm(list(stack.layers)) else stack
    columns = None if stack.scaling is None else stack.scaling.columns
    check_kind(settings, output, is_table=columns is not None)
    task, seed, n = settings["task"]["name"], settings["seed"], settings["n"]
    steps = STEPS if settings["steps"] is None else settings["steps"]
    if task == "features":
        features = features_of(stack, n or N)
        features.save(output)
        print(f"{len(features)} {features.what}\n{output}")
        return
    data = None
    if task != "draw" or output.suffix == ".png":
        known_scaling(stack)
    if task != "draw":
        data = data_to_use(settings.get("data"), settings["split"], [run], columns)
    generated: Generated | GeneratedTable
    with progress_bar("steps", steps, wanted=settings["progress"] and task != "reconstruct") as advance:
        if data is None:
            generated = (draw if columns is None else draw_rows)(model, n or N, steps, seed, advance)
        elif columns is None:
            images = first_images(data, n or N)
            fills = task == "fill"
            generated = (
                fill(model, images, settings["mask"], steps, seed, advance) if fills else reconstruct(model, images)
            )
        else:
            fills = task == "fill"
            generated = fill_rows(stack, data, n, steps, seed, advance) if fills else reconstruct_rows(model, data, n)
    generated.save(output)
    print(f"{len(generated)} {generated.what}\n{output}")


def check_kind(settings: Mapping[str, Any], output: Path, *, is_table: bool) -> None:
    """Check what depends on whether the stack was pretrained on a table.

    Raises:
        SettingError: pictures are asked of a table, or a table of pictures.
    """
    if is_table and settings["task"]["name"] == "features":
        raise SettingError("task=features: the stack was pretrained on a table, whose columns make no pictures.")
    if is_table and output.suffix != ".csv":
        raise SettingError(
            f"output={output}: the stack was pretrained on a table, whose rows are no pictures. Give a CSV file, "
            f"output={output.with_suffix('.csv')}."
        )
    if not is_table and output.suffix == ".csv":
        raise SettingError(
            f"output={output}: CSV is for stacks that were pretrained on a table. Use {', '.join(SUFFIXES[:-1])}."
        )
    if is_table and settings["mask"] is not None:
        raise SettingError(
            f"mask={format_value(settings['mask'])}: it is for pictures. Leave the cells of the table empty that are "
            "to be filled in."
        )


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
    optional(within(low=0, whole=True))("label", settings["label"])
    optional(check_mask)("mask", settings["mask"])
    check_shared(settings, SUFFIXES)
    if task in ("draw", "features") and (settings.get("data") is not None or settings["split"] != "all"):
        raise SettingError(
            f"data, split: task={task} takes no images. Use task=fill or task=reconstruct, or leave them away."
        )
    if task == "features" and Path(settings["output"]).suffix not in (".png", ".npz"):
        raise SettingError(f"output={settings['output']}: features are written as .png or .npz.")
    if task != "fill" and settings["mask"] is not None:
        raise SettingError(
            f"mask={format_value(settings['mask'])}: it is for task=fill. Leave it away, or add task=fill."
        )
    if task in ("reconstruct", "features") and settings["label"] is not None:
        raise SettingError(
            f"label={settings['label']}: task={task} draws nothing. Leave it away, or use task=draw or task=fill."
        )
    if task in ("reconstruct", "features") and settings["steps"] is not None:
        raise SettingError(f"steps={settings['steps']}: task={task} draws nothing. Leave it away.")


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
