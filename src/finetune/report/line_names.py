"""Names of lines at their right ends, kept apart where the ends are close."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from finetune.report.drawing import shorten

_ROW = 15.0  # pixels between two names


def name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], height: float) -> None:
    """Write names beside the ends of lines.

    Args:
        axes: with its limits and scales as they will be.
        ends: x, y, name and colour of each.
        height: of the axes, in pixels.
    """
    wanted = [float(axes.transData.transform((x, y))[1]) for x, y, _, _ in ends]
    bottom = float(axes.transAxes.transform((0, 0))[1])
    for (x, y, name, colour), at, target in zip(
        ends, spread(wanted, _ROW, bottom, bottom + height), wanted, strict=True
    ):
        axes.annotate(
            shorten(name, 185), (x, y), (14, at - target), textcoords="offset pixels", va="center", color=colour,
            size=11.5, annotation_clip=False,
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least ``gap`` apart within ``[low, high]``, in the same order and near to those that are wanted.

    Neighbours that are too close are merged into a block round their mean until no two blocks touch.
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
    places = [0.0] * len(wanted)
    for centre, members in blocks:
        for position, member in enumerate(members):
            places[member] = centre + gap * (position - (len(members) - 1) / 2)
    return places
