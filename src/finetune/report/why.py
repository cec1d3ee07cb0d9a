"""The part of the report that asks why: function space, generalisation, length of pretraining, weights, features."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from finetune.report.compare import Arm, Section
from finetune.report.features import FeatureGallery, feature_galleries
from finetune.report.generalisation import generalisation_figure, verdicts
from finetune.report.lengths import lengths_figure
from finetune.report.quantities import Format
from finetune.report.read import Kind, Study
from finetune.report.space import SpaceView, space_views

HUNDREDTHS = Format(percent=False, decimals=2)


@dataclass(frozen=True)
class WeightRow:
    """How far fine-tuning moved the weights of an arm: for each layer relative change and cosine, as text."""

    name: str
    kind: Kind
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class WhySection:
    """What one comparison says about why; parts without data are empty or None."""

    title: str
    generalisation: Markup | None
    verdicts: tuple[str, ...]
    lengths: Markup | None
    weights: tuple[WeightRow, ...]

    @property
    def n_layers(self) -> int:
        """Layers of weights of the deepest arm."""
        return max((len(row.cells) for row in self.weights), default=0)


@dataclass(frozen=True)
class Why:
    """The whole part."""

    spaces: tuple[SpaceView, ...]
    sections: tuple[WhySection, ...]
    galleries: tuple[FeatureGallery, ...]
    complaints: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.spaces or self.sections or self.galleries or self.complaints)


def why_of(study: Study, sections: Sequence[Section]) -> Why:
    """Everything that the runs of a study allow to say about why pretraining helps, or not.

    References:
        Erhan et al. (2010), *Why does unsupervised pre-training help deep learning?*, JMLR 11:625.
    """
    spaces, complaints = space_views(study)
    views = []
    for index, section in enumerate(sections):
        view = WhySection(
            title=section.title,
            generalisation=generalisation_figure(section, f"why{index}-generalisation"),
            verdicts=tuple(verdicts(section)),
            lengths=lengths_figure(section, f"why{index}-lengths"),
            weights=tuple(row for arm in section.arms if (row := weight_row(arm)) is not None),
        )
        if view.generalisation or view.lengths or view.weights:
            views.append(view)
    return Why(tuple(spaces), tuple(views), tuple(feature_galleries(study)), tuple(complaints))


def weight_row(arm: Arm) -> WeightRow | None:
    """Means over seeds; None where no run has them, or its runs have different numbers of layers."""
    runs = [run.weights for run in arm.runs if run.weights]
    if not runs or len({len(weights) for weights in runs}) > 1:
        return None
    cells = []
    for layers in zip(*runs, strict=True):
        means = []
        for key in ("change", "cosine"):
            values = [value for layer in layers if (value := layer.get(key)) is not None]
            means.append(HUNDREDTHS.number(fmean(values)) if values else "\N{EN DASH}")
        cells.append((means[0], means[1]))
    return WeightRow(arm.name, arm.kind, tuple(cells))
