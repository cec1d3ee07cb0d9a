"""Which kind of start wins a section: the decision behind the headline."""

from typing import Literal

from finetune.report.comparison.sections import Section

Verdict = Literal["pretrained", "random", "unsettled", "none"]


def decide_headline(section: Section) -> Verdict:
    """Decide between the best pretrained and the best random arm by their difference.

    Returns:
        ``pretrained`` or ``random``, whichever has the lower metric, where the difference is settled; ``unsettled``
        where it is not; ``none`` where either kind of arm is absent.
    """
    if section.best_pretrained is None or section.best_random is None:
        return "none"
    difference = section.best_difference
    if difference is None or not difference.settled:
        return "unsettled"
    return "pretrained" if difference.estimate.mean < 0 else "random"
