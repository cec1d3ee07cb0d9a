"""Names of lines at their right ends, moved apart where the ends are close."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from finetune.report.figures.style import shorten

_ROW_HEIGHT = 15.0  # pixels


def label_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], height: float) -> None:
    """Write the names of lines beside their ends.

    Args:
        axes: axes with their final limits and scales.
        ends: x, y, name and colour of each line.
        height: height of the axes in pixels.
    """
    wanted = [float(axes.transData.transform((x, y))[1]) for x, y, _, _ in ends]
    bottom = float(axes.transAxes.transform((0, 0))[1])
    for (x, y, name, colour), at, target in zip(
        ends, spread_apart(wanted, _ROW_HEIGHT, bottom, bottom + height), wanted, strict=True
    ):
        axes.annotate(
            shorten(name, 185), (x, y), (14, at - target), textcoords="offset pixels", va="center", color=colour,
            size=11.5, annotation_clip=False,
        )  # fmt: skip


def spread_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions within ``[low, high]``, at least ``gap`` apart, in the order of the wanted positions and close to them.

    Neighbours that are too close are merged into a block centred on their mean until no two blocks overlap.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[tuple[float, list[int]]] = []  # centre, members
    for index in order:
        centre, members = wanted[index], [index]
        while True:
            half = gap * (len(members) - 1) / 2
            centre = max(min(centre, high - half), low + half)
            if not blocks or blocks[-1][0] + gap * (len(blocks[-1][1]) - 1) / 2 + gap <= centre - half:
                break
            _, before = blocks.pop()
            members = before + members
            centre = sum(wanted[member] for member in members) / len(members)
        blocks.append((centre, members))
    positions = [0.0] * len(wanted)
    for centre, members in blocks:
        for rank, member in enumerate(members):
            positions[member] = centre + gap * (rank - (len(members) - 1) / 2)
    return positions
