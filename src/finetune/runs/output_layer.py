"""The output layer of a network: linear, or the label of a class RBM; and what may be chosen beside that."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.errors import SettingError
from dbn.models.free_energy import FreeEnergy
from dbn.models.layer import Layer
from dbn.models.linear import Linear, WeightLayer
from dbn.models.unit_pair import UnitPair
from dbn.pretraining.from_config import method_of
from dbn.settings import choice, format_value, optional
from finetune.networks.initialise import Initialisation
from finetune.tasks.settings import TrainingSettings

CLASS_RBM = "network=class_rbm"


def output_layer(layers: Sequence[Layer], n_inputs: int, n_outputs: int, config: Mapping[str, Any]) -> WeightLayer:
    """The output layer of a network, with weights of zero or torch's own.

    Args:
        layers: of the stack, whose encoders are the hidden layers.
        n_inputs: outputs of the last hidden layer.
        n_outputs: classes, or values to predict.
        config: of the run.

    Raises:
        SettingError: the label of a class RBM above a layer that is no dense pair of units.
    """
    if config["network"].get("output") is None:
        return Linear(n_inputs, n_outputs)
    top = layers[-1] if layers else None
    if not isinstance(top, UnitPair) or len(top.output_shape) > 1:
        raise SettingError(
            f"{CLASS_RBM}: a class RBM has one dense hidden layer or more below its label, such as stack.layers=[500], "
            "made of units, as by method=rbm."
        )
    if not config["training"].get("generative"):
        return FreeEnergy(n_inputs, n_outputs)
    return FreeEnergy(n_inputs, n_outputs, top.visible.spec(), top.visible.size)


def check_output(config: Mapping[str, Any], settings: TrainingSettings, initialise: Initialisation) -> None:
    """Check the output layer, and that settings beside it go with a class RBM, or without one.

    Args:
        config: of the run.
        settings: its group ``training``.
        initialise: its initialisation.

    Raises:
        SettingError: they do not, or a stack would learn labels that the run must not know.
    """
    network, n_labelled = config["network"], config["data"].get("n_labelled")
    optional(choice(FreeEnergy.kind))("network.output", network.get("output"))
    pretrains = initialise.needs_stack and config["init"].get("stack") is None
    if pretrains and n_labelled is not None and method_of(config).uses_labels:
        raise SettingError(
            f"data.n_labelled={n_labelled}: with this method pretraining learns from the labels of all training "
            "images. Use data.n_labelled=null, or start=dbn, whose pretraining sees no labels."
        )
    if network.get("output") is None:
        if settings.generative:
            raise SettingError(
                f"training.generative={settings.generative:g}: network.output=null is a classifier "
                f"alone, and only a class RBM is generative. Use {CLASS_RBM}, or 0."
            )
        return
    task, unlabelled = config["task"]["name"], config["unlabelled"]
    neutral: list[tuple[str, Any, Any, str]] = [
        ("task.name", task, "classifier", "task=classifier"),
        ("network.activation", network.get("activation"), "sigmoid", "start=random_sigmoid or start=joint"),
        ("network.blocks", network.get("blocks"), None, "network.blocks=null"),
        ("network.normalisation", network.get("normalisation"), None, "normalisation=none"),
        ("network.dropout_hidden", network.get("dropout_hidden") or 0, 0, "dropout=none"),
        ("training.loss", settings.loss, "cross_entropy", "training.loss=cross_entropy"),
    ]
    if settings.generative:
        neutral += [
            ("training.mixup", settings.mixup, None, "training.mixup=null"),
            ("unlabelled", unlabelled, None, "unlabelled=none, or training.generative=0"),
        ]
    for key, value, wanted, cure in neutral:
        if value != wanted:
            raise SettingError(
                f"{key}={format_value(value)}: a class RBM ({CLASS_RBM}) has binary units and an exact p(y|x), with "
                f"which this has no meaning. Use {cure}; or network=from_stack."
            )
