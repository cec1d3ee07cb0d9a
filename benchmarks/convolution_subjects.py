"""Convolutional networks and RBMs: bare torch, and our training of the same."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bare_loop import bare_loop

SHAPE = (1, 28, 28)
MAPS = (24, 40)
KERNEL, PADDING, POOL = 5, 2, 2
N_HIDDEN, N_CLASSES = 256, 10
"""The network of stack=convolutional on MNIST, with ReLU."""


def convolution_bare(batch: int, n: int, data: str) -> Callable[[], int]:
    """A convolutional ReLU network in the plainest torch loop, channels last, with torch's fused SGD."""
    import torch
    from subjects import floats, images, labels
    from torch import nn

    parts: list[nn.Module] = []
    for below, above in zip((SHAPE[0], *MAPS), MAPS, strict=False):
        parts += [nn.Conv2d(below, above, KERNEL, padding=PADDING), nn.MaxPool2d(POOL), nn.ReLU()]
    n_features = MAPS[-1] * (SHAPE[1] // POOL ** len(MAPS)) ** 2
    parts += [nn.Flatten(), nn.Linear(n_features, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, N_CLASSES)]
    net = nn.Sequential(*parts).to(memory_format=torch.channels_last)
    X = torch.from_numpy(floats(images(784, n, data), "float32")).view(-1, *SHAPE)
    return bare_loop(net, X.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels(n)), batch)


def convolution_public(batch: int, n: int, data: str, precision: str = "float32", epochs: int = 2) -> Callable[[], int]:
    """Our fine-tuning of that network as the command runs it, validation, metrics file and checkpoints included."""
    import hydra
    from subjects import data_set, images, labels

    from dbn.commands.configuration import config_directory, resolve_config
    from dbn.runs.tracking import Tracker
    from finetune.runs.fitting import fit_networks
    from finetune.runs.starting_networks import starting_points
    from finetune.tasks.settings import TrainingSettings

    overrides = [
        f"precision={precision}", "arm=conv_random_relu", f"training.epochs={epochs}", f"training.batch_size={batch}",
        "training.weights=last", "progress=false", "trainer.accelerator=cpu",
    ]  # fmt: skip
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = resolve_config(hydra.compose("finetune", overrides))
    dataset = replace(data_set(images(784, n, data), images(784, 200, data), labels(n)), shape=SHAPE)

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingSettings(**config["training"])
            (start,) = starting_points([config], dataset)
            fit_networks([start.network], [dataset], settings, [config], Path(folder), [Tracker(Path(folder))])
        return epochs * n

    return work


def convolution_products(batch: int, n: int, data: str) -> Callable[[], int]:
    """The convolutions of a step of contrastive divergence alone: up, down, up, and the weight's gradient; torch's own.

    The layer is the second of stack=convolutional on MNIST, on 14x14 positions of 24 maps; or, with data ``pixels``,
    its first, whose transposed convolution to one channel torch computes slowly.
    """
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    below, above, side = (1, MAPS[0], SHAPE[1]) if data == "pixels" else (MAPS[0], MAPS[1], SHAPE[1] // POOL)
    kind = {"memory_format": torch.channels_last}
    v = torch.rand(batch, below, side, side).round_().to(**kind)
    h = torch.rand(batch, above, side, side).round_().to(**kind)
    both_v, both_h = torch.cat([v, v]).to(**kind), torch.cat([h, h]).to(**kind)
    weight = torch.randn(above, below, KERNEL, KERNEL).mul_(0.01).to(**kind)
    mask = [False, True, False]

    @torch.inference_mode()
    def work() -> int:
        for _ in range(n // batch):
            F.conv2d(v, weight, None, 1, PADDING)
            F.conv_transpose2d(h, weight, None, 1, PADDING)
            F.conv2d(v, weight, None, 1, PADDING)
            torch.ops.aten.convolution_backward(
                both_h, both_v, weight, None, [1, 1], [PADDING] * 2, [1, 1], False, [0, 0], 1, mask
            )
        return n

    return work


def convolution_step(batch: int, n: int, data: str, precision: str = "float32") -> Callable[[], int]:
    """Our step of contrastive divergence of that layer, with probabilistic max-pooling."""
    import torch

    from dbn import RBM
    from dbn.machine.optimizer import SGD
    from dbn.machine.precision import choose_precision
    from dbn.models.connections import Convolution
    from dbn.models.units import make_units
    from dbn.pretraining.contrastive import ContrastiveStep
    from dbn.samplers import ContrastiveDivergence

    first = data == "pixels"
    shape = SHAPE if first else (SHAPE[1] // POOL, SHAPE[1] // POOL, MAPS[0])
    connection = Convolution(shape, MAPS[0] if first else MAPS[1], KERNEL, padding=PADDING, maps_first=first)
    connection.initialise(0.01)
    hidden = make_units(connection.units_of_hidden("bernoulli", POOL), connection.hidden_shape)
    rbm = RBM(make_units(connection.units_of_visible("bernoulli"), shape), hidden, connection)
    choice = choose_precision(precision, connection, batch, rbm.weight.device, connection.work)
    take_step, generator = ContrastiveStep(rbm, ContrastiveDivergence(), choice.precision), torch.Generator()
    optimizer = SGD(rbm.parameters(), lr=0.01, momentum=0.9)
    v = torch.rand(batch, rbm.n_visible).round_()

    @torch.inference_mode()
    def work() -> int:
        for _ in range(n // batch):
            take_step(v, optimizer, generator)
        return n

    return work
