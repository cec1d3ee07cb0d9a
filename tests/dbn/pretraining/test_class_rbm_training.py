"""Training of class RBMs: its gradient against autograd, groups, resumed fits, what it learns, what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn import DBN, RBM, Bernoulli
from dbn.data import DataSet, digits, load_data
from dbn.data.images import Images
from dbn.errors import SettingError
from dbn.models.class_rbm import class_log_probabilities, joint_free_energy
from dbn.models.phases import Phase
from dbn.models.units import BernoulliWithLabel
from dbn.pretraining import (
    ClassRBMPretraining,
    LayerSettings,
    StackRun,
    fit_class_rbm,
    pretrain_stack,
    pretrain_stacks,
)
from dbn.pretraining.class_rbm import ClassRBMTraining
from dbn.pretraining.class_rbm_step import ClassRBMStep, Objective
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.sparsity import Sparsity
from dbn.random.streams import Noise, streams
from dbn.samplers import (
    ContrastiveDivergence,
    HiddenChains,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
)
from helpers import stop_at

OBJECTIVES = [Objective("generative"), Objective("discriminative"), Objective("hybrid", 0.3)]


def made(seed: int = 0) -> RBM:
    """A float64 class RBM of 6 x 5 units and 3 classes."""
    rbm = RBM(Bernoulli(6), BernoulliWithLabel(5, 3)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return rbm


class Given(Sampler):
    """Negative states that a test knows."""

    def __init__(self, states: Tensor) -> None:
        self.states = states

    @property
    def products(self) -> int:
        """None."""
        return 0

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Those."""
        out.copy_(self.states)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda own: own.kind)
def test_gradient_against_autograd(objective: Objective) -> None:
    rbm = made()
    v, model, labels = torch.rand(8, 6).double(), torch.rand(8, 6).double(), torch.tensor([0, 1, 2, 0, 1, 2, 2, 0])
    weights = {"generative": (0, 1), "discriminative": (1, 0), "hybrid": (1, 0.3)}[objective.kind]
    cross_entropy = F.cross_entropy(class_log_probabilities(rbm, v), labels, reduction="sum")
    contrast = joint_free_energy(rbm, v, labels).sum() - rbm.free_energy(model).sum()
    loss = (weights[0] * cross_entropy + weights[1] * contrast) / 10
    expected = torch.autograd.grad(loss, list(rbm.parameters()), allow_unused=True)
    step = ClassRBMStep(rbm, Given(model), objective)
    for _ in range(2):  # the second time into gradients and buffers that hold something
        with torch.no_grad():
            step.write_gradient(v, labels, count=10)
        for (name, parameter), gradient in zip(rbm.named_parameters(), expected, strict=True):
            wanted = torch.zeros_like(parameter) if gradient is None else gradient
            torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda own: own.kind)
def test_gradients_of_the_shares_of_two_processes_add_up(objective: Objective) -> None:
    v, model, labels = torch.rand(9, 6).double(), torch.rand(9, 6).double(), torch.arange(9) % 3

    def gradient(share: slice) -> list[Tensor]:
        rbm = made()
        step = ClassRBMStep(rbm, Given(model[share]), objective, sparsity=Sparsity(0.2, 0.3))
        with torch.no_grad():
            step.write_gradient(v[share], labels[share], count=9)
        return [parameter.grad.clone() for parameter in rbm.parameters()]

    shares = zip(gradient(slice(0, 5)), gradient(slice(5, 9)), gradient(slice(0, 9)), strict=True)
    for one, two, whole in shares:
        torch.testing.assert_close(one + two, whole, rtol=0, atol=1e-12)


def test_a_chain_starts_at_hidden_states_given_image_and_label() -> None:
    """Labels set the hidden units, and these the pixels: the reconstruction shows the label, not the image."""
    rbm = RBM(Bernoulli(3), BernoulliWithLabel(3, 3)).double()
    with torch.no_grad():
        rbm.weight.copy_(20 * torch.eye(3))
        rbm.visible.bias.fill_(-10.0)
        rbm.hidden.bias.fill_(-40.0)
        rbm.hidden.label_weight.copy_(80 * torch.eye(3))
    step, labels = ClassRBMStep(rbm, ContrastiveDivergence(), Objective()), torch.tensor([0, 1, 2, 1])
    with torch.no_grad():
        step.write_gradient(torch.zeros(4, 3).double(), labels, torch.Generator().manual_seed(0))
    negative = step.phases_of(4).negative.v
    torch.testing.assert_close(negative, F.one_hot(labels, 3).double(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", [ContrastiveDivergence, HiddenChains])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda own: own.kind)
def test_every_member_takes_the_steps_it_would_take_alone(objective: Objective, sampler: Any) -> None:
    settings = LayerSettings(n_hidden=5, learning_rate=0.05, weight_cost=0.01, sparsity_target=0.2)
    v, labels = torch.rand(2, 9, 6).double(), torch.randint(3, (2, 9), generator=torch.Generator().manual_seed(1))

    def trained(rbm: RBM, v: Tensor, labels: Tensor, seeds: list[int]) -> RBM:
        optimizer = ClassRBMTraining(rbm, settings, sampler(), objective).configure_optimizers()
        step = ClassRBMStep(rbm, sampler(), objective, sparsity=settings.sparsity)
        for number in range(5):
            step(v, labels, optimizer, streams(seeds, "gibbs", number))
        return rbm

    group = trained(RBM.group([made(0), made(1)]), v, labels, [0, 1])
    for seed, member in enumerate(group.members()):
        alone = trained(made(seed), v[seed], labels[seed], [seed])
        assert not torch.allclose(alone.weight, made(seed).weight, atol=1e-4)
        for (name, own), (_, found) in zip(alone.named_parameters(), member.named_parameters(), strict=True):
            torch.testing.assert_close(found, own, rtol=0, atol=1e-11, msg=name)


def top(n_hidden: int = 60, n_labels: int = 10, **settings: Any) -> LayerSettings:
    """Settings of a layer with a label."""
    hidden = {"kind": "bernoulli_with_label", "n_labels": n_labels}
    return LayerSettings(n_hidden=n_hidden, hidden=hidden, **{"batch_size": 20, "epochs": 8, **settings})


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def error_of(stack: DBN, data: DataSet) -> float:
    """Fraction of wrong labels among the test images."""
    predicted = class_log_probabilities(stack, data.test.features()).argmax(1)
    return float((predicted != data.test.labels).float().mean())


@pytest.mark.parametrize("objective", ["generative", "discriminative", "hybrid"])
def test_every_objective_learns_to_classify(objective: str, data: DataSet) -> None:
    stack = pretrain_stack(data, [top()], method=ClassRBMPretraining(objective=objective), progress=False)
    assert error_of(stack, data) < 0.12  # 90 % for a guess, 12 % with 50 labels for a network


def test_the_top_of_a_stack_learns_labels_from_the_layer_below(data: DataSet) -> None:
    layers = [LayerSettings(n_hidden=60, batch_size=20, epochs=8), top()]
    stack = pretrain_stack(data, layers, method=ClassRBMPretraining(), progress=False)
    assert error_of(stack, data) < 0.15


def test_seeds_together_and_a_fit_that_was_interrupted(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed fit ends with the same bits, chains included; a member of a group classifies as well."""
    method = ClassRBMPretraining(HiddenChains, "hybrid", 0.01)
    options: dict[str, Any] = {"method": method, "progress": False, "checkpoint_seconds": 0}
    whole = pretrain_stack(data, [top(20, epochs=4)], **options)
    with monkeypatch.context() as patch:
        stop_at(patch, 1, 2)
        with pytest.raises(KeyboardInterrupt):
            pretrain_stack(data, [top(20, epochs=4)], directory=tmp_path, **options)
    resumed = pretrain_stack(data, [top(20, epochs=4)], directory=tmp_path, **options)
    for (name, own), (_, again) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(own, again), name
    together = pretrain_stacks(data, [top()], [StackRun(0), StackRun(1)], method=method, progress=False)
    assert all(error_of(own.stack, data) < 0.12 for own in together)


def test_layers_without_label_are_trained_as_ever(data: DataSet) -> None:
    method = ClassRBMPretraining()
    plain = method.training(RBM(Bernoulli(4), Bernoulli(3)), LayerSettings(n_hidden=3))
    assert type(plain) is RBMTraining
    assert type(method.training(RBM(Bernoulli(4), BernoulliWithLabel(3, 2)), top())) is ClassRBMTraining


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([LayerSettings(n_hidden=20)], "hidden: {kind: bernoulli_with_label, n_labels: 10}"),
        ([top(), LayerSettings(n_hidden=20)], "the top layer has the label"),
        ([top(n_labels=7)], "Set it to 10"),
    ],
)
def test_layers_that_do_not_fit_are_refused_before_training(
    layers: list[LayerSettings], said: str, data: DataSet
) -> None:
    with pytest.raises(SettingError, match=said.replace("{", r"\{")):
        pretrain_stack(data, layers, method=ClassRBMPretraining(), progress=False)


def test_data_without_classes_are_refused() -> None:
    images = Images.from_features(torch.rand(30, 4))
    data = DataSet("mine", images, images, images, (1, 2, 2), ())
    with pytest.raises(SettingError, match="has no classes"):
        pretrain_stack(data, [top(4)], method=ClassRBMPretraining(), progress=False)


@pytest.mark.parametrize(("name", "value"), [("objective", "both"), ("generative_weight", 0)])
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"method.{name}="):
        ClassRBMPretraining(**{name: value})


@pytest.mark.parametrize(
    ("settings", "sampler", "message"),
    [
        ({"gradient": "centered"}, ContrastiveDivergence(), "gradient='centered'|gradient=centered"),
        ({"max_norm": 2.0}, ContrastiveDivergence(), "max_norm=2"),
        ({}, ParallelTempering(), "sampler=ParallelTempering"),
        ({}, PersistentContrastiveDivergence(chains=10), "chains=10"),
    ],
)
def test_what_its_step_does_not_know_is_refused(settings: dict[str, Any], sampler: Sampler, message: str) -> None:
    rbm = RBM(Bernoulli(64), BernoulliWithLabel(8, n_labels=10))
    with pytest.raises(SettingError, match=message):
        fit_class_rbm(rbm, load_data(digits()).train, epochs=1, sampler=sampler, **settings)
