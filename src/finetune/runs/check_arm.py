"""The arm that the command line asks for is the one that is trained: no experiment takes its place."""

from collections.abc import Iterator

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from dbn.errors import SettingError

PARTS = ("start", "unlabelled", "normalisation", "dropout", "augment", "augment@stack.augment", "optimizer")
"""Groups that an arm may choose from and is known by. (Layers are checked by :mod:`finetune.runs.check_config`.)"""


def check_arm() -> None:
    """Check the arm of the current Hydra job, if an override names one.

    Hydra puts the choices of an experiment above those of an arm: without a word, ``arm=dbn`` would name what another
    start has trained.

    Raises:
        SettingError: the experiment has replaced a choice of the arm that no override names.
    """
    own = HydraConfig.get()
    given = {override.partition("=")[0].lstrip("+") for override in own.overrides.task}
    choices = own.runtime.choices
    arm, experiment = choices.get("arm"), choices.get("experiment")
    if "arm" not in given or arm is None or experiment is None:
        return
    for key, choice in _choices_of_arm(arm):
        if key in PARTS and key not in given and choices.get(key) != choice:
            raise SettingError(
                f"arm={arm}: experiment={experiment} sets {key}={choices.get(key)}, and the arm's own {key}={choice} "
                f"would be lost. Say which one is meant: leave arm={arm} out, or add {key}={choice}."
            )


def _choices_of_arm(arm: str) -> Iterator[tuple[str, str]]:
    """Groups and choices in the file of an arm."""
    found = GlobalHydra.instance().config_loader().repository.load_config(f"arm/{arm}")  # type: ignore[attr-defined]
    for default in found.defaults_list if found is not None else ():
        group = getattr(default, "group", None)
        if group is not None:
            package = f"@{default.package}" if default.package else ""
            yield f"{group.lstrip('/')}{package}", str(default.value)
