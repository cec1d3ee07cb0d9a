"""Check that there is something to watch where a layer is to stop early."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.pretraining.growing import untrained_layers
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import LayerSettings


def check_patience(
    layers: Sequence[LayerSettings],
    method: PretrainingMethod,
    visible: str | Mapping[str, Any],
    data: Sequence[DataSet],
) -> None:
    """Check the layers that have a ``patience``.

    Raises:
        SettingError: there are no validation images, or the method has no such metric for a layer's visible units.
    """
    if all(layer.patience is None for layer in layers):
        return
    patient = next(layer for layer in layers if layer.patience is not None)
    for own in data:
        if not len(own.validation):
            raise SettingError(
                f"{patient.key('patience')}={patient.patience}: data={own.name} has no validation images to watch. Use "
                f"{patient.key('patience')}=null, or data.validation=0.2."
            )
    made = untrained_layers(method, layers, visible, data[0].shape)
    for number, (layer, settings) in enumerate(zip(made, layers, strict=True), start=1):
        known = method.watchable(layer.input_type)
        if settings.patience is not None and settings.watch not in known:
            kind = layer.input_type if isinstance(layer.input_type, str) else layer.input_type["kind"]
            advice = (
                f"Use {settings.key('watch')}={' or '.join(known)}" if known else f"Use {settings.key('patience')}=null"
            )
            raise SettingError(
                f"{settings.key('watch')}={settings.watch}: {type(method).__name__} has no such metric of validation "
                f"images for layer {number}, whose visible units are {kind}. {advice}."
            )
