"""Tables and figure of a benchmark."""

import ast
import hashlib
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import dbn
from dbn.runs.run import software_and_machine

REFERENCES = (
    "five products",
    "bare torch loop",
    "bare torch loop, convolutions",
    "four convolutions",
    "16 RBMs one after another",
    "16 networks one after another",
)


@dataclass(frozen=True)
class Table:
    """One contest with one number of threads.

    Attributes:
        title: what was done.
        speeds: images per second of each subject: median, lowest and highest over the rounds.
        rounds: how many.
        date: of the measurement.
        machine: where.
        code: fingerprint of the code that was measured, see :func:`fingerprint`.
    """

    title: str
    speeds: Mapping[str, Sequence[float]]
    rounds: int
    date: str
    machine: str
    code: str = ""

    @classmethod
    def of(cls, title: str, measured: Mapping[str, Sequence[float]], date: str) -> "Table":
        """From images per second of each subject, round by round, measured on this machine."""
        speeds = {s: [statistics.median(values), min(values), max(values)] for s, values in measured.items()}
        machine = software_and_machine(None)["machine"]
        where = f"{machine['cpu']}, {machine['cores']} cores"
        return cls(title, speeds, len(next(iter(measured.values()))), date, where, fingerprint())

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
        return "\n".join([*lines, *(f"\n{words}" for words in self.verdicts()), ""])

    def verdicts(self) -> list[str]:
        """For each subject that was measured in float32, bf16 and auto, whether auto is the faster one."""
        best = {subject: high for subject, (_, _, high) in self.speeds.items()}
        titles = [subject.removesuffix(", bf16") for subject in best if subject.endswith(", bf16")]
        return [verdict(title, *(best[f"{title}, {p}"] for p in ("float32", "bf16", "auto"))) for title in titles]


TOLERANCE = 0.03
"""By how much ``auto`` may be slower than the faster of float32 and bf16."""


def verdict(title: str, float32: float, bf16: float, auto: float) -> str:
    """Whether ``precision=auto`` chose right, from images per second in the best round of each."""
    right = auto >= (1 - TOLERANCE) * max(float32, bf16)
    words = "the table chose right" if right else f"THE TABLE CHOSE WRONG: {'bf16' if bf16 > float32 else 'float32'}"
    return f"{title}, best rounds: auto {auto / float32:.2f} of float32, {auto / bf16:.2f} of bf16; {words}."


MEASURED_CODE = (
    "dbn/data", "dbn/fitting", "dbn/machine", "dbn/models", "dbn/pretraining", "dbn/random", "dbn/samplers",
    "finetune/networks", "finetune/runs", "finetune/tasks",
)  # fmt: skip


@cache
def fingerprint() -> str:
    """Of the code whose speed is measured; comments, docstrings and layout do not matter."""
    source = Path(dbn.__path__[0]).parent
    files = [file for folder in MEASURED_CODE for file in sorted((source / folder).rglob("*.py"))]
    found = hashlib.sha256()
    for file in [
        *files,
        *(Path(__file__).with_name(f"{name}.py") for name in ("subjects", "convolution_subjects", "bare_loop")),
    ]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        found.update(f"{file.name} {ast.dump(tree)}".encode())
    return found.hexdigest()[:16]


def write_results(folder: Path, tables: Sequence[Table], absent: Sequence[str]) -> None:
    """Put tables into ``results.json``, over those of the same title and machine, and write ``RESULTS.md`` from all.

    Stored tables of other code are dropped: their figures are no longer those of this package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "results.json"
    stored = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else []
    kept = [table for table in (Table(**entry) for entry in stored) if table.code == fingerprint()]
    known = {(table.machine, table.title): table for table in [*kept, *tables]}
    store.write_text(json.dumps([asdict(table) for table in known.values()], indent=1) + "\n", encoding="utf-8")
    machines = {machine: [table for table in known.values() if table.machine == machine] for machine, _ in known}
    names = ("torch", "numpy", "scikit-learn", "pytorch-lightning", "layerwise-dbn")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    lines = [
        "# Speed",
        "",
        f"`make bench` on {platform.platform()}; Python {platform.python_version()}, {versions}. Medians over rounds "
        "after a warm-up, all subjects in turn in each round. `auto` takes float32 or bf16 by a table of measurements "
        "on processors of this kind (`dbn.machine.precision_table`). Of the two libraries in torch, MKL "
        "and oneDNN, the first takes the bare five products; `faster library` and we take the second where it is "
        "faster (`dbn.machine.products`). Nothing here was measured on a GPU.",
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
