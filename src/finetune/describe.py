"""The command ``dbn-describe``: layers, shapes, parameters and cost of a network."""

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing


def main() -> None:
    """Console entry point."""
    run_command("describe", _describe)


def _describe(config: DictConfig) -> None:
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from finetune.runs.description import describe, show

    show(describe(resolve_config(config)))


if __name__ == "__main__":
    main()
