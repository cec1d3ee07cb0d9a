"""What a page shows of networks in function space: their map, and how far apart they end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from finetune.report.comparison.function_space import RecordedRun, group_by_images, mean_distance, total_variation
from finetune.report.figures.function_space_map import function_space_figure, thin_trajectories
from finetune.report.results.run_result import Kind
from finetune.report.results.study import Study


@dataclass(frozen=True)
class FunctionSpaceView:
    """Runs whose outputs were recorded for the same images.

    Attributes:
        title: name of the data set.
        about: numbers of images, networks and points.
        figure: t-SNE and Isomap embeddings.
        distances: mean distances between the final functions of each pair of arms, as text.
        travelled: for each arm the distance between the functions at start and end of training, as text.
    """

    title: str
    about: str
    figure: Markup
    arms: tuple[str, ...]
    kinds: tuple[Kind, ...]
    distances: tuple[tuple[str, ...], ...]
    travelled: tuple[str, ...]


def function_space_views(study: Study) -> tuple[list[FunctionSpaceView], list[str]]:
    """A view for each set of images with at least three runs, and messages on files that cannot be read."""
    groups, errors = group_by_images(study)
    return [_view(runs, f"space{index}") for index, runs in enumerate(groups) if len(runs) > 2], errors


def _view(runs: Sequence[RecordedRun], name: str) -> FunctionSpaceView:
    paths = thin_trajectories(runs)
    kinds: dict[str, Kind] = {}
    by_arm: dict[str, list[RecordedRun]] = {}
    for run, trajectory in runs:
        kinds.setdefault(run.name, run.kind)
        by_arm.setdefault(run.name, []).append((run, trajectory))
    arms = sorted(by_arm, key=lambda arm: (kinds[arm] != "pretrained", arm))
    n_images, n_points = paths[0].outputs.shape[1], sum(len(path.epochs) for path in paths)
    data = runs[0][0].data
    return FunctionSpaceView(
        title=data,
        about=f"{n_images} images of {data}, {len(paths)} of {len(runs)} networks, {n_points} points",
        figure=function_space_figure(paths, arms, name),
        arms=tuple(arms),
        kinds=tuple(kinds[arm] for arm in arms),
        distances=tuple(tuple(_text(mean_distance(by_arm[a], by_arm[b])) for b in arms) for a in arms),
        travelled=tuple(
            _text(float(np.mean([total_variation(t.outputs[0], t.outputs[-1]) for _, t in by_arm[arm]])))
            for arm in arms
        ),
    )


def _text(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3f}"
