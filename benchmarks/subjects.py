"""What is measured: for each subject a function that sets it up and returns the work, which returns images trained on.

All train one RBM by contrastive divergence with one Gibbs step (scikit-learn: persistent chains, which cost the same),
or one network by backpropagation. Every public path does all that its user gets by default.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from bare_loop import bare_loop
from convolution_subjects import convolution_bare, convolution_products, convolution_public, convolution_step

Work = Callable[[], int]


def images(n_visible: int, n: int, data: str) -> np.ndarray:
    """``(n, n_visible)`` uint8: MNIST, or noise of the same mean."""
    if data == "mnist":
        pixels: np.ndarray = np.load(Path(__file__).parent / ".environments" / "mnist.npy")
        return np.resize(pixels, (n, pixels.shape[1]))
    return np.random.default_rng(0).integers(0, 256, (n, n_visible), dtype=np.uint8)


def floats(pixels: np.ndarray, dtype: str) -> np.ndarray:
    """Pixels in [0, 1]."""
    return (pixels / 255).astype(dtype)


def products(n_visible: int, n_hidden: int, batch: int, n: int, data: str, *, faster: bool = False) -> Work:
    """The five matrix products of a contrastive divergence step and nothing else, into buffers.

    By the library that torch takes by itself, or by the one that is faster here, see :mod:`dbn.machine.products`.
    """
    from contextlib import nullcontext

    import torch

    from dbn.machine.products import faster_products

    v, v1 = torch.rand(batch, n_visible), torch.empty(batch, n_visible)
    h, h1 = torch.empty(batch, n_hidden), torch.empty(batch, n_hidden)
    weight, gradient = torch.randn(n_visible, n_hidden) * 0.1, torch.empty(n_visible, n_hidden)

    def work() -> int:
        with faster_products(batch * n_visible * n_hidden) if faster else nullcontext():
            for _ in range(n // batch):
                torch.mm(v, weight, out=h)
                torch.mm(h, weight.T, out=v1)
                torch.mm(v1, weight, out=h1)
                torch.mm(v.T, h, out=gradient)
                torch.addmm(gradient, v1.T, h1, out=gradient)
        return n // batch * batch

    return work


def step(n_visible: int, n_hidden: int, batch: int, n: int, data: str, precision: str = "float32") -> Work:
    """Our training step on minibatches that lie in memory."""
    import torch

    from dbn import RBM
    from dbn.machine.precision import choose_precision
    from dbn.models.units import Bernoulli
    from dbn.pretraining import LayerSettings
    from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
    from dbn.samplers import ContrastiveDivergence

    rbm, settings = RBM(Bernoulli(n_visible), Bernoulli(n_hidden)), LayerSettings(n_hidden=n_hidden)
    sampler = ContrastiveDivergence()
    optimizer = RBMTraining(rbm, settings, sampler).configure_optimizers()
    for group in optimizer.param_groups:
        group["momentum"] = settings.momentum_at(0)  # as a fit sets it at the start of each epoch
    choice = choose_precision(precision, rbm.connection, batch, torch.device("cpu"), "rbm")
    take_step, generator = ContrastiveStep(rbm, sampler, choice.precision), torch.Generator()
    minibatches = torch.from_numpy(floats(images(n_visible, 10 * batch, data), "float32")).split(batch)

    def work() -> int:
        for number in range(n // batch):
            take_step(minibatches[number % 10], optimizer, generator)
        return n // batch * batch

    return work


def public(
    n_visible: int,
    n_hidden: int,
    batch: int,
    n: int,
    data: str,
    *,
    precision: str = "float32",
    epochs: int | None = None,
    k: int = 1,
    n_layers: int = 1,
    accelerator: str = "cpu",
) -> Work:
    """Our public path: data set, Trainer, blocks, monitoring, metrics file, checkpoints.

    A small layer is trained for the 30 epochs that are its default: setting up takes as long as some of its epochs.
    """
    from dbn.runs.tracking import Tracker

    if epochs is None:
        epochs = 30 if n_visible * n_hidden < 10000 else 4
    dataset = data_set(images(n_visible, n, data), images(n_visible, 2000, data))

    def work() -> int:
        from dbn.pretraining import LayerSettings, RBMPretraining, pretrain_stack
        from dbn.samplers import ContrastiveDivergence

        with tempfile.TemporaryDirectory() as folder:
            layer = LayerSettings(n_hidden=n_hidden, batch_size=batch, epochs=epochs)
            pretrain_stack(
                dataset, [layer] * n_layers, method=RBMPretraining(partial(ContrastiveDivergence, steps=k)),
                precision=precision, directory=Path(folder), tracker=Tracker(Path(folder)), progress=False,
                trainer_options={"accelerator": accelerator, "devices": 1},
            )  # fmt: skip
        return n * epochs

    return work


def seeds(n_visible: int, n_hidden: int, batch: int, n: int, data: str, *, at_once: bool, n_seeds: int = 16) -> Work:
    """Our public path for several seeds: trained together, or one after another."""
    from dbn.pretraining import StackRun
    from dbn.runs.tracking import Tracker

    dataset = data_set(images(n_visible, n, data), images(n_visible, 500, data))

    def work() -> int:
        from dbn.pretraining import LayerSettings, pretrain_stacks

        with tempfile.TemporaryDirectory() as folder:
            layer = LayerSettings(n_hidden=n_hidden, batch_size=batch, epochs=5)
            homes = [Path(folder) / str(seed) for seed in range(n_seeds)]
            runs = [StackRun(seed, home, Tracker(home)) for seed, home in enumerate(homes)]
            for group in [runs] if at_once else [[run] for run in runs]:
                directory = Path(folder) / "together" if at_once else group[0].directory
                pretrain_stacks(dataset, [layer], group, directory=directory, progress=False)
        return n * n_seeds * 5

    return work


def data_set(train: np.ndarray, held_out: np.ndarray, labels: np.ndarray | None = None) -> Any:
    """A data set of ours from pixels."""
    import torch

    from dbn.data import DataSet, Images

    def split(pixels: np.ndarray) -> Images:
        own = None if labels is None else torch.from_numpy(np.resize(labels, len(pixels)))
        return Images(torch.from_numpy(pixels), own, torch.tensor(0.0), torch.tensor(1 / 255))

    classes = () if labels is None else tuple("0123456789")
    return DataSet("bench", split(train), split(held_out), split(held_out), (1, 1, train.shape[1]), classes, 255.0)


def sklearn(n_visible: int, n_hidden: int, batch: int, n: int, data: str, dtype: str = "float32") -> Work:
    """scikit-learn's BernoulliRBM."""
    from sklearn.neural_network import BernoulliRBM

    X = floats(images(n_visible, n, data), dtype)
    rbm = BernoulliRBM(n_hidden, learning_rate=0.05, batch_size=batch, n_iter=1, random_state=0)

    def work() -> int:
        rbm.fit(X)
        return n

    return work


def learnergy(n_visible: int, n_hidden: int, batch: int, n: int, data: str, device: str = "cpu") -> Work:
    """Learnergy's RBM."""
    import logging

    import torch
    from learnergy.models.bernoulli import RBM

    logging.disable(logging.CRITICAL)
    X = torch.from_numpy(floats(images(n_visible, n, data), "float32"))
    dataset = torch.utils.data.TensorDataset(X, torch.zeros(n))
    rbm = RBM(n_visible, n_hidden, steps=1, learning_rate=0.05, momentum=0.9, use_gpu=device == "cuda")

    def work() -> int:
        rbm.fit(dataset, batch_size=batch, epochs=1)
        return n

    return work


def rbms(n_visible: int, n_hidden: int, batch: int, n: int, data: str, device: str = "cpu") -> Work:
    """Rbms with its contrastive divergence sampler, as its own command sets it up."""
    import torch
    from rbms.dataset.dataset_class import RBMDataset
    from rbms.map_model import map_model
    from rbms.sampler import CD
    from rbms.training.pcd import train

    torch.set_float32_matmul_precision("high")  # its command does
    X = floats(images(n_visible, n, data), "float32")
    dataset = RBMDataset(X, np.zeros(n), np.ones(n), np.arange(n), "bench", "bernoulli", device=device)
    rbm = map_model["BBRBM"].init_parameters(num_hiddens=n_hidden, dataset=dataset, device=device, dtype=torch.float32)
    rbm.init_grad()
    optimizer = [torch.optim.SGD(rbm.parameters(), lr=0.05, maximize=True)]

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            updates = n // batch
            train(
                train_dataset=dataset, test_dataset=None, params=rbm, sampler=CD(rbm, num_steps=1),
                optimizer=optimizer, batch_size=batch, centered=False, curr_update=0,
                pre_grad_update=torch.nn.Sequential(), elapsed_time=0.0, checkpoints=np.array([]),
                num_updates=updates, filename=f"{folder}/model.h5",
            )  # fmt: skip
        return updates * batch

    return work


NETWORK = (784, 500, 500, 2000, 10)


def labels(n: int) -> np.ndarray:
    """``(n,)`` class numbers."""
    return np.random.default_rng(1).integers(0, 10, n)


def network_bare(batch: int, n: int, data: str) -> Work:
    """A network of sigmoid units in the plainest torch loop."""
    import torch
    from torch import nn

    parts = [module for a, b in pairwise(NETWORK) for module in (nn.Linear(a, b), nn.Sigmoid())]
    X, y = torch.from_numpy(floats(images(784, n, data), "float32")), torch.from_numpy(labels(n))
    return bare_loop(nn.Sequential(*parts[:-1]), X, y, batch)


def layer(n_visible: int, n_hidden: int, batch: int, n: int, data: str, precision: str = "float32") -> Work:
    """Forward and backward pass of a layer of weights in the middle of a network."""
    import torch

    from dbn.machine.precision import choose_precision
    from dbn.machine.products import faster_products
    from dbn.models.linear import Linear

    own = Linear(n_visible, n_hidden)
    own.precision = choose_precision(precision, own, batch, torch.device("cpu"), "network").precision
    x, gradient = torch.rand(batch, n_visible, requires_grad=True), torch.randn(batch, n_hidden)

    def work() -> int:
        for _ in range(n // batch):
            outputs = own(x)
            with faster_products(batch * own.operations):
                outputs.backward(gradient)
            x.grad = own.weight.grad = own.bias.grad = None
        return n // batch * batch

    return work


def network_public(
    batch: int, n: int, data: str, precision: str = "float32", accelerator: str = "cpu", epochs: int = 2
) -> Work:
    """Our fine-tuning as the command runs it, validation, metrics file and checkpoints included."""
    import hydra

    from dbn.commands.configuration import config_directory, resolve_config
    from dbn.runs.tracking import Tracker
    from finetune.networks.network import Network
    from finetune.runs.fitting import fit_networks
    from finetune.tasks.settings import TrainingSettings

    overrides = [
        f"precision={precision}", "arm=random_sigmoid", f"training.epochs={epochs}", f"training.batch_size={batch}",
        "training.weights=last", "progress=false", f"trainer.accelerator={accelerator}",
    ]  # fmt: skip
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = resolve_config(hydra.compose("finetune", overrides))
    dataset = data_set(images(784, n, data), images(784, 2000, data), labels(n))

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingSettings(**config["training"])
            fit_networks([Network.dense(NETWORK)], [dataset], settings, [config], Path(folder), [Tracker(Path(folder))])
        return epochs * n

    return work


def network_seeds(batch: int, n: int, data: str, *, at_once: bool, n_seeds: int = 16) -> Work:
    """Our fine-tuning of 64-100-10 for several seeds: trained together, or one after another."""
    import hydra

    from dbn.commands.configuration import config_directory, resolve_config
    from dbn.runs.tracking import Tracker
    from finetune.networks.network import Network
    from finetune.runs.fitting import fit_networks
    from finetune.tasks.settings import TrainingSettings

    overrides = ["arm=random_relu", "training.epochs=5", f"training.batch_size={batch}", "progress=false"]
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        configs = [resolve_config(hydra.compose("finetune", [*overrides, f"seed={seed}"])) for seed in range(n_seeds)]
    dataset = data_set(images(64, n, data), images(64, 500, data), labels(n))
    settings = TrainingSettings(**configs[0]["training"])

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            for group in [configs] if at_once else [[config] for config in configs]:
                homes = [Path(folder) / str(config["seed"]) for config in group]
                networks, sets = [Network.dense([64, 100, 10]) for _ in group], [dataset] * len(group)
                fit_networks(networks, sets, settings, group, homes[0] / "fit", [Tracker(home) for home in homes])
        return n * n_seeds * 5

    return work


def network_sklearn(batch: int, n: int, data: str) -> Work:
    """scikit-learn's MLPClassifier."""
    from sklearn.neural_network import MLPClassifier

    X, y = floats(images(784, n, data), "float32"), labels(n)
    net = MLPClassifier(
        NETWORK[1:-1], activation="logistic", solver="sgd", batch_size=batch, max_iter=1, momentum=0.9, alpha=0
    )

    def work() -> int:
        net.fit(X, y)
        return n

    return work


def with_precision(subject: Callable[..., Work], precision: str) -> Callable[..., Work]:
    """A subject in another precision."""
    return lambda **arguments: subject(**arguments, precision=precision)


SUBJECTS: dict[str, Callable[..., Work]] = {
    "five products": products,
    "five products, faster library": lambda **arguments: products(**arguments, faster=True),
    "scikit-learn, float32": sklearn,
    "scikit-learn, float64": lambda **arguments: sklearn(**arguments, dtype="float64"),
    "rbms": rbms,
    "learnergy": learnergy,
    "bare torch loop": network_bare,
    "bare torch loop, convolutions": convolution_bare,
    "four convolutions": convolution_products,
    "scikit-learn MLP": network_sklearn,
    "16 RBMs one after another": lambda **arguments: seeds(**arguments, at_once=False),
    "16 RBMs at once": lambda **arguments: seeds(**arguments, at_once=True),
    "16 networks one after another": lambda **arguments: network_seeds(**arguments, at_once=False),
    "16 networks at once": lambda **arguments: network_seeds(**arguments, at_once=True),
    **{
        f"{title}, {precision}": with_precision(subject, precision)
        for title, subject in (
            ("our step", step),
            ("our public path", public),
            ("our layer", layer),
            ("our fine-tuning", network_public),
            ("our fine-tuning of convolutions", convolution_public),
            ("our step of convolutions", convolution_step),
        )
        for precision in ("float32", "bf16", "tf32", "auto")
    },
}
