"""What is measured on a GPU. A part is a function that yields what it measured as soon as it has it.

Every timing covers at least :attr:`Setup.seconds` of steps, after a warm-up, and waits for the device at its end.
"""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import subjects
import torch
from torch import Tensor

from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.data.group_loader import join_loaders
from dbn.fitting import block_module
from dbn.fitting.block_module import BlockModule
from dbn.fitting.trainer import fit_resumably, loader_context, make_trainer, quiet
from dbn.machine.cuda_graphs import recorder_for
from dbn.models.rbm import RBM
from dbn.pretraining import LayerSettings
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.samplers import ContrastiveDivergence
from finetune.networks.group import group_networks
from finetune.networks.network import Network
from finetune.tasks import Classifier
from finetune.tasks.learning_rate_schedule import Schedule
from finetune.tasks.settings import TrainingSettings

SHAPES = [(784, 500, 100), (784, 500, 1024), (784, 500, 4096), (500, 2000, 100), (4096, 4096, 4096)]
"""Visible units, hidden units, images in a minibatch."""
EVER = 10**6
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Setup:
    """Where and how long.

    Attributes:
        device: ``cuda`` or ``cpu``.
        seconds: of steps in each timing.
        tiny: sizes of a rehearsal.
    """

    device: str
    seconds: float
    tiny: bool

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Of RBMs."""
        return [(20, 10, 5), (30, 8, 7)] if self.tiny else SHAPES


def ours(setup: Setup) -> list[str]:
    """Precisions that the device has."""
    return ["float32", "tf32", "bf16"] if setup.device == "cuda" else ["float32", "bf16"]


@dataclass(frozen=True)
class Measured:
    """One number.

    Attributes:
        table: what was done.
        subject: by what.
        value: how fast or how long.
        unit: of the value.
    """

    table: str
    subject: str
    value: float
    unit: str


Part = Callable[[Setup], Iterator[Measured]]


def rate(setup: Setup, work: Callable[[], int], seconds: float | None = None) -> float:
    """What ``work`` returns, a second."""
    work()
    wait(setup)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < (seconds or setup.seconds):
        done += work()
        wait(setup)
    return done / (time.perf_counter() - start)


def wait(setup: Setup) -> None:
    """Until the device has done everything."""
    if setup.device == "cuda":
        torch.cuda.synchronize()


def recorded(setup: Setup, work: Callable[[], None]) -> Callable[[], None]:
    """``work`` as a CUDA graph; on a CPU itself."""
    recorder = recorder_for(torch.device(setup.device))
    if recorder is None:
        return work
    recorder.warm_up(work)
    return recorder.record(work, [])


def title(n_visible: int, n_hidden: int, batch: int) -> str:
    """Of an RBM's table."""
    return f"RBM {n_visible} x {n_hidden}, batch {batch}"


def products(setup: Setup) -> Iterator[Measured]:
    """The five bare products of a step of contrastive divergence, a hundred times in a CUDA graph."""
    times = 2 if setup.tiny else 100
    for n_visible, n_hidden, batch in setup.shapes:
        for precision in ("float32", "tf32", "bf16"):
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            options: Any = {"device": setup.device, "dtype": torch.bfloat16 if precision == "bf16" else torch.float32}
            v, v1 = torch.rand(batch, n_visible, **options), torch.empty(batch, n_visible, **options)
            h, h1 = torch.empty(batch, n_hidden, **options), torch.empty(batch, n_hidden, **options)
            weight = torch.rand(n_visible, n_hidden, **options) * 0.01
            gradient = torch.empty_like(weight)
            arguments = (v, v1, h, h1, weight, gradient)
            replay = recorded(setup, lambda arguments=arguments: [five(*arguments) for _ in range(times)] and None)
            speed = rate(setup, lambda replay=replay, n=times * batch: replay() or n, setup.seconds / 4)
            yield Measured(title(n_visible, n_hidden, batch), f"five products, {precision}", speed, "images/s")
    torch.set_float32_matmul_precision("highest")


def five(v: Tensor, v1: Tensor, h: Tensor, h1: Tensor, weight: Tensor, gradient: Tensor) -> None:
    """Fields of both layers and of the hidden one again, and the gradient in two."""
    torch.mm(v, weight, out=h)
    torch.mm(h, weight.T, out=v1)
    torch.mm(v1, weight, out=h1)
    torch.mm(v.T, h, out=gradient)
    gradient.addmm_(v1.T, h1)


def step(setup: Setup) -> Iterator[Measured]:
    """Our training step on small minibatches on the device, launched one by one."""
    for n_visible, n_hidden, batch in (shape for shape in setup.shapes if shape[-1] < 1000):
        for precision in ours(setup):
            rbm = new_rbm(n_visible, n_hidden).to(setup.device)
            settings, sampler = LayerSettings(n_hidden=n_hidden), ContrastiveDivergence()
            optimizer: Any = RBMTraining(rbm, settings, sampler).configure_optimizers()
            take_step = ContrastiveStep(rbm, sampler, precision)
            generator, v = torch.Generator(setup.device), torch.rand(batch, n_visible, device=setup.device)

            def work(take_step: Any = take_step, v: Tensor = v, optimizer: Any = optimizer, g: Any = generator) -> int:
                for _ in range(20):
                    take_step(v, optimizer, g)
                return 20 * len(v)

            yield Measured(
                title(n_visible, n_hidden, batch), f"our step launched, {precision}", rate(setup, work), "images/s"
            )


def new_rbm(n_visible: int, n_hidden: int) -> RBM:
    """Of binary units."""
    from dbn.models.units import Bernoulli

    return RBM(Bernoulli(n_visible), Bernoulli(n_hidden))


class Clock(pl.Callback):
    """Counts steps for some seconds, from the third epoch on: by then everything is recorded; then ends the fit."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.steps = 0
        self.start = self.seconds = 0.0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """After an epoch."""
        if trainer.current_epoch < 2:
            wait(self.setup)
            self.start = time.perf_counter()
            return
        wait(self.setup)
        self.seconds = time.perf_counter() - self.start
        self.steps += pl_module.steps_in_epoch
        trainer.should_stop |= self.seconds >= self.setup.seconds


def steps_per_second(setup: Setup, module: BlockModule, images: Images, graphs: bool) -> float:
    """Of a module in Lightning's loop, with blocks of images on the device; without checkpoints or validation."""
    clock = Clock(setup)
    accelerator = "gpu" if setup.device == "cuda" else "cpu"
    with quiet(), recording(graphs):
        trainer = make_trainer(
            directory=None, max_epochs=EVER, callbacks=[clock], options={"accelerator": accelerator, "devices": 1}
        )
        images = images.to(setup.device)
        context = loader_context(trainer)
        loaders = [BlockLoader(images, batch_size=module.batch_size, seed=seed, **context) for seed in module.seeds]
        module.steps_in_epoch = loaders[0].n_minibatches  # type: ignore[assignment]
        fit_resumably(trainer, module, join_loaders(loaders), None, None)
    return clock.steps / clock.seconds


@contextmanager
def recording(wanted: bool) -> Iterator[None]:
    """Whether steps are recorded."""
    before = block_module.recorder_for
    if not wanted:
        block_module.recorder_for = lambda device: None
    try:
        yield
    finally:
        block_module.recorder_for = before


def noise_images(setup: Setup, n_features: int, batch: int) -> Images:
    """Bytes and labels: an epoch of some hundred minibatches of up to 60000 images, or of a few large ones."""
    n = 4 * batch if setup.tiny else max(4 * batch, min(60000, MOST_BYTES // n_features))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, n_features), dtype=np.uint8))
    return Images(pixels, torch.arange(n) % 10, torch.tensor(0.0), torch.tensor(1 / 255))


def pretraining(setup: Setup, n_seeds: int, shape: tuple[int, int, int], precision: str, graphs: bool) -> float:
    """Images a second, of all seeds."""
    n_visible, n_hidden, batch = shape
    rbms = [new_rbm(n_visible, n_hidden) for _ in range(n_seeds)]
    settings = LayerSettings(n_hidden=n_hidden, batch_size=batch, initial_momentum=0.9, learning_rate=0.01)
    module = RBMTraining(
        rbms[0] if n_seeds == 1 else RBM.group(rbms), settings, ContrastiveDivergence(), seeds=range(n_seeds),
        precision=precision,
    )  # fmt: skip
    return batch * n_seeds * steps_per_second(setup, module, noise_images(setup, n_visible, batch), graphs)


def public(setup: Setup) -> Iterator[Measured]:
    """Pretraining in Lightning's loop, with CUDA graphs and without."""
    for shape in setup.shapes:
        for precision in ours(setup):
            for graphs in (True, False) if shape[-1] < 1000 and precision == "float32" else (True,):
                name = f"our pretraining{'' if graphs else ' without graphs'}, {precision}"
                yield Measured(title(*shape), name, pretraining(setup, 1, shape, precision, graphs), "images/s")


def seeds(setup: Setup) -> Iterator[Measured]:
    """16 seeds together."""
    n = 3 if setup.tiny else 16
    for shape in setup.shapes[:1] if setup.tiny else [SHAPES[0], (64, 100, 10)]:
        for n_seeds in (1, n):
            speed = pretraining(setup, n_seeds, shape, "float32", graphs=True)
            yield Measured(f"{n} seeds of {title(*shape)}", f"{n_seeds} at once", speed, "images/s")


def fine_tuning(setup: Setup) -> Iterator[Measured]:
    """A network with dropout under a schedule of every step, with CUDA graphs and without; one seed and 16."""
    sizes = [20, 8, 10] if setup.tiny else list(subjects.NETWORK)
    for batch in (5,) if setup.tiny else (100, 1000):
        for n_seeds in (1, 3 if setup.tiny else 16) if batch <= 100 else (1,):
            for precision in ours(setup) if n_seeds == 1 else ours(setup)[:1]:
                for graphs in (True, False) if precision == "float32" else (True,):
                    networks = [Network.dense(sizes, dropout_hidden=0.5) for _ in range(n_seeds)]
                    settings = TrainingSettings(epochs=EVER, batch_size=batch, weights="last", max_norm=4.0)
                    images = noise_images(setup, sizes[0], batch)
                    module = Classifier(
                        group_networks(networks), settings, optimizer=nesterov, seeds=range(n_seeds),
                        steps_per_epoch=-(-len(images) // batch), schedule=cosine(), precision=precision,
                    )  # fmt: skip
                    speed = steps_per_second(setup, module, images, graphs)
                    words = [f"{n_seeds} seeds"] * (n_seeds > 1) + ["without graphs"] * (not graphs) + [precision]
                    table = f"Fine-tuning {'-'.join(map(str, sizes))} with dropout, batch {batch}"
                    yield Measured(table, ", ".join(words), speed, "steps/s")


def nesterov(groups: Any, lr: float) -> torch.optim.Optimizer:
    """The default optimiser."""
    from dbn.machine.optimizer import SGD

    return SGD(groups, lr=lr, momentum=0.9, nesterov=True)


def cosine() -> Schedule:
    """Half a cosine over all of training, step by step."""
    return Schedule(torch.optim.lr_scheduler.CosineAnnealingLR, length="T_max")


def peers(setup: Setup) -> Iterator[Measured]:
    """The libraries ``rbms`` and ``learnergy`` where they are installed."""
    makers = {"rbms": subjects.rbms, "learnergy": subjects.learnergy}
    for peer, make in makers.items():
        if importlib.util.find_spec(peer) is None:
            print(f"{peer} is not installed: left out", flush=True)
            continue
        for n_visible, n_hidden, batch in setup.shapes[:2] if peer == "rbms" else setup.shapes[:1]:
            work = make(n_visible, n_hidden, batch, 20 * batch, "noise", device=setup.device)
            yield Measured(title(n_visible, n_hidden, batch), peer, rate(setup, work), "images/s")


def one_command(setup: Setup) -> Iterator[Measured]:
    """The best-known network as a process, from its start to its result."""
    yield from command(setup, "one seed", ["seed=0"])


def command_of_16_seeds(setup: Setup) -> Iterator[Measured]:
    """16 of them at once."""
    n = 2 if setup.tiny else 16
    yield from command(setup, f"{n} seeds", ["seed=10", f"n_parallel_seeds={n}"])


def command(setup: Setup, name: str, overrides: list[str]) -> Iterator[Measured]:
    """``dbn-finetune`` in a folder of its own."""
    chosen = ["experiment=mnist_2006", "arm=dbn", "trainer=gpu"]
    if setup.tiny:
        chosen = ["arm=dbn", "stack.layers=[12]", "stack.every_layer.epochs=2", "training.epochs=2"]
    arguments = [*chosen, *overrides, "progress=false"]
    with TemporaryDirectory() as folder:
        code = "from finetune.train import main; main()"
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(f"dbn-finetune ended with {done.returncode}")
        table = f"dbn-finetune {' '.join(chosen)}"
        yield Measured(table, f"{name}, whole process", seconds, "s")
        files = [json.loads(file.read_text()) for file in Path(folder).rglob("result.json")]
        trained = [result for result in files if "test/error" in result["metrics"]]
        yield Measured(table, f"{name}, fine-tuning", sum(result["seconds"] for result in trained), "s")
        errors = [100 * result["metrics"]["test/error"] for result in trained]
        yield Measured(table, f"{name}, mean test error", sum(errors) / len(errors), "%")


PARTS: dict[str, tuple[Part, int]] = {
    "products": (products, 60),
    "fine_tuning": (fine_tuning, 150),
    "step": (step, 130),
    "public": (public, 200),
    "seeds": (seeds, 60),
    "peers": (peers, 60),
    "one_command": (one_command, 90),
    "command_of_16_seeds": (command_of_16_seeds, 120),
}
"""What is measured, cheapest and riskiest first, and seconds that each may take."""
