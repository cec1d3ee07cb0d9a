"""Arms that differ only in the number of pretraining epochs."""

import re
from collections.abc import Mapping

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section


def pretraining_epochs(arm: Arm) -> int | None:
    """Pretraining epochs of every layer of an arm's stack; None where its configuration does not state them."""
    part: object = arm.runs[0].config
    for key in ("stack", "every_layer", "epochs"):
        part = part.get(key) if isinstance(part, Mapping) else None
    known = isinstance(part, int) and not isinstance(part, bool) and part > 0 and arm.kind == "pretrained"
    return part if known and isinstance(part, int) else None


def pretraining_length_lines(section: Section) -> dict[str, list[tuple[int, Arm]]]:
    """Arms that differ only in pretraining epochs: common name -> pairs of epochs and arm, epochs ascending."""
    lines: dict[str, list[tuple[int, Arm]]] = {}
    for arm in section.arms:
        epochs = pretraining_epochs(arm)
        if epochs is not None and arm.values(section.metric):
            lines.setdefault(_without_epochs(arm.name), []).append((epochs, arm))
    return {
        name: sorted(points, key=lambda point: point[0])
        for name, points in lines.items()
        if len({epochs for epochs, _ in points}) > 1
    }


def _without_epochs(name: str) -> str:
    """``dbn_epochs=10`` -> ``dbn``."""
    return re.sub(r"(?:^|[_,])(?:stack\.every_layer\.)?epochs=[^_,]*", "", name)
