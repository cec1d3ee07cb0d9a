"""Average ranks over data sets, as a part of the page."""

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.ranks import rank_arms
from finetune.report.comparison.rule import SIGNIFICANCE_LEVEL
from finetune.report.figures.critical_difference import critical_difference_figure
from finetune.report.pages.parts.part import Grid, Part


def ranks_part(axis: Axis, name: str) -> Part | None:
    """Ranks of all arms over data sets with their critical difference; None where there are too few of either."""
    ranking = rank_arms(axis)
    if ranking is None:
        return None
    p = ranking.friedman_p
    first, last = ranking.arms[0], ranking.arms[-1]
    if p >= SIGNIFICANCE_LEVEL:
        sentence = (
            f"Over {ranking.n_data_sets} data sets the arms' ranks do not differ by more than chance (p {p:.2g})."
        )
    elif last.rank - first.rank > ranking.critical_difference:
        sentence = f"Over {ranking.n_data_sets} data sets {first.name} ranks before {last.name} by more than chance."
    else:
        sentence = f"Over {ranking.n_data_sets} data sets ranks differ, but no two arms by the critical difference."
    return Part(
        title=f"{axis.title}: ranks",
        sentences=(sentence,),
        about=f"Rank of each arm, mean over data sets, 1 being the lowest mean. Friedman's test that all are alike: p "
        f"{p:.2g}. Bars join arms whose ranks differ by less than Nemenyi's critical difference, "
        f"{ranking.critical_difference:.2f} (Demšar 2006).",
        figure=critical_difference_figure(ranking, name),
        grid=Grid(("arm", "mean rank"), tuple((arm.name, arm.kind, (f"{arm.rank:.2f}",)) for arm in ranking.arms)),
    )
