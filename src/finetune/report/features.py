"""Pictures of what the units of higher layers look for, before and after fine-tuning, for the page."""

import re
import zipfile
from dataclasses import dataclass

import numpy as np

from finetune.report.pictures import Picture, filter_pixels, mosaic
from finetune.report.read import Run, Study

_KEY = re.compile(r"features_(maximised|combined)_(layer\d+|output)_(start|end)")
_COLUMNS = 5


@dataclass(frozen=True)
class LayerFeatures:
    """Pictures of one layer: its name, inputs that excite its units most, and sums of filters, by moment."""

    name: str
    maximised: tuple[Picture, ...]
    combined: tuple[Picture, ...]


@dataclass(frozen=True)
class FeatureGallery:
    """Pictures of one run, layer by layer from below."""

    run: Run
    layers: tuple[LayerFeatures, ...]


def feature_galleries(study: Study) -> list[FeatureGallery]:
    """Of the first seed of each arm that kept any; files that cannot be read are named where the filters are shown."""
    galleries: dict[str, FeatureGallery] = {}
    for run in study.of_stage("finetune"):
        if run.name not in galleries and (layers := read_features(run)):
            galleries[run.name] = FeatureGallery(run, layers)
    return list(galleries.values())


def read_features(run: Run) -> tuple[LayerFeatures, ...]:
    """Layers of ``pictures.npz`` from below, the output last; none where the run kept none."""
    layers: dict[str, dict[str, dict[str, Picture]]] = {}
    try:
        with np.load(run.directory / "pictures.npz", allow_pickle=False) as archive:
            for key in archive.files:
                if match := _KEY.fullmatch(key):
                    kind, layer, when = match.groups()
                    words = "before fine-tuning" if when == "start" else "after fine-tuning"
                    picture = mosaic(filter_pixels(archive[key].astype(np.float64)), _COLUMNS, words)
                    layers.setdefault(layer, {}).setdefault(kind, {})[when] = picture
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return ()
    order = sorted(layers, key=lambda layer: (layer == "output", int(layer[5:]) if layer != "output" else 0))
    return tuple(
        LayerFeatures(
            "output units" if layer == "output" else f"layer {layer[5:]}",
            *(_in_order(layers[layer].get(kind, {})) for kind in ("maximised", "combined")),
        )
        for layer in order
    )


def _in_order(pictures: dict[str, Picture]) -> tuple[Picture, ...]:
    return tuple(pictures[when] for when in ("start", "end") if when in pictures)
