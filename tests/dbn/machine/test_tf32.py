"""TF32: refused where there is none, rounded on a GPU, and torch's setting is left alone outside of our products."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dbn import RBM
from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.machine.precision import choose_precision
from dbn.machine.products import CUBLAS, TF32, TF32_SETTING
from dbn.models.connections import Convolution, Dense
from dbn.models.linear import Linear, LinearGroup
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli, PerMap
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.samplers import ContrastiveDivergence
from finetune.runs.network_run import finetune
from helpers import Composer

PRODUCTS = {"aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.matmul"}
needs_tf32 = pytest.mark.skipif(
    not (torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)), reason="no GPU with TF32"
)


def setting() -> Any:
    """Torch's own setting."""
    return getattr(CUBLAS, TF32_SETTING)


class Settings(TorchDispatchMode):
    """Notes torch's setting at every operation; ``of_products`` at products, ``of_others`` at all others."""

    def __init__(self) -> None:
        super().__init__()
        self.of_products: list[Any] = []
        self.of_others: list[Any] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function).rpartition(".")[0]
        (self.of_products if name in PRODUCTS else self.of_others).append(setting())
        return function(*args, **(kwargs or {}))


def test_the_context_sets_torch_s_setting_and_restores_it() -> None:
    before = setting()
    with TF32():
        within = setting()
        with TF32():
            pass
        assert setting() == within
    assert within in ("tf32", True)
    assert setting() == before != within


def take_rbm_step() -> int:
    rbm = RBM(Bernoulli(6), Bernoulli(4)).in_precision("tf32")
    phases = Phases(rbm, 3)
    with torch.no_grad():
        phases.positive.condition_on_visible(rbm)
        rbm.visible_field(phases.positive.mean, out=phases.negative.v)
        phases.negative.condition_on_visible(rbm)
        phases.write_gradient(rbm)
    return 4


def train_layer() -> int:
    layer = Linear(6, 4)
    layer.precision = "tf32"
    layer(torch.rand(3, 6, requires_grad=True)).sum().backward()
    return 3


def train_group() -> int:
    layer = LinearGroup([Linear(6, 4), Linear(6, 4)])
    layer.precision = "tf32"
    layer(torch.rand(2, 3, 6, requires_grad=True)).sum().backward()
    return 3


@pytest.mark.parametrize("work", [take_rbm_step, train_layer, train_group])
def test_all_our_products_have_it_and_nothing_else_is_touched(work: Callable[[], int]) -> None:
    before = setting()
    with Settings() as seen:
        n_products = work()
    assert len(seen.of_products) == n_products
    assert set(seen.of_products) <= {"tf32", True}
    assert setting() == before


@pytest.mark.parametrize("members", [0, 2])
def test_where_nothing_is_rounded_results_are_those_of_float32(members: int) -> None:
    """On a processor the setting has no effect: what is left to differ is the formula."""
    layers, results = [Linear(6, 4) for _ in range(max(1, members))], []
    x, upper = torch.rand(*[members][:members], 3, 6, requires_grad=True), torch.rand(*[members][:members], 3, 4)
    for precision in ("float32", "tf32"):
        layer: Any = LinearGroup(layers) if members else layers[0]
        layer.precision = precision
        y = layer(x)
        results.append([y, *torch.autograd.grad(y, [x, layer.weight, layer.bias], upper)])
    for exact, other in zip(*results, strict=True):
        torch.testing.assert_close(other, exact)


def test_in_use_it_is_float32() -> None:
    layer = Linear(6, 4).eval()
    layer.precision = "tf32"
    before = setting()
    with Settings() as seen:
        layer(torch.rand(3, 6))
    assert set(seen.of_products) == {before}


def test_a_processor_has_none(digits_data: DataSet, compose: Composer) -> None:
    refusal = r"precision=tf32: only NVIDIA GPUs .* trains on cpu\. Use precision=float32, bf16 or auto, or a GPU"
    with pytest.raises(SettingError, match=refusal):
        pretrain_stack(digits_data, [LayerSettings(n_hidden=3, epochs=1)], precision="tf32", progress=False)
    with pytest.raises(SettingError, match=refusal):
        finetune(compose("finetune", ["arm=random_relu", "precision=tf32"]))


def test_an_old_gpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(SettingError, match=r"precision=tf32: Tesla T4 .*compute capability 7\.5"):
        choose_precision("tf32", Dense([6], 4), 100, torch.device("cuda", 0), "rbm")


@needs_tf32
def test_a_gpu_rounds_factors_to_eleven_bits() -> None:
    """Products with the unit matrix show the other factor: 24 significant bits in float32, 11 in TF32."""
    device = torch.device("cuda")
    fine = 1 + 2**-20 * torch.arange(64 * 64.0, device=device).view(64, 64)
    rbm = RBM(Bernoulli(64), Bernoulli(64)).to(device)
    with torch.no_grad():
        rbm.weight.copy_(torch.eye(64))
        assert torch.equal(rbm.hidden_field(fine), fine)
        rounded = rbm.in_precision("tf32").hidden_field(fine)
    assert not torch.equal(rounded, fine)
    assert (rounded - fine).abs().max() <= 2**-10


@needs_tf32
def test_a_run_on_a_gpu_says_tf32(compose: Composer) -> None:
    result = finetune(
        compose("finetune", ["arm=dbn", "precision=tf32", "trainer=gpu", "stack.layers=[9]", "training.epochs=1"])
    )
    assert result["precision"] == ["tf32", "tf32"]
    assert result["precision_decided_by"] == ["precision=tf32"] * 2


def test_filters_have_the_gradient_of_one_position_in_tf32_too() -> None:
    """Where products are rounded as well as where they are not (as on a CPU): gradients are means over positions."""

    def gradient(precision: str) -> torch.Tensor:
        connection = Convolution((1, 4, 4), 3, 3, padding=1, maps_first=True)
        connection.initialise(0.5, torch.Generator().manual_seed(2))
        rbm = RBM(Bernoulli((1, 4, 4)), PerMap((4, 4, 3)), connection)
        v = torch.rand(6, 16, generator=torch.Generator().manual_seed(1)).round()
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
        ContrastiveStep(rbm, ContrastiveDivergence(), precision)(v, optimizer, torch.Generator().manual_seed(0))
        assert rbm.weight.grad is not None
        return rbm.weight.grad

    torch.testing.assert_close(gradient("tf32"), gradient("float32"), rtol=0, atol=1e-3)
