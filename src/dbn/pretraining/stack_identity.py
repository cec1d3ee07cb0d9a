"""Identity of a stack: all settings that affect pretraining, and only these."""

from collections.abc import Mapping
from typing import Any

from dbn.data.augment import Augment
from dbn.data.augment_settings import check_augment_group, settings_in_effect
from dbn.data.split_settings import split_seed_of
from dbn.pretraining.from_config import layers_of, visible_of
from dbn.pretraining.gradients import Gradient
from dbn.pretraining.settings import LayerSettings
from dbn.runs.identity import data_identity, digest, method_identity, trainer_identity, without_effect
from dbn.settings import settings_of


def stack_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that affect pretraining, from a pretraining or fine-tuning configuration.

    Raises:
        SettingError: an invalid setting of a layer or of augmentation.
    """
    stack = config["stack"]
    check_augment_group("stack.augment", stack["augment"])
    augment = settings_of("stack.augment", Augment, stack["augment"])
    trainer = trainer_identity(config["trainer"])
    trainer.pop("limit_val_batches", None)
    return {
        "data": {**data_identity(config["data"]), "split_seed": split_seed_of(config)},
        "visible": visible_of(stack),
        "layers": [layer_identity(layer) for layer in layers_of(stack)],
        "optimizer": stack["optimizer"],
        "augment": augment_identity(augment),
        "method": method_identity(config["method"]),
        "trainer": trainer,
        "precision": config["precision"],
        "seed": config["seed"],
    }


def layer_identity(layer: LayerSettings) -> dict[str, Any]:
    """Settings of a layer that have an effect: no momentum that no epoch uses, no patience that cannot be exhausted."""
    n_first = min(layer.initial_momentum_epochs, layer.epochs)
    own = {**layer.values(), "initial_momentum_epochs": n_first}
    if n_first == 0:
        del own["initial_momentum"]
    if n_first == layer.epochs:
        del own["momentum"]
    if layer.patience is None or layer.patience > layer.epochs - 2:  # the first epoch improves, the last ends anyway
        del own["patience"], own["watch"]
    own["gradient"] = Gradient.create(layer.gradient, "gradient").spec()
    if layer.pool is None:
        del own["pool"]
    return {key: value for key, value in own.items() if key not in without_effect(own)}


def augment_identity(augment: Augment) -> dict[str, Any] | None:
    """Settings of the augmentation that have an effect; None without augmentation."""
    if augment.is_nothing:
        return None
    used = settings_in_effect(vars(augment))
    return {key: value for key, value in used.items() if key != "elastic_sigma" or augment.elastic_alpha}


def stack_name(config: Mapping[str, Any]) -> str:
    """Name of a stack, without seed: data, sizes and unit types in words, and ten digits of a hash of its identity.

    Stacks whose seeds draw their splits have one name.

    For example ``digits_200_200_200_7c1f0a94de``, or ``mnist_500_500_relu_augmented_03b7a1c2f8``.

    Raises:
        SettingError: as :func:`stack_identity`.
    """
    identity = stack_identity(config)
    source = str(identity["data"]["source"].get("_target_", "data")).rpartition(".")[2]
    sizes = [str(layer["n_hidden"]) for layer in identity["layers"]]
    listed = sizes if len(sizes) <= MOST_SIZES else [*sizes[:MOST_SIZES], "etc"]
    types = [identity["visible"], *(layer["hidden"] for layer in identity["layers"])]
    kinds = dict.fromkeys(own if isinstance(own, str) else own["kind"] for own in types)
    words = [source, *listed, *(kind for kind in kinds if kind != "bernoulli")]
    words += ["augmented"] if identity["augment"] is not None else []
    if identity["data"]["split_seed"] == identity["seed"]:
        identity["data"]["split_seed"] = None
    del identity["seed"]
    return "_".join([*words, digest(identity)])


MOST_SIZES = 8
"""Largest number of layers that a name lists."""
