"""What stands beside a verdict: size of the test set, arms and trials of each side, operations."""

from dataclasses import replace

from finetune.report.comparison.sections import Section
from finetune.report.results.formatting import count_text, operations_text


def verdict_facts(section: Section) -> tuple[str, ...]:
    """Facts without which a verdict cannot be judged, as short sentences; those that are not known are left out."""
    return tuple(fact for fact in (_test_images(section), _chances(section), _operations(section)) if fact)


def _test_images(section: Section) -> str:
    n = section.n_test_images
    if n is None:
        return ""
    finer = replace(section.format, decimals=section.format.decimals + (n > 5000))
    return f"{n:,} test images, of which one is worth {finer.number(1 / n)}{section.format.difference_unit}."


def _chances(section: Section) -> str:
    arms = {kind: len(section.of_kind(kind)) for kind in section.choice.best}
    if len(arms) < 2:
        return ""
    sides = " and ".join(f"{n} {kind}" for kind, n in arms.items())
    trials = section.n_trials
    if not any(trials.values()):
        return f"{sides} arms; no search of settings is known for them."
    counts = " and ".join(count_text(trials.get(kind, 0), "trial") for kind in arms)
    return f"{sides} arms, whose settings were searched with {counts}."


def _operations(section: Section) -> str:
    if section.best_pretrained is None or section.best_random is None:
        return ""
    operations = [arm.mean_of("total_flops") for arm in (section.best_pretrained, section.best_random)]
    if operations[0] is None or not operations[1]:
        return ""
    texts = " and ".join(operations_text(one) for one in operations if one is not None)
    ratio = operations[0] / operations[1]
    return f"Operations, pretraining included: {texts}, a ratio of {ratio:.{1 if ratio >= 0.95 else 2}f}."
