"""Trajectories of networks in the space of the functions that they compute, embedded in the plane."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from finetune.report.comparison.function_space import RecordedRun
from finetune.report.figures.style import COLOURS, INK, Screen, add_axes, new_figure, shorten, write_above, write_legend
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.run_result import RunResult

MAX_POINTS = 600
MIN_SNAPSHOTS = 4
"""Snapshots per run at least; with more runs than that allows, only the first seeds of each arm are drawn."""
MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"))
SIZES = (3.0, 7.0, 14.0, 26.0)
"""Areas of points, from the start of training to its end."""
NEIGHBOURS = 10
PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class DrawnTrajectory:
    """The snapshots of a run that are drawn; ``outputs`` has the shape ``(snapshots, n_images, n_classes)``."""

    run: RunResult
    epochs: NDArray[np.int64]
    outputs: NDArray[np.float32]


def thin_trajectories(runs: Sequence[RecordedRun]) -> list[DrawnTrajectory]:
    """Choose at most 600 points: evenly spaced snapshots of each run, its first and last among them."""
    names = sorted({run.name for run, _ in runs})
    most_seeds = max(1, MAX_POINTS // MIN_SNAPSHOTS // len(names))
    kept = [pair for name in names for pair in [pair for pair in runs if pair[0].name == name][:most_seeds]]
    most = max(2, MAX_POINTS // len(kept))
    paths = []
    for run, found in kept:
        n = len(found.epochs)
        chosen = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
        paths.append(DrawnTrajectory(run, found.epochs[chosen], found.outputs[chosen]))
    return paths


def embed_in_plane(points: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Embed points ``(n, d)`` in the plane, ``(n, 2)``: t-SNE keeps near points near, Isomap far points far.

    References:
        van der Maaten & Hinton (2008), JMLR 9:2579; Tenenbaum, de Silva & Langford (2000), Science 290:2319.
    """
    from sklearn.manifold import TSNE, Isomap  # slow to import, and most reports have no trajectories
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # One thread and the dense solver, so that the same runs give the same page on every machine.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.filterwarnings("ignore", ".*connected components.*")  # Isomap connects them at their nearest points
        warnings.filterwarnings("ignore", ".*sparsity structure.*")
        neighbours = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
        geodesic = Isomap(n_neighbors=min(NEIGHBOURS, len(points) - 1), eigen_solver="dense").fit_transform(points)
    return {"t-SNE": neighbours.astype(np.float64), "Isomap": geodesic.astype(np.float64)}


def function_space_figure(paths: Sequence[DrawnTrajectory], arms: Sequence[str], name: str) -> Markup:
    """Both embeddings of trajectories; ``arms`` in the order of the legend, ``name`` unique on the page."""
    planes = embed_in_plane(np.concatenate([path.outputs.reshape(len(path.epochs), -1) for path in paths]))
    description = "networks in function space over training, in the plane"
    return draw_for_screens(lambda screen: _draw(paths, arms, planes, screen), name, description)


def _draw(
    paths: Sequence[DrawnTrajectory], arms: Sequence[str], planes: dict[str, NDArray[np.float64]], screen: Screen
) -> Figure:
    columns = 1 if screen.narrow else len(planes)
    rows = -(-len(planes) // columns)
    legend_rows = len(arms) if screen.narrow else 1
    gap, head, legend = 26.0, 26.0, 20.0 * legend_rows
    width = (screen.width - gap * (columns - 1)) / columns
    height = 300.0 if screen.narrow else 400.0
    figure = new_figure(screen, legend + rows * (head + height) + 4)
    for index, (title, plane) in enumerate(planes.items()):
        row, column = divmod(index, columns)
        axes = add_axes(figure, column * (width + gap), legend + head + row * (head + height), width, height)
        start = 0
        for path in paths:
            own = plane[start : start + len(path.epochs)]
            start += len(path.epochs)
            colour, marker = COLOURS[path.run.kind], MARKERS[arms.index(path.run.name) % len(MARKERS)][0]
            axes.plot(own[:, 0], own[:, 1], color=colour, linewidth=0.5, alpha=0.25, zorder=2)
            classes = np.arange(len(own)) * len(SIZES) // len(own)
            for number, size in enumerate(SIZES):
                some = own[:-1][classes[:-1] == number]
                axes.scatter(some[:, 0], some[:, 1], s=size, color=colour, marker=marker, alpha=0.45, linewidths=0)
            axes.scatter(
                own[-1:, 0], own[-1:, 1], s=44, color=colour, marker=marker, edgecolors=INK, linewidths=0.9, zorder=4
            )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
        write_above(axes, title, 7, size=13)
        if index == 0:
            kinds = {path.run.name: path.run.kind for path in paths}
            room = screen.width / legend_rows if screen.narrow else screen.width / len(arms) - 20
            entries = [
                (f"{MARKERS[number % len(MARKERS)][1]} {shorten(arm, room, 13)}", COLOURS[kinds[arm]])
                for number, arm in enumerate(arms)
            ]
            if screen.narrow:
                for number, entry in enumerate(entries):
                    write_legend(axes, [entry], rise=head + legend - 20 * (number + 1) + 4, size=13)
            else:
                write_legend(axes, entries, rise=head + 4, size=13)
    return figure
