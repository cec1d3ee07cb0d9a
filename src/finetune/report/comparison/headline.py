"""Which kind of start wins a section: the decision behind the headline."""

from typing import Literal

from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section

Verdict = Literal["pretrained", "random", "equivalent", "unsettled", "none"]


def decide_headline(section: Section) -> Verdict:
    """Decide between the best pretrained and the best random arm by their difference.

    Returns:
        ``pretrained`` or ``random``, whichever has the lower metric, where the difference is settled in the family of
        all comparisons; ``equivalent`` where its 95 % interval lies within the margin (two one-sided tests, Schuirmann
        1987, at 2.5 %), with at least five seeds of each; ``unsettled`` where neither holds; ``none`` where either kind
        of arm is absent.
    """
    if section.best_pretrained is None or section.best_random is None:
        return "none"
    difference = section.best_difference
    if difference is None or min(len(difference.a), len(difference.b)) < MIN_SEEDS:
        return "unsettled"
    interval = difference.estimate.interval
    if interval is not None and not difference.degenerate and section.margin and interval.within(section.margin):
        return "equivalent"
    if not section.settles(section.best_pretrained, section.best_random):
        return "unsettled"
    return "pretrained" if difference.estimate.mean < 0 else "random"
