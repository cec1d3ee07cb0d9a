"""Convolutional networks: the bare torch loop, and our fine-tuning of the same network."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    X = torch.from_numpy(floats(images(784, n, data), "float32")).view(-1, *SHAPE)
    X = X.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels(n))

    def work() -> int:
        for x, target in zip(X.split(batch), y.split(batch), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), target).backward()
            optimizer.step()
        return n

    return work


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
    dataset = replace(data_set(images(784, n, data), images(784, 2000, data), labels(n)), shape=SHAPE)

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingSettings(**config["training"])
            (start,) = starting_points([config], dataset)
            fit_networks([start.network], [dataset], settings, [config], Path(folder), [Tracker(Path(folder))])
        return epochs * n

    return work
