"""The command ``dbn-features``: features of a layer of a trained network or stack, as an array or a table."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.settings import optional, within
from dbn.use.check_settings import check_model, check_named, check_output, check_shared

SUFFIXES = (".npy", ".npz", ".csv")


def main() -> None:
    """Console entry point."""
    run_command("features", _features)


def _features(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_features(settings)
    output = check_output(settings)
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from dbn.machine.subnormals import flush_subnormals
        from dbn.models.dbn import DBN
        from dbn.models.model_file import DBN_FILE
        from dbn.use.data_to_use import data_to_use
        from dbn.use.device import chosen_device
        from dbn.use.trained_run import TrainedRun
        from finetune.networks.network import Network
        from finetune.networks.network_file import NETWORK_FILE
        from finetune.use.extracting import Features, write_features

    flush_subnormals()
    device = chosen_device(settings["device"])
    if settings["run"] is not None:
        run = TrainedRun.find(settings["run"], NETWORK_FILE)
        features = Features(Network.load(run.file, device), settings["layer"])
    else:
        run = TrainedRun.find(settings["stack"]["file"], DBN_FILE)
        features = Features(DBN.load(run.file, device), settings["layer"])
    data = data_to_use(settings.get("data"), settings["split"], [run])
    n, n_features = write_features(features, data, output, progress=settings["progress"])
    print(f"{n} images, {n_features} features each\n{output}")


def check_features(settings: Mapping[str, Any]) -> None:
    """Check the settings of dbn-features, except for the data's.

    Raises:
        SettingError: a setting is invalid, or contradicts another.
    """
    check_named(settings, "stack", "file")
    check_model(settings, "run", "stack.file")
    optional(within(low=0, whole=True))("layer", settings["layer"])
    check_shared(settings, SUFFIXES)


if __name__ == "__main__":
    main()
