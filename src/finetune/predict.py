"""The command ``dbn-predict``: classes and probabilities of images by a trained network, as a CSV file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_text, optional
from dbn.use.check_settings import check_model, check_named, check_output, check_shared

SUFFIXES = (".csv",)


def main() -> None:
    """Console entry point."""
    run_command("predict", _predict)


def _predict(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_predict(settings)
    output = check_output(settings)
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from dbn.machine.subnormals import flush_subnormals
        from dbn.use.data_to_use import data_to_use
        from dbn.use.device import chosen_device
        from dbn.use.trained_run import TrainedRun
        from finetune.networks.network import Network
        from finetune.networks.network_file import NETWORK_FILE
        from finetune.use.ensemble import Ensemble, runs_of_arm
        from finetune.use.predicting import predict_to_csv

    flush_subnormals()
    device = chosen_device(settings["device"])
    paths = [settings["run"]]
    if settings["ensemble"] is not None:
        paths = runs_of_arm(Path(settings["ensemble"]).expanduser(), settings["arm"]["name"])
    runs = [TrainedRun.find(path, NETWORK_FILE) for path in paths]
    ensemble = Ensemble([Network.load(run.file, device) for run in runs])
    data = data_to_use(settings.get("data"), settings["split"], runs)
    summary = predict_to_csv(ensemble, data, output, progress=settings["progress"])
    by = f" by {len(runs)} networks" if len(runs) > 1 else ""
    print(f"{summary.text(is_autoencoder=ensemble.meaning.task == 'autoencoder')}{by}\n{output}")


def check_predict(settings: Mapping[str, Any]) -> None:
    """Check the settings of dbn-predict, except for the data's.

    Raises:
        SettingError: a setting is invalid, or contradicts another.
    """
    check_model(settings, "run", "ensemble")
    check_named(settings, "arm", "name")
    optional(check_text)("arm.name", settings["arm"]["name"])
    if settings["arm"]["name"] is not None and settings["ensemble"] is None:
        raise SettingError(
            f"arm.name={settings['arm']['name']}: it chooses the runs of an ensemble. Give ensemble=runs/..."
        )
    check_shared(settings, SUFFIXES)


if __name__ == "__main__":
    main()
