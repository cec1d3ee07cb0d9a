"""One run's ``result.json``."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ALONE = 0.1
"""Cores that other processes may keep busy during a run whose duration is compared with others."""
STAGES = ("pretrain", "finetune", "baseline")
Kind = Literal["pretrained", "random", "control", "unlabelled", "baseline", "unstated"]
KINDS: tuple[Kind, ...] = ("pretrained", "random", "control", "unlabelled")
"""What a fine-tuned run may state of itself."""


@dataclass(frozen=True)
class RunResult:
    """The content of one ``result.json``; what the file does not state is None or empty.

    Attributes:
        content: hash of the data, where they are the user's own; empty for published data sets.
        labels: number of labelled images as text, or ``"all"``.
        kind: where the starting weights came from, which decides the colour in figures, and the side of a comparison:
            a control (weights drawn from a stack's) is on neither, nor is an arm that uses unlabelled images otherwise
            than by pretraining RBMs.
        metrics: finite values by name.
        weights: change of each layer's weights by fine-tuning, see :mod:`finetune.networks.weight_changes`.
        sizes: numbers of units of all layers, input and output included.
        flops: floating-point operations by stage.
        n_validation: number of validation images; None where the file does not say.
        trial: number of the trial of a search; None for other runs.
        rung: of successive halving; None for trials of other searches.
        settings: values that the trial drew, by dotted key.
        pruned: whether the trial was stopped before its end because others were better at the same epoch.
        trained_together: number of seeds that trained in one process.
        other_load: cores that other processes kept busy during fine-tuning; None where that is not known.
        pretrain_other_load: the same of pretraining.
        precision: precision of each layer's matrix products.
        mistakes: test images that the network was most sure of in a wrong class, worst first, see
            :func:`finetune.tasks.mistakes.worst_mistakes`.
        layer_epochs: epochs that each layer of a stack trained; empty for other runs, and where it is not known.
        warnings: signs that the pretraining of a layer failed.
        code: hash of the code that made it, see :mod:`dbn.runs.code`.
        code_before: hashes of other code that made it up to an interruption.
        path: directory relative to the study, with forward slashes.
    """

    study: str
    stage: str
    name: str
    seed: int
    metrics: dict[str, float]
    directory: Path
    path: str
    kind: Kind = "unstated"
    arm: str = ""
    task: str = ""
    data: str = ""
    content: str = ""
    labels: str = ""
    seconds: float | None = None
    pretrain_seconds: float | None = None
    other_load: float | None = None
    pretrain_other_load: float | None = None
    n_parameters: int | None = None
    epochs: int | None = None
    weights: tuple[dict[str, Any], ...] = ()
    sizes: tuple[int, ...] = ()
    flops: dict[str, float] = field(default_factory=dict)
    n_validation: int | None = None
    trial: int | None = None
    rung: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    pruned: bool = False
    trained_together: int | None = None
    precision: tuple[str, ...] = ()
    layer_epochs: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    code_before: tuple[str, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    mistakes: tuple[dict[str, Any], ...] = ()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Numbers of hidden units, layer by layer; empty where unknown."""
        return self.sizes[1:-1]

    @property
    def comparable_seconds(self) -> float | None:
        """Seconds of fine-tuning if the run had the machine to itself; None otherwise, or where that is not known."""
        return self.seconds if _is_alone(self.other_load) else None

    @property
    def comparable_pretrain_seconds(self) -> float | None:
        """The same of pretraining."""
        return self.pretrain_seconds if _is_alone(self.pretrain_other_load) else None

    @property
    def total_flops(self) -> float | None:
        """Floating-point operations of the run, pretraining included; None where unknown."""
        return sum(self.flops.values()) or None


def _is_alone(other_load: float | None) -> bool:
    return other_load is not None and other_load <= ALONE


def read_run_result(directory: Path, stage: str, study: Path) -> RunResult:
    """Read a run's result.

    Args:
        directory: the run's directory.
        stage: stage of the run, where the file states none.
        study: the study's directory.

    Raises:
        ValueError: the file is not a result.
        OSError: the file cannot be read.
    """
    content = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    name, seed, metrics = content.get("name"), content.get("seed"), content.get("metrics")
    if not isinstance(name, str) or not name:
        raise ValueError("'name' is not given")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError("'seed' is not a whole number")
    if not isinstance(metrics, dict):
        raise ValueError("'metrics' is not given")
    stage = content["stage"] if content.get("stage") in STAGES else stage
    finite = {key: value for key in metrics if (value := _number(metrics[key])) is not None}
    return RunResult(
        study=_string(content.get("study")) or study.resolve().name,
        stage=stage,
        name=name,
        seed=seed,
        metrics=finite,
        directory=directory,
        path=directory.relative_to(study).as_posix(),
        kind=_kind(stage, content),
        arm=_string(content.get("arm")) or name,
        task=_string(content.get("task")) or _task_from(finite),
        data=_string(content.get("data")),
        content=_string(_mapping(_mapping(content.get("config")).get("data")).get("content")),
        labels=_labels(content),
        seconds=_number(content.get("seconds")),
        pretrain_seconds=_number(content.get("pretrain_seconds")),
        other_load=_number(content.get("other_load")),
        pretrain_other_load=_number(content.get("pretrain_other_load")),
        n_parameters=_integer(content.get("n_parameters")),
        epochs=_integer(content.get("epochs")),
        weights=tuple(row for row in content.get("weights") or () if isinstance(row, dict)),
        sizes=_integers(content.get("sizes")),
        flops={key: number for key, value in _mapping(content.get("flops")).items() if (number := _number(value))},
        n_validation=_integer(content.get("n_validation")),
        trial=_integer(_mapping(content.get("trial")).get("number")),
        rung=_integer(_mapping(content.get("trial")).get("rung")),
        settings=_mapping(_mapping(content.get("trial")).get("settings")),
        pruned=content.get("pruned") is True,
        trained_together=_integer(content.get("trained_together")),
        precision=_strings(content.get("precision")),
        layer_epochs=_layer_epochs(content.get("layers")),
        warnings=_strings(content.get("warnings")),
        config=_mapping(content.get("config")),
        versions=_mapping(content.get("versions")),
        git=_mapping(content.get("git")),
        code=_string(content.get("code")),
        code_before=_strings(content.get("code_before")),
        machine=_mapping(content.get("machine")),
        classes=_strings(content.get("classes")),
        mistakes=tuple(one for one in content.get("mistakes") or () if isinstance(one, dict)),
    )


def _kind(stage: str, content: dict[str, Any]) -> Kind:
    if stage == "baseline":
        return "baseline"
    for kind in KINDS:
        if content.get("kind") == kind:
            return kind
    return _kind_from_flag(content)


def _kind_from_flag(content: dict[str, Any]) -> Kind:
    """The kind of a stack's run, or of a run of an older version, which say only whether they are pretrained."""
    pretrained = content.get("pretrained")
    if not isinstance(pretrained, bool):
        return "unstated"
    if pretrained:
        return "pretrained"
    initialisation = _string(_mapping(_mapping(content.get("config")).get("init")).get("_target_"))
    return "control" if initialisation.endswith(".Marginals") else "random"


def _task_from(metrics: dict[str, float]) -> str:
    if any(key.endswith("/error") for key in metrics):
        return "classifier"
    if any(key.endswith("/rmse") for key in metrics):
        return "regression"
    return "autoencoder" if any(key.endswith("/squared_error") for key in metrics) else ""


def _labels(content: dict[str, Any]) -> str:
    if "n_labelled" not in content:
        return ""
    n_labelled = _integer(content["n_labelled"])
    return "all" if n_labelled is None else str(n_labelled)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _integers(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(_integer(one) is not None for one in value) else ()


def _layer_epochs(value: object) -> tuple[int, ...]:
    return _integers([_mapping(layer).get("epochs") for layer in value]) if isinstance(value, list) else ()


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
