"""Do bfloat16 and TF32 cost anything but bits? ``make precision``: MNIST, seed by seed, in float32 and in bfloat16.

Trains an RBM of 784 x 500 on all training images but 10000, estimates its likelihood by annealed importance sampling,
then unrolls it into 784-500-10 and fine-tunes that. Everything that is reported is computed in float32; only training
differs. ``--device gpu`` trains on a GPU, and in TF32 too. Writes ``PRECISION.md`` here. Needs MNIST: in the folder
that ``DBN_DATA`` names, or downloaded.
"""

import argparse
import datetime
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hydra
import torch

from dbn.commands.configuration import config_directory, resolve_config
from dbn.data.from_config import data_of
from dbn.likelihood import annealed_importance_sampling
from dbn.models.dbn import DBN
from dbn.models.model_file import DBN_FILE
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.random.streams import stream
from dbn.runs.run import software_and_machine
from finetune.report.comparison.statistics.mean_difference import estimate_difference
from finetune.runs.network_run import finetune

HERE = Path(__file__).resolve().parent
QUANTITIES = {
    "test error, %": 2,
    "test negative log-likelihood of the labels, nats": 4,
    "log-likelihood of test images by AIS, nats": 2,
    "free energy gap, validation less training, nats": 3,
    "reconstruction error of training images": 4,
}
"""What is compared, and to how many places."""


@dataclass(frozen=True)
class Length:
    """How long to train."""

    pretraining: int
    fine_tuning: int
    betas: int


def measure(precision: str, seed: int, length: Length, device: str, runs: str) -> dict[str, float]:
    """Train in one precision from one seed."""
    overrides = [
        "data=mnist", "arm=dbn", "stack.layers=[500]", f"stack.every_layer.epochs={length.pretraining}",
        f"training.epochs={length.fine_tuning}", "training.batch_size=100", "training.learning_rate=0.4",
        f"precision={precision}", f"seed={seed}", f"study={precision}", f"paths.runs={runs}",
        f"trainer.accelerator={device}",
    ]  # fmt: skip
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config: dict[str, Any] = resolve_config(hydra.compose("finetune", overrides))
    result = finetune(config)
    assert result["precision"][0] == precision
    directory = pretraining_directory(pretraining_config(config))
    (rbm,) = DBN.load(directory / DBN_FILE)
    data = data_of(config)
    test = data.test.features()
    z = annealed_importance_sampling(rbm, torch.linspace(0, 1, length.betas), 100, stream(seed, "ais"))
    with torch.no_grad():
        train, validation = data.train.sample(10000), data.validation.features()
        free_energy = float(rbm.free_energy(test).mean())
        gap = float(rbm.free_energy(validation).mean() - rbm.free_energy(train).mean())
        error = float((rbm.mean_visible(rbm.mean_hidden(train)) - train).square().sum(1).mean())
    values = (
        100 * result["metrics"]["test/error"], result["metrics"]["test/nll"], -free_energy - z.log_z, gap, error,
    )  # fmt: skip
    return dict(zip(QUANTITIES, values, strict=True))


def table(found: dict[str, dict[int, dict[str, float]]], reduced: str) -> list[str]:
    """Mean and standard deviation over seeds in float32 and ``reduced``, and the paired difference with its range."""
    lines = [f"| | float32 | {reduced} | {reduced} less float32 | 95 % interval |", "|---|---:|---:|---:|---:|"]
    for quantity, places in QUANTITIES.items():
        cells = [quantity]
        values = {p: {seed: own[quantity] for seed, own in seeds.items()} for p, seeds in found.items()}
        for precision in ("float32", reduced):
            own = torch.tensor(list(values[precision].values()), dtype=torch.float64)
            cells.append(f"{float(own.mean()):.{places}f} ± {float(own.std()):.{places}f}")
        difference = estimate_difference(values[reduced], values["float32"])
        assert difference is not None
        interval = difference.estimate.interval
        assert interval is not None
        cells.append(f"{difference.estimate.mean:+.{places}f}")
        cells.append(f"{interval.low:+.{places}f} to {interval.high:+.{places}f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12, help="how many (default 12, at least 2)")
    parser.add_argument("--quick", action="store_true", help="an epoch of each, to see that it runs")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="to train on")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for PRECISION.md")
    options = parser.parse_args()
    length = Length(1, 1, 100) if options.quick else Length(20, 20, 10000)
    reduced = ("bf16",) if options.device == "cpu" else ("bf16", "tf32")
    found: dict[str, dict[int, dict[str, float]]] = {precision: {} for precision in ("float32", *reduced)}
    with TemporaryDirectory() as runs:
        for seed in range(options.seeds):
            for precision, own in found.items():
                own[seed] = measure(precision, seed, length, options.device, runs)
                print(precision, seed, {name: round(value, 4) for name, value in own[seed].items()}, flush=True)
    cpu = software_and_machine(None)["machine"]["cpu"]
    device = cpu if options.device == "cpu" else torch.cuda.get_device_name()
    today = datetime.datetime.now().astimezone().strftime("%d %B %Y")
    lines = [
        "# Precision",
        "",
        f"`make precision` on {device}, {today}, torch {torch.__version__}. MNIST, 50000 training images, "
        f"seeds 0 to {options.seeds - 1}: an RBM of 784 x 500 ({length.pretraining} epochs of CD-1), its likelihood by "
        f"annealed importance sampling ({length.betas} temperatures, 100 chains), and 784-500-10 fine-tuned from it "
        f"({length.fine_tuning} epochs). Mean ± standard deviation over seeds; differences are paired by seed. "
        "Everything reported is computed in float32: what differs is the precision of the products in training. Free "
        "energies themselves are not compared: each is known up to the log Z of its own model, which likelihoods and "
        "the gap between two sets of images do not depend on.",
        "",
        *(line for precision in reduced for line in [*table(found, precision), ""]),
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "PRECISION.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
