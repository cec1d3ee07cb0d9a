"""Types of one's own, each in one file outside of src/ (tests/own), go the whole way of the package's own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import (
    annealed_importance_sampling,
    log_partition_function,
    reverse_annealed_importance_sampling,
)
from dbn.models.phases import Phases
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.stack_run import pretrain, pretraining_config, pretraining_directory
from finetune.networks.network import Network
from finetune.runs.network_run import finetune, finetuning_directory
from helpers import Composer

OWN = Path(__file__).parent / "own"
HIDDEN = "stack.every_layer.hidden={_target_:magnet.Magnet,value:1.5}"
CONNECTION = "stack.every_layer.connection={_target_:masked.Masked,density:0.4}"
SAMPLER = ["sampler._target_=hot.Hot", "~sampler.sample_visible", "+sampler.beta=0.8", "sampler.steps=2"]
METHOD = ["method._target_=denoising.Denoising", "~method.sampler", "+method.corruption=0.2"]
SMALL = ["stack.layers=[12,8]", "stack.every_layer.epochs=3", "stack.every_layer.learning_rate=0.02"]
CHOICES = {"unit, connection, sampler": [HIDDEN, CONNECTION, *SAMPLER, *SMALL], "method": [*METHOD, *SMALL]}
EXPERIMENTS = {
    "unit, connection, sampler": """
stack:
  layers: [12, 8]
  every_layer:
    hidden: { _target_: magnet.Magnet, value: 1.5 }
    connection: { _target_: masked.Masked, density: 0.4 }
    epochs: 8
    learning_rate: 0.02
network: { activation: { _target_: magnet.MagnetActivation, value: 1.5 } }
sampler: { _target_: hot.Hot, beta: 0.8 }
training: { learning_rate: 0.03 }
""",
    "method": """
stack: { layers: [12, 8], every_layer: { epochs: 8 } }
method: { _target_: denoising.Denoising, corruption: 0.2 }
""",
}
UNUSED = {"unit, connection, sampler": "~sampler.sample_visible", "method": "~method.sampler"}
"""Arguments of the package's own sampler and method that those of one's own do not have."""
ACTIVATION = {
    "unit, connection, sampler": ["network.activation={_target_:magnet.MagnetActivation,value:1.5}"],
    "method": [],
}


@pytest.fixture(autouse=True)
def _own_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(OWN))


def magnet_hidden() -> RBM:
    from magnet import Magnet

    return RBM(Bernoulli(5), Magnet(4, value=1.5))


def magnet_visible() -> RBM:
    from magnet import Magnet

    return RBM(Magnet(5, value=0.5), Bernoulli(4))


def masked() -> RBM:
    from masked import Masked

    return RBM(Bernoulli(5), Bernoulli(4), Masked((5,), 4, density=0.4))


def randomised(make: Callable[[], RBM]) -> RBM:
    """In float64, with weights and biases away from zero."""
    rbm, generator = make().double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return rbm


def log_sum_over_hidden(rbm: RBM, v: Tensor) -> Tensor:
    """``log sum_h exp(-E(v, h))``, one state after the other."""
    each = [-rbm.energy(v, h.expand(len(v), -1)) for h in rbm.hidden.states()]
    return torch.logsumexp(torch.stack(each), 0)


@pytest.mark.parametrize("make", [magnet_hidden, magnet_visible, masked])
def test_exact_checks(make: Callable[[], RBM]) -> None:
    """Free energy against summation, gradient against autograd, Gibbs sampling against the enumerated distribution."""
    rbm = randomised(make)
    states = rbm.visible.states()
    torch.testing.assert_close(-rbm.free_energy(states), log_sum_over_hidden(rbm, states), rtol=0, atol=1e-10)

    data, model = states[::2], states[1::2]
    expected = torch.autograd.grad(rbm.free_energy(data).mean() - rbm.free_energy(model).mean(), list(rbm.parameters()))
    phases = Phases(rbm, len(data))
    with torch.no_grad():
        for phase, v in ((phases.positive, data), (phases.negative, model)):
            phase.v.copy_(v)
            phase.condition_on_visible(rbm)
        phases.write_gradient(rbm)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)

    n = 200_000
    for beta in (1.0, 0.5):
        probability = torch.softmax(-rbm.free_energy(states, beta).detach(), 0)
        generator = torch.Generator().manual_seed(1)
        v = states[torch.multinomial(probability, n, replacement=True, generator=generator)]
        moved = rbm.gibbs(v, 4, generator, beta)
        counts = (moved[:, None] == states[None]).all(-1).sum(0)
        floor = (2 / torch.pi * probability * (1 - probability) / n).sqrt().sum() / 2  # of n exact draws
        assert (counts / n - probability).abs().sum() / 2 < 4 * floor


@pytest.mark.parametrize("make", [magnet_hidden, magnet_visible, masked])
def test_moments_and_partition_function(make: Callable[[], RBM]) -> None:
    """Means against a million draws, within five standard errors; log Z between annealing up and down."""
    rbm, n = randomised(make), 1_000_000
    generator = torch.Generator().manual_seed(2)
    for units in (rbm.visible, rbm.hidden):
        field = torch.randn(units.size, generator=generator, dtype=torch.float64)
        draws = units.sample(field.expand(n, -1), generator)
        assert ((draws.mean(0) - units.mean(field)).abs() < 5 * draws.std(0) / n**0.5).all()
    states, betas = rbm.visible.states(), torch.linspace(0, 1, 200)
    exact = float(log_partition_function(rbm))
    assert exact == pytest.approx(float(torch.logsumexp(-rbm.free_energy(states).detach(), 0)), abs=1e-10)
    up = annealed_importance_sampling(rbm, betas, 2000, generator)
    assert abs(up.log_z - exact) < 4 * up.log_z_standard_error
    probability = torch.softmax(-rbm.free_energy(states).detach(), 0)
    v = states[torch.multinomial(probability, 2000, replacement=True, generator=generator)]
    down = reverse_annealed_importance_sampling(rbm, v, betas, generator)
    assert up.bound - 4 * up.bound_standard_error < exact < down.bound + 4 * down.bound_standard_error


@pytest.mark.parametrize("choice", list(CHOICES))
def test_from_the_command_to_the_network_s_file(choice: str, tmp_path: Path) -> None:
    """By ``_target_`` in a configuration of one's own: pretraining, the DBN file, unrolling, fine-tuning."""
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"# @package _global_\n{EXPERIMENTS[choice]}")
    command = [
        sys.executable, "-m", "finetune.train", "--config-dir", "conf", "experiment=mine", "arm=dbn", "progress=false",
        "training.epochs=40", UNUSED[choice],
    ]  # fmt: skip
    path = os.pathsep.join([str(OWN), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (result_file,) = tmp_path.glob("runs/*/finetune/*/result.json")
    result = json.loads(result_file.read_text())
    assert result["metrics"]["test/error"] < 0.5  # chance is 0.9

    (stack_file,) = tmp_path.glob("runs/*/pretrain/*/dbn.safetensors")
    (network_file,) = tmp_path.glob("runs/*/finetune/*/network.safetensors")
    script = f"import dbn; dbn.DBN.load({str(stack_file)!r})"
    refused = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert "ModelFileError" in refused.stderr  # a file imports nothing
    assert "Import the module" in refused.stderr
    import denoising  # noqa: F401
    import magnet  # noqa: F401
    import masked  # noqa: F401

    stack, trained = DBN.load(stack_file), Network.load(network_file)
    assert stack.sizes == [64, 12, 8]
    assert stack.scaling is not None
    assert trained.sizes == [64, 12, 8, 10]
    from dbn.data import digits, load_data

    data = load_data(digits())
    assert data.test.labels is not None
    error = float((trained.predict(data.test) != data.test.labels).double().mean())
    assert error == pytest.approx(result["metrics"]["test/error"], abs=1e-12)


@pytest.mark.parametrize("choice", list(CHOICES))
def test_an_interrupted_run_ends_with_the_same_bits(
    choice: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*CHOICES[choice], "checkpoint_seconds=0"]
    pretrain(compose("pretrain", [*settings, "study=undisturbed"]))
    config = compose("pretrain", [*settings, "study=disturbed"])
    at_end = LayerTraining.on_train_epoch_end

    def failing(self: LayerTraining) -> None:
        if self.number == 2 and self.current_epoch == 1:
            raise SettingError("stands for a kill")
        at_end(self)

    monkeypatch.setattr(LayerTraining, "on_train_epoch_end", failing)
    with pytest.raises(SettingError):
        pretrain(config)
    monkeypatch.setattr(LayerTraining, "on_train_epoch_end", at_end)
    pretrain(config)
    first, second = sorted(Path("runs").rglob("dbn.safetensors"))
    for a, b in zip(DBN.load(first).parameters(), DBN.load(second).parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("choice", list(CHOICES))
def test_unrolled_before_training(choice: str, compose: Composer) -> None:
    """The network's starting weights compute the stack's mean-field pass: after an epoch at a rate of almost zero."""
    overrides = [*CHOICES[choice], *ACTIVATION[choice], "arm=dbn", "training.learning_rate=1e-12", "schedule=constant"]
    config = compose("finetune", [*overrides, "training.epochs=1", "training.weights=last"])
    finetune(config)
    stack = DBN.load(pretraining_directory(pretraining_config(config)) / "dbn.safetensors")
    network = Network.load(finetuning_directory(config))
    v = torch.rand(7, 64)
    for layers, found in enumerate(network.hidden(v)[:2], start=1):
        torch.testing.assert_close(found, stack.up(v, layers), rtol=0, atol=1e-5)


def test_several_seeds_of_a_type_that_has_no_group_are_refused(compose: Composer) -> None:
    with pytest.raises(SettingError, match=r"n_parallel_seeds=2: Masked .*Use n_parallel_seeds=1"):
        pretrain(compose("pretrain", [CONNECTION, *SMALL, "n_parallel_seeds=2"]))
    with pytest.raises(SettingError, match=r"precision=bf16: Masked .*Use precision=float32"):
        pretrain(compose("pretrain", [CONNECTION, *SMALL, "precision=bf16"]))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["stack.every_layer.hidden={_target_:magnet.Magnet,valu:1.5}"],
            r"stack\.every_layer\.hidden\.valu: no such setting",
        ),
        (
            ["stack.every_layer.hidden={_target_:magnet.Magnit}"],
            r"stack\.every_layer\.hidden\._target_='magnet\.Magnit'",
        ),
        (["stack.every_layer.hidden={_target_:masked.Masked}"], "no subclass of Units"),
        (["stack.every_layer.connection=masket"], "stack.every_layer.connection='masket': no such choice"),
    ],
)
def test_mistakes_in_choosing_are_named(overrides: list[str], words: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=words):
        pretrain(compose("pretrain", overrides))


def test_a_kind_is_called_once() -> None:
    from dbn.models.units import Units

    with pytest.raises(SettingError, match="called so already"):

        class Second(Bernoulli):
            kind = "bernoulli"

    assert Units.registry["bernoulli"] is Bernoulli
