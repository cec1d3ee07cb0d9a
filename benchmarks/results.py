"""Tables and figure of a benchmark."""

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from dbn.runs.run import software_and_machine

REFERENCES = ("five products", "bare torch loop", "16 RBMs one after another", "16 networks one after another")


@dataclass(frozen=True)
class Table:
    """One contest with one number of threads.

    Attributes:
        title: what was done.
        speeds: images per second of each subject: median, lowest and highest over the rounds.
        rounds: how many.
        date: of the measurement.
        machine: where.
    """

    title: str
    speeds: Mapping[str, Sequence[float]]
    rounds: int
    date: str
    machine: str

    @classmethod
    def of(cls, title: str, measured: Mapping[str, Sequence[float]], date: str) -> "Table":
        """From images per second of each subject, round by round, measured on this machine."""
        speeds = {s: [statistics.median(values), min(values), max(values)] for s, values in measured.items()}
        machine = software_and_machine()["machine"]
        where = f"{machine['cpu']}, {machine['cores']} cores"
        return cls(title, speeds, len(next(iter(measured.values()))), date, where)

    @property
    def text(self) -> str:
        """The table in Markdown: median, range, and how many times as fast our best public path is."""
        medians = {subject: speeds[0] for subject, speeds in self.speeds.items()}
        ours = [subject for subject in medians if subject.startswith(("our public path", "our fine-tuning"))]
        reference = next(subject for subject in medians if subject in REFERENCES)
        heads = [f"{subject} / it" for subject in ours]
        lines = [
            f"### {self.title}",
            "",
            f"{self.date}, {self.rounds} rounds.",
            "",
            f"| | images/s, median | from | to | / {reference} | {' | '.join(heads)} |",
            f"|---|{'---:|' * (4 + len(ours))}",
        ]
        for subject, median in medians.items():
            _, low, high = self.speeds[subject]
            ratios = [f"{medians[own] / median:.2f}" for own in ours]
            row = [f"{median:.0f}", f"{low:.0f}", f"{high:.0f}", f"{median / medians[reference]:.2f}"]
            lines.append(f"| {subject} | {' | '.join([*row, *ratios])} |")
        return "\n".join([*lines, ""])


def write_results(folder: Path, tables: Sequence[Table], absent: Sequence[str]) -> None:
    """Put tables into ``results.json``, over those of the same title and machine, and write ``RESULTS.md`` from all."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "results.json"
    stored = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else []
    known = {(table.machine, table.title): table for table in [*(Table(**entry) for entry in stored), *tables]}
    store.write_text(json.dumps([asdict(table) for table in known.values()], indent=1) + "\n", encoding="utf-8")
    machines = {machine: [table for table in known.values() if table.machine == machine] for machine, _ in known}
    names = ("torch", "numpy", "scikit-learn", "pytorch-lightning", "layerwise-dbn")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    lines = [
        "# Speed",
        "",
        f"`make bench` on {platform.platform()}; Python {platform.python_version()}, {versions}. Medians over rounds "
        "after a warm-up, all subjects in turn in each round. `auto` is bfloat16 products where the processor has "
        "them and the layer is large enough. Of the two libraries in torch, MKL and oneDNN, the first takes the bare "
        "five products; `faster library` and we take the second where it is faster (`dbn.machine.products`). No GPU "
        "was at hand: nothing was measured on one.",
        "",
        *(f"{peer} is missing: its environment could not be made.\n" for peer in absent),
        *(line for machine, own in machines.items() for line in (f"## {machine}\n", *(table.text for table in own))),
    ]
    if (folder / "growth.svg").is_file():
        lines += [
            "## How cost grows",
            "",
            "Our public path in float32 (784 x 500, batch 100, one epoch, setting up included): microseconds per "
            "image. Dotted: in proportion.",
            "",
        ]
        lines += ["![microseconds per image against sizes](growth.svg)"]
    (folder / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def write_growth(folder: Path, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """One small picture per axis, logarithmic both ways; dotted: in proportion to the size, from its largest down."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(2.7 * len(curves), 2.8), sharey=True, layout="constrained")
    for ax, (name, points) in zip(axes, curves.items(), strict=True):
        sizes, seconds = zip(*points, strict=True)
        ax.loglog(sizes, [1e6 * value for value in seconds], "o-")
        if name not in ("images", "images in a minibatch"):  # an image costs what it costs
            ax.loglog(sizes, [1e6 * seconds[-1] * size / sizes[-1] for size in sizes], ":", color="grey", linewidth=1)
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes], fontsize=8)
        ax.minorticks_off()
        ax.set_xlabel(name)
    axes[0].set_ylabel("microseconds per image")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "growth.svg", metadata={"Date": None})
    plt.close(figure)
