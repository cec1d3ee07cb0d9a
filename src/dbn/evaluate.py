"""The command ``dbn-evaluate``: likelihoods of a pretrained stack, its samples, or how its chains mix."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dbn.commands.command import run_command
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.commands.texts import with_texts
from dbn.errors import SettingError
from dbn.settings import check_choice, check_number, check_text, optional, within
from dbn.use.check_settings import check_named, check_output, check_shared

SUFFIXES = (".json", ".csv")
FIGURES = (".svg", ".png", ".pdf")


def main() -> None:
    """Console entry point."""
    run_command("evaluate", _evaluate)


def _evaluate(config: DictConfig) -> None:
    settings = with_texts(resolve_config(config))
    check_evaluate(settings)
    mixes = settings["chains"] is not None
    output = check_output(settings)
    figure = check_output(settings, "figure") if mixes else None
    with importing():  # here: torch, which --help and an invalid command line have no use for
        from dbn.machine.subnormals import flush_subnormals
        from dbn.models.dbm_layer import is_of_dbm
        from dbn.models.dbn import DBN
        from dbn.models.model_file import DBN_FILE
        from dbn.use.dbm_evaluation import evaluate_dbm
        from dbn.use.device import chosen_device
        from dbn.use.evaluation import evaluate_likelihood
        from dbn.use.evaluation_settings import EvaluationSettings
        from dbn.use.mixing_evaluation import evaluate_mixing
        from dbn.use.states_to_evaluate import states_to_evaluate
        from dbn.use.trained_run import TrainedRun

    flush_subnormals()
    run = TrainedRun.find(settings["stack"]["file"], DBN_FILE)
    stack = DBN.load(run.file, chosen_device(settings["device"]))
    states = states_to_evaluate(
        stack, run, settings.get("data"), settings["split"], settings["n"], settings["binarise"], settings["seed"],
        with_training=not mixes,
    )  # fmt: skip
    of_likelihood = evaluate_dbm if is_of_dbm(list(stack.layers)) else evaluate_likelihood
    evaluate = evaluate_mixing if mixes else of_likelihood
    found = evaluate(stack, states, EvaluationSettings.of(settings), progress=settings["progress"])
    found.save(output)
    if figure is not None:
        found.save_figure(figure)
    found.print()
    print("\n".join(str(path) for path in (output, figure) if path is not None))


def check_evaluate(settings: Mapping[str, Any]) -> None:
    """Check the settings of dbn-evaluate, except for the data's.

    Raises:
        SettingError: a setting is invalid.
    """
    check_named(settings, "stack", "file")
    check_text("stack.file", settings["stack"]["file"], what="a DBN file or a run's directory")
    optional(within(low=2, whole=True))("chains", settings["chains"])
    lowest = {
        "n": 10, "temperatures": 2, "annealing_chains": 10, "bound_samples": 1, "samples": 0, "steps": 8, "modes": 2,
        "seed": 0,
    }  # fmt: skip
    for key, low in lowest.items():
        check_number(key, settings[key], low=low, whole=True)
    if 0 < settings["samples"] < 10:
        raise SettingError(
            f"samples={settings['samples']}: so few say nothing. Draw at least 10, or none by samples=0."
        )
    check_choice("binarise", settings["binarise"], ("sample", "threshold"))
    check_choice("pseudo_likelihood", settings["pseudo_likelihood"], ("stochastic", "exact"))
    check_text("figure", settings["figure"], what="a file")
    if Path(settings["figure"]).suffix not in FIGURES:
        raise SettingError(f"figure={settings['figure']}: the name must end in {' or '.join(FIGURES)}.")
    check_shared(settings, SUFFIXES)


if __name__ == "__main__":
    main()
