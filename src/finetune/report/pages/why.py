"""What a page shows of why pretraining helps: function space, generalisation, pretraining length, weights, features."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.figures.feature_gallery import FeatureGallery, feature_galleries
from finetune.report.figures.pretraining_length_curve import pretraining_length_figure
from finetune.report.figures.train_against_test import train_against_test_figure
from finetune.report.pages.function_space_view import FunctionSpaceView, function_space_views
from finetune.report.results.formatting import Format
from finetune.report.results.run_result import Kind
from finetune.report.results.study import Study

_HUNDREDTHS = Format(percent=False, decimals=2)


@dataclass(frozen=True)
class WeightRow:
    """Change of an arm's weights by fine-tuning: relative change and cosine similarity of each layer, as text."""

    name: str
    kind: Kind
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class WhySection:
    """What one section shows; fields without data are empty or None."""

    title: str
    generalisation: Markup | None
    pretraining_length: Markup | None
    weights: tuple[WeightRow, ...]

    @property
    def n_layers(self) -> int:
        """Number of layers of weights of the deepest arm."""
        return max((len(row.cells) for row in self.weights), default=0)


@dataclass(frozen=True)
class Why:
    """All of it; ``errors`` are messages on files that cannot be read."""

    spaces: tuple[FunctionSpaceView, ...]
    sections: tuple[WhySection, ...]
    galleries: tuple[FeatureGallery, ...]
    errors: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.spaces or self.sections or self.galleries or self.errors)


def build_why(study: Study, sections: Sequence[Section]) -> Why:
    """Collect what a study's runs show about why pretraining helps, or does not.

    References:
        Erhan et al. (2010), *Why does unsupervised pre-training help deep learning?*, JMLR 11:625.
    """
    spaces, errors = function_space_views(study)
    views = []
    for index, section in enumerate(sections):
        view = WhySection(
            title=section.title,
            generalisation=train_against_test_figure(section, f"why{index}-generalisation"),
            pretraining_length=pretraining_length_figure(section, f"why{index}-lengths"),
            weights=tuple(row for arm in section.arms if (row := weight_row(arm)) is not None),
        )
        if view.generalisation or view.pretraining_length or view.weights:
            views.append(view)
    return Why(tuple(spaces), tuple(views), tuple(feature_galleries(study)), tuple(errors))


def weight_row(arm: Arm) -> WeightRow | None:
    """Means over seeds; None where no run states its changes, or the runs differ in their number of layers."""
    runs = [run.weights for run in arm.runs if run.weights]
    if not runs or len({len(weights) for weights in runs}) > 1:
        return None
    cells = []
    for layers in zip(*runs, strict=True):
        means = []
        for key in ("change", "cosine"):
            values = [value for layer in layers if (value := layer.get(key)) is not None]
            means.append(_HUNDREDTHS.number(fmean(values)) if values else "\N{EN DASH}")
        cells.append((means[0], means[1]))
    return WeightRow(arm.name, arm.kind, tuple(cells))
