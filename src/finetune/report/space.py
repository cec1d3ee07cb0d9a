"""Trajectories of networks in the space of functions, put into the plane, and how far apart they end."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dbn.errors import DataError
from finetune.report.drawing import COLOURS, INK, Layout, add_axes, draw_both, new_figure, shorten, write_legend
from finetune.report.read import Kind, Run, Study
from finetune.trajectory import RecordedTrajectory, read_trajectory

MOST_POINTS = 600
FEWEST_SNAPSHOTS = 4
"""Of a run that is drawn; where there are too many runs for that, the first seeds of each arm are drawn."""
MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"))
SIZES = (3.0, 7.0, 14.0, 26.0)
"""Areas of points, from start to end."""
NEIGHBOURS = 10
PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Path:
    """A run with the snapshots that are drawn of it; ``outputs`` ``(snapshots, n_images, n_classes)``."""

    run: Run
    epochs: NDArray[np.int64]
    outputs: NDArray[np.float32]


@dataclass(frozen=True)
class SpaceView:
    """What the page shows of the runs whose outputs were recorded for the same images.

    Attributes:
        title: the data set.
        about: how many images, networks and points.
        figure: t-SNE and Isomap.
        arms: names, heads of the columns of ``distances``.
        distances: for each arm how far its functions are from those of each arm at the end, as text.
        travelled: for each arm how far it went from start to end, as text.
    """

    title: str
    about: str
    figure: Markup
    arms: tuple[str, ...]
    kinds: tuple[Kind, ...]
    distances: tuple[tuple[str, ...], ...]
    travelled: tuple[str, ...]


def space_views(study: Study) -> tuple[list[SpaceView], list[str]]:
    """A view for each data set with trajectories of at least three runs, and what could not be read."""
    groups: dict[tuple[str, tuple[int, ...], str], list[tuple[Run, RecordedTrajectory]]] = {}
    complaints = []
    for run in study.of_stage("finetune"):
        try:
            found = read_trajectory(run.directory)
        except DataError as error:
            complaints.append(str(error))
            continue
        if found is not None and len(found.epochs) > 1:
            split = run.config.get("data", {})  # which images were shown
            key = run.data, found.outputs.shape[1:], f"{split.get('split_seed')} {split.get('validation')}"
            groups.setdefault(key, []).append((run, found))
    views = [_view(runs, f"space{index}") for index, runs in enumerate(groups.values()) if len(runs) > 2]
    return views, complaints


def thinned(runs: Sequence[tuple[Run, RecordedTrajectory]]) -> list[Path]:
    """The runs and snapshots that are drawn: 600 points or fewer, the first and last snapshot of each run among them.

    The snapshots of a run are spread evenly over those that it recorded.
    """
    names = sorted({run.name for run, _ in runs})
    most_seeds = max(1, MOST_POINTS // FEWEST_SNAPSHOTS // len(names))
    kept = [pair for name in names for pair in [pair for pair in runs if pair[0].name == name][:most_seeds]]
    most = max(2, MOST_POINTS // len(kept))
    paths = []
    for run, found in kept:
        n = len(found.epochs)
        chosen = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
        paths.append(Path(run, found.epochs[chosen], found.outputs[chosen]))
    return paths


def embeddings(points: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Points ``(n, d)`` in the plane, ``(n, 2)``, by t-SNE (near points stay near) and Isomap (far ones stay far).

    References:
        van der Maaten & Hinton (2008), JMLR 9:2579; Tenenbaum, de Silva & Langford (2000), Science 290:2319.
    """
    from sklearn.manifold import TSNE, Isomap  # takes a second: most reports have no trajectories
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # One thread, and the dense solver: the same runs must give the same page, whatever the machine.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.filterwarnings("ignore", ".*connected components.*")  # Isomap joins them by their nearest points
        warnings.filterwarnings("ignore", ".*sparsity structure.*")
        neighbours = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
        geodesic = Isomap(n_neighbors=min(NEIGHBOURS, len(points) - 1), eigen_solver="dense").fit_transform(points)
    return {"t-SNE": neighbours.astype(np.float64), "Isomap": geodesic.astype(np.float64)}


def total_variation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Half the sum of absolute differences of class probabilities ``(n_images, n_classes)``, mean over images."""
    return float(0.5 * np.abs(a - b).sum(-1).mean())


def distance_between(
    one: Sequence[tuple[Run, RecordedTrajectory]], other: Sequence[tuple[Run, RecordedTrajectory]]
) -> float | None:
    """Mean total variation between the last functions of two arms; of an arm and itself, between its seeds."""
    pairs = combinations(one, 2) if one is other else product(one, other)
    values = [total_variation(a.outputs[-1], b.outputs[-1]) for (_, a), (_, b) in pairs]
    return float(np.mean(values)) if values else None


def _view(runs: Sequence[tuple[Run, RecordedTrajectory]], name: str) -> SpaceView:
    paths = thinned(runs)
    points = np.concatenate([path.outputs.reshape(len(path.epochs), -1) for path in paths])
    arms = sorted({run.name for run, _ in runs}, key=lambda arm: (_kind_of(runs, arm) != "pretrained", arm))
    by_arm = {arm: [pair for pair in runs if pair[0].name == arm] for arm in arms}
    planes = embeddings(points)
    figure = draw_both(
        lambda layout: _draw(paths, arms, planes, layout),
        name,
        "networks in function space over training, in the plane",
    )
    n_images = paths[0].outputs.shape[1]
    data = runs[0][0].data
    return SpaceView(
        title=data,
        about=f"{n_images} images of {data}, {len(paths)} of {len(runs)} networks, {len(points)} points",
        figure=figure,
        arms=tuple(arms),
        kinds=tuple(_kind_of(runs, arm) for arm in arms),
        distances=tuple(tuple(_text(distance_between(by_arm[a], by_arm[b])) for b in arms) for a in arms),
        travelled=tuple(
            _text(float(np.mean([total_variation(t.outputs[0], t.outputs[-1]) for _, t in by_arm[arm]])))
            for arm in arms
        ),
    )


def _kind_of(runs: Sequence[tuple[Run, RecordedTrajectory]], arm: str) -> Kind:
    return next(run.kind for run, _ in runs if run.name == arm)


def _text(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3f}"


def _draw(paths: Sequence[Path], arms: Sequence[str], planes: dict[str, NDArray[np.float64]], layout: Layout) -> Figure:
    columns = 1 if layout.narrow else len(planes)
    rows = -(-len(planes) // columns)
    legend_rows = len(arms) if layout.narrow else 1
    gap, head, legend = 26.0, 26.0, 20.0 * legend_rows
    width = (layout.width - gap * (columns - 1)) / columns
    height = 300.0 if layout.narrow else 400.0
    figure = new_figure(layout, legend + rows * (head + height) + 4)
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
        axes.annotate(title, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset pixels", size=13)
        if index == 0:
            kinds = {path.run.name: path.run.kind for path in paths}
            room = layout.width / legend_rows if layout.narrow else layout.width / len(arms) - 20
            entries = [
                (f"{MARKERS[number % len(MARKERS)][1]} {shorten(arm, room, 13)}", COLOURS[kinds[arm]])
                for number, arm in enumerate(arms)
            ]
            if layout.narrow:
                for number, entry in enumerate(entries):
                    write_legend(axes, [entry], rise=head + legend - 20 * (number + 1) + 4, size=13)
            else:
                write_legend(axes, entries, rise=head + 4, size=13)
    return figure
