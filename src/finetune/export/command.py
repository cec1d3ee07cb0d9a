"""The command ``dbn-export``: a trained network in a format that other software reads, with a model card."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.settings import check_flag, check_text, choice, optional


def main() -> None:
    """Console entry point."""
    run_command("export", _export, positional="run")


def _export(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_export(settings)
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from finetune.export.export import export_network

    exported = export_network(
        settings["run"], settings["output"], format=settings["format"], dtype=settings["dtype"],
        license=settings["license"], overwrite=settings["overwrite"],
    )  # fmt: skip
    print(f"network:    {exported.network}\nmodel card: {exported.card}")


def check_export(settings: Mapping[str, Any]) -> None:
    """Check the types of dbn-export's settings.

    Raises:
        SettingError: a setting is of the wrong type.
    """
    check_text("run", settings["run"], what="a run's folder or a network's file")
    choice("onnx", "torch_export")("format", settings["format"])
    choice("float32", "uint8")("dtype", settings["dtype"])
    optional(check_text)("output", settings["output"])
    optional(check_text)("license", settings["license"])
    check_flag("overwrite", settings["overwrite"])


if __name__ == "__main__":
    main()
