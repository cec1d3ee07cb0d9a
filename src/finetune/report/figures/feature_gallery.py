"""What the units of higher layers respond to, before and after fine-tuning, as mosaics."""

import re
from dataclasses import dataclass

from dbn.errors import DataError
from finetune.report.figures.mosaics import Mosaic, filter_pixels, make_mosaic
from finetune.report.results.pictures_file import read_pictures
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import Study

_KEY = re.compile(r"features_(maximised|combined)_(layer\d+|output)_(start|end)")
_COLUMNS = 5
_CAPTIONS = {"start": "before fine-tuning", "end": "after fine-tuning"}


@dataclass(frozen=True)
class LayerFeatures:
    """Mosaics of one layer, before and after fine-tuning.

    Attributes:
        maximised: inputs that maximise the activation of a unit each.
        combined: sums of first-layer filters, one for each unit.
    """

    name: str
    maximised: tuple[Mosaic, ...]
    combined: tuple[Mosaic, ...]


@dataclass(frozen=True)
class FeatureGallery:
    """The features of one run, from the lowest layer to the output."""

    run: RunResult
    layers: tuple[LayerFeatures, ...]


def feature_galleries(study: Study) -> list[FeatureGallery]:
    """Features of the first seed of each arm that kept any.

    Files that cannot be read are left out; :func:`.picture_gallery.picture_galleries` names them.
    """
    galleries: dict[str, FeatureGallery] = {}
    for run in study.of_stage("finetune"):
        if run.name not in galleries and (layers := layer_features(run)):
            galleries[run.name] = FeatureGallery(run, layers)
    return list(galleries.values())


def layer_features(run: RunResult) -> tuple[LayerFeatures, ...]:
    """Features by layer, the output last; empty where the run kept none or its file is damaged."""
    layers: dict[str, dict[tuple[str, str], Mosaic]] = {}
    try:
        for key, array in read_pictures(run).items():
            if match := _KEY.fullmatch(key):
                kind, layer, moment = match.groups()
                mosaic = make_mosaic(filter_pixels(array), _COLUMNS, _CAPTIONS[moment])
                layers.setdefault(layer, {})[kind, moment] = mosaic
    except (DataError, ValueError):
        return ()
    order = sorted(layers, key=lambda layer: (layer == "output", int(layer[5:]) if layer != "output" else 0))
    return tuple(
        LayerFeatures(
            "output units" if layer == "output" else f"layer {layer[5:]}",
            *(
                tuple(layers[layer][kind, moment] for moment in _CAPTIONS if (kind, moment) in layers[layer])
                for kind in ("maximised", "combined")
            ),
        )
        for layer in order
    )
