"""Fine-tuning steps replayed from a recording are the steps, whatever changes between them."""

import logging
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dbn.data import Images
from dbn.data.augment import Augment
from dbn.data.block_loader import BlockLoader
from dbn.data.group_loader import join_loaders
from dbn.fitting import block_module
from dbn.fitting.checkpoints import LastCheckpoint
from dbn.fitting.trainer import fit_resumably, loader_context, make_trainer, quiet
from dbn.machine import cuda_graphs
from dbn.machine.optimizer import SGD
from finetune.networks.group import group_networks
from finetune.networks.network import Network
from finetune.tasks import Autoencoder, Classifier, FineTuning
from finetune.tasks.learning_rate_schedule import Schedule
from finetune.tasks.settings import TrainingSettings
from recorded import CpuGraphs, Launched

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
STEPS = 5
"""Minibatches in a block; an epoch has two blocks of them and one of two minibatches, the last of them smaller."""
N = 10 * (2 * STEPS + 1) + 4
EXACT = 0.125
"""A learning rate, as are :func:`decaying` ones, that is the same number in float32, as a recording reads it, and in
Python's float64."""
CAPTURABLE = [
    (torch.optim.Adam, {"fused": True}), (torch.optim.Adam, {}), (torch.optim.AdamW, {"weight_decay": 0.1}),
    (torch.optim.Adamax, {}), (torch.optim.NAdam, {}), (torch.optim.RAdam, {}), (torch.optim.Rprop, {}),
    (torch.optim.ASGD, {}), (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
]  # fmt: skip
"""Torch's optimisers that can be recorded; two more, RMSprop and Adadelta, on a GPU only."""
ON_A_GPU = [*CAPTURABLE, (torch.optim.RMSprop, {}), (torch.optim.Adadelta, {})]


def decaying(step: int) -> float:
    """A factor, rounded to eight bits."""
    return round(256 * 0.9**step) / 256


nesterov = partial(SGD, momentum=0.9, nesterov=True, weight_decay=0.01)
by_step = Schedule(partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=decaying))
one_cycle = Schedule(
    partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.3, cycle_momentum=False), length="total_steps"
)
cycled_momentum = Schedule(partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.3), length="total_steps")


def images(device: str = "cpu") -> Images:
    """Pictures of 3 x 3 bytes and their labels."""
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(256, (N, 9), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (N,), generator=generator)
    return Images(pixels, labels, torch.tensor(2.0), torch.tensor(1 / 255)).to(device)


def fitted(
    *,
    optimizer: Any = nesterov,
    schedule: Schedule | None = by_step,
    n_seeds: int = 1,
    epochs: int = 3,
    task: type[FineTuning] = Classifier,
    change: Callable[[FineTuning], object] = lambda module: None,
    checkpoints: Path | None = None,
    augment: Augment | None = None,
    device: str = "cpu",
    precision: str = "float32",
    **settings: Any,
) -> FineTuning:
    """A module after a fit of networks with dropout."""
    torch.manual_seed(1)
    sizes = [9, 6, 5, 3] if task is Classifier else [9, 6, 9]
    network = group_networks([Network.dense(sizes, dropout_input=0.2, dropout_hidden=0.4) for _ in range(n_seeds)])
    training = TrainingSettings(epochs=4, batch_size=10, learning_rate=EXACT, weights="last", **settings)
    module = task(
        network, training, optimizer=optimizer, steps_per_epoch=-(-N // 10), schedule=schedule,
        augment=augment, shape=(1, 3, 3), seeds=range(n_seeds), precision=precision,
    )  # fmt: skip
    change(module)
    callbacks = [] if checkpoints is None else [LastCheckpoint(checkpoints, 1e9)]
    with quiet():
        accelerator = "cpu" if device == "cpu" else "gpu"
        trainer = make_trainer(
            directory=checkpoints, max_epochs=epochs, callbacks=callbacks, options={"accelerator": accelerator}
        )
        own = images(device)
        loaders = [
            BlockLoader(own, batch_size=10, minibatches_per_block=STEPS, seed=seed, **loader_context(trainer))
            for seed in range(n_seeds)
        ]
        fit_resumably(trainer, module, join_loaders(loaders), None, checkpoints)
    return module.cpu()


def recording(monkeypatch: pytest.MonkeyPatch, recorder: CpuGraphs | None = None) -> CpuGraphs:
    """Have steps recorded from now on."""
    recorder = recorder or CpuGraphs()
    monkeypatch.setattr(block_module, "recorder_for", lambda device: recorder)
    cuda_graphs.say_once.cache_clear()
    return recorder


def assert_equal(found: FineTuning, expected: FineTuning) -> None:
    """Weights, loss, counts of steps and the schedule's state, bit by bit."""
    for own, other in zip(found.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(own, other)
    assert torch.equal(found.train_loss.cpu(), expected.train_loss.cpu())
    assert found.train_images == expected.train_images
    assert found.trainer.global_step == expected.trainer.global_step
    assert found.latest == expected.latest
    if expected.lr_schedulers() is not None:
        assert found.lr_schedulers().state_dict() == expected.lr_schedulers().state_dict()
    for own, other in zip(groups(found), groups(expected), strict=True):
        assert own["lr"] == other["lr"]
        assert isinstance(own["lr"], float)


def groups(module: FineTuning) -> list[dict[str, Any]]:
    """The optimiser's parameter groups."""
    return module.lightning_optimizer().optimizer.param_groups


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schedule": None},
        {"n_seeds": 2},
        {"max_norm": 0.5, "label_smoothing": 0.1},
        {"loss": "squared"},
        {"loss": "perceptron"},
        {"task": Autoencoder},
        {"augment": Augment(rotation=20, translation=0.1)},
        {"augment": Augment(crop=1, flip=0.5, brightness=0.3, contrast=0.3)},
        {"precision": "bf16"},
        {"optimizer": partial(SGD, momentum=0.0)},
        {"optimizer": partial(torch.optim.SGD, momentum=0.9, fused=True)},
        {"optimizer": partial(torch.optim.Adam, fused=True)},
    ],
    ids=str,
)
def test_recorded_steps_are_those_taken_one_by_one(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rates that change at every step, in 8 of 9 blocks from two recordings."""
    expected = fitted(**options)
    recorder = recording(monkeypatch)
    assert_equal(fitted(**options), expected)
    assert (recorder.recordings, recorder.replays) == (2, 8)


def test_hidden_layers_that_begin_to_learn_get_another_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fitted(head_epochs=1)
    recorder = recording(monkeypatch)
    assert_equal(fitted(head_epochs=1), expected)
    assert (recorder.recordings, recorder.replays) == (4, 7)


@pytest.mark.parametrize(("kind", "options"), CAPTURABLE, ids=str)
def test_torch_s_optimisers_are_recorded(kind: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with steps launched one by one with the same settings: ``capturable`` has arithmetic of its own."""
    for name, module in sys.modules.items():  # torch has no need of it on a CPU
        if name.startswith("torch.optim.") and hasattr(module, "_get_capturable_supported_devices"):
            monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda **options: ["cpu"])
    optimizer = partial(kind, **options)
    recording(monkeypatch, Launched())
    expected = fitted(optimizer=optimizer, schedule=one_cycle)
    recorder = recording(monkeypatch)
    assert_equal(fitted(optimizer=optimizer, schedule=one_cycle), expected)
    assert (recorder.recordings, recorder.replays) == (2, 8)


def test_a_schedule_s_own_numbers_are_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to their rounding to float32, recorded steps follow torch's scheduler as any others do."""
    expected = fitted(schedule=one_cycle)
    recording(monkeypatch)
    found = fitted(schedule=one_cycle)
    for own, other in zip(found.network.parameters(), expected.network.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)
    assert found.lr_schedulers().state_dict() == expected.lr_schedulers().state_dict()


@pytest.mark.parametrize("optimizer", [nesterov, partial(torch.optim.Adam, fused=True)], ids=["sgd", "adam"])
def test_a_resumed_fit_ends_with_the_same_bits(optimizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"optimizer": optimizer, "schedule": one_cycle, "epochs": 4}
    recorder = recording(monkeypatch)
    expected = fitted(**options)
    fitted(**{**options, "epochs": 2}, checkpoints=tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert_equal(fitted(**options, checkpoints=tmp_path / "one"), expected)
    assert recorder.replays == 11 + 5 + 5
    monkeypatch.setattr(block_module, "recorder_for", lambda device: None)
    elsewhere = fitted(**options, checkpoints=tmp_path / "other")
    assert elsewhere.trainer.current_epoch == 4
    assert not any(group.get("capturable") for group in groups(elsewhere))


class Waiting(nn.Module):
    """A layer of one's own whose arithmetic depends on a number that the host reads."""

    def __init__(self, layer: nn.Module, from_step: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.weight, self.bias = layer.weight, layer.bias
        self.steps, self.from_step = 0, from_step

    def forward(self, x: Tensor) -> Tensor:
        self.steps += 1
        scale = x.mean().item() if self.steps > self.from_step else 0.5
        out: Tensor = self.layer(x) * (1.0 + scale)
        return out


def wait_in_first_layer(module: FineTuning, from_step: int = 0) -> None:
    """Replace its first layer."""
    block = module.network.blocks[0]
    block.layer = WaitingLayer(block.layer, from_step)


class WaitingLayer(Waiting):
    """With what a network asks of a layer."""

    precisions = ("float32",)
    precision = "float32"
    work = "network"

    @property
    def operations(self) -> int:
        return self.layer.operations

    def biases(self) -> list[nn.Parameter]:
        return self.layer.biases()


def hook_first_layer(module: FineTuning) -> None:
    """A user's hook, which changes what the layer computes."""
    module.network.blocks[0].layer.register_forward_hook(lambda layer, inputs, output: output * 2)


def hook_first_weight(module: FineTuning) -> None:
    """A user's hook, which changes a gradient."""
    module.network.blocks[0].layer.weight.register_hook(lambda gradient: gradient * 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": torch.optim.Adagrad}, "Adagrad is neither `capturable` nor the fused SGD"),
        ({"optimizer": torch.optim.SGD}, "SGD is neither `capturable` nor the fused SGD"),
        ({"schedule": cycled_momentum}, "a schedule changes more than learning rates within a block"),
        ({"change": wait_in_first_layer}, "a step makes the host wait for the device"),
        ({"change": partial(wait_in_first_layer, from_step=5)}, "recording them failed (operation not permitted"),
        ({"change": hook_first_layer}, "a layer has hooks"),
        ({"change": hook_first_weight}, "a layer has hooks"),
    ],
    ids=["adagrad", "sgd", "momentum", "waits", "waits later", "layer hook", "weight hook"],
)
def test_what_cannot_be_recorded_is_launched_one_by_one(
    options: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the results it has anyway, and one line that says why."""
    caplog.set_level(logging.WARNING, "dbn")
    expected = fitted(**options)
    recorder = recording(monkeypatch)
    found = fitted(**options)
    fitted(**options)
    assert recorder.replays == 0
    lines = [record.getMessage() for record in caplog.records if "launched one by one" in record.getMessage()]
    assert len(lines) == 1
    assert reason in lines[0]
    if "schedule" not in options:  # its rates are no numbers of float32
        assert_equal(found, expected)


@needs_cuda
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_seeds": 3, "max_norm": 0.5},
        {"precision": "bf16"},
        {"head_epochs": 1},
        {"schedule": None},
        {"task": Autoencoder},
        {"loss": "squared", "augment": Augment(rotation=20)},
        *({"optimizer": partial(kind, **own)} for kind, own in ON_A_GPU),
    ],
    ids=str,
)
def test_on_a_gpu_recorded_steps_are_those_launched_one_by_one(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"schedule": one_cycle, "device": "cuda", **options}
    found = fitted(**options)
    assert found.graphs is not None
    assert found.graphs.recordings
    monkeypatch.setattr(cuda_graphs.CudaGraphs, "record", lambda self, work, generators: work)
    assert_equal(found, fitted(**options))


@needs_cuda
@pytest.mark.parametrize(("from_step", "warned"), [(0, "makes the host wait"), (5, "recording them failed")])
def test_on_a_gpu_steps_that_wait_are_launched_one_by_one(
    from_step: int, warned: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after a recording that failed, whose generators draw what they would have."""
    change = partial(wait_in_first_layer, from_step=from_step)
    cuda_graphs.say_once.cache_clear()
    found = fitted(change=change, device="cuda")
    assert warned in caplog.text
    torch.rand(3, device="cuda")
    monkeypatch.setattr(block_module, "recorder_for", lambda device: None)
    assert_equal(found, fitted(change=change, device="cuda"))
