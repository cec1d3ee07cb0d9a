"""Training of conditional RBMs: gradient, chains of cases, groups, resumed fits, what is learned and refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import RBM, Bernoulli
from dbn.data import DataSet, digits, load_data
from dbn.errors import DataError, SettingError
from dbn.likelihood import Enumeration, log_likelihood
from dbn.models.class_rbm import stack_given_label
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.phases import Phase
from dbn.pretraining import (
    ConditionalPretraining,
    LayerSettings,
    StackRun,
    fit_conditional_rbm,
    pretrain_stack,
    pretrain_stacks,
)
from dbn.pretraining.conditional_rbm import ConditionalStep, ConditionalTraining
from dbn.random.streams import Noise, streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from dbn.samplers.case_chains import CaseChains


def made(seed: int = 0) -> ConditionalRBM:
    """A float64 model of 5 x 4 units and 3 conditions."""
    model = ConditionalRBM(Bernoulli(5), Bernoulli(4), 3).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


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


def test_gradient_against_autograd() -> None:
    model, v, other, u = made(), *(torch.rand(8, n).double() for n in (5, 5, 3))
    given = model.given_conditions(u)
    loss = (given.free_energy(v) - given.free_energy(other)).sum() / 10
    expected = torch.autograd.grad(loss, list(model.parameters()))
    step = ConditionalStep(model, Given(other))
    for _ in range(2):  # the second time into gradients that hold something
        with torch.no_grad():
            step.write_gradient(v, u, count=10)
        for (name, parameter), gradient in zip(model.named_parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12, msg=name)


def test_with_exact_samples_it_is_the_gradient_of_the_likelihood() -> None:
    """Of every parameter, within 4.5 standard errors of autograd through the enumerated ``log p(v | u)``."""
    model, u, n = made(), torch.tensor([[0.5, -1.0, 0.3]]).double(), 4000
    v = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1]]).double()
    given = model.given_conditions(u)
    log_z = (-given.free_energy(Bernoulli(5).states().double())).logsumexp(0)
    expected = torch.autograd.grad(given.free_energy(v).mean() + log_z, list(model.parameters()))
    generator = torch.Generator().manual_seed(0)
    found = []
    with torch.no_grad():
        exact = Enumeration(model.given_conditions(u))
        for _ in range(40):
            step = ConditionalStep(model, Given(exact.sample(n, generator)))
            step.write_gradient(v.repeat(n // 2, 1), u.repeat(n, 1))
            found.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    gradients = torch.stack(found)
    errors = (gradients.mean(0) - torch.cat([own.flatten() for own in expected])) / (gradients.std(0) / 40**0.5)
    assert errors.abs().max() < 4.5


def test_chains_stay_with_their_cases_and_reach_their_distributions() -> None:
    """A chain that goes on for its case has the exact means of p(v | u) of that case, to 4.5 standard errors."""
    model, u = made(), torch.eye(3).double()
    cases = torch.arange(3).repeat(2000)
    chains = CaseChains(torch.zeros(6000, 5).double(), steps=40)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in torch.arange(6000).split(1500):  # minibatches
            chains.cases = part
            rbm, out = model.given_conditions(u[cases[part]]), torch.empty(len(part), 5).double()
            chains.write_negative_states(rbm, Phase(out, out, out, out), out, generator)
            assert torch.equal(out, chains.chains[part])
        for k in range(3):
            states = Bernoulli(5).states().double()
            expected = (log_likelihood(model.given_conditions(u[[k]]), states).exp()[:, None] * states).sum(0)
            found = chains.chains[cases == k].mean(0)
            assert ((found - expected) / (expected * (1 - expected) / 2000).sqrt()).abs().max() < 4.5


def test_members_take_the_steps_they_would_take_alone() -> None:
    v, u = torch.rand(2, 9, 5).double(), torch.rand(2, 9, 3).double()

    def trained(model: ConditionalRBM, v: Tensor, u: Tensor, seeds: list[int]) -> ConditionalRBM:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        step = ConditionalStep(model, ContrastiveDivergence(2))
        for number in range(5):
            step(v, u, optimizer, streams(seeds, "gibbs", number))
        return model

    group = trained(ConditionalRBM.group([made(0), made(1)]), v, u, [0, 1])
    for seed, member in enumerate(group.members()):
        alone = trained(made(seed), v[seed], u[seed], [seed])
        for (name, own), (_, found) in zip(alone.named_parameters(), member.named_parameters(), strict=True):
            torch.testing.assert_close(found, own, rtol=0, atol=1e-11, msg=name)


def probability(u: Tensor) -> Tensor:
    """Of each of six pixels given two numbers: rising with the first, falling with the second, and alike."""
    return torch.sigmoid(torch.stack([2 * u[:, 0], -2 * u[:, 0], 2 * u[:, 1], -2 * u[:, 1], u.sum(1), 0 * u[:, 0]], 1))


@pytest.mark.parametrize("persistent", [False, True])
def test_it_learns_how_pixels_depend_on_side_information(persistent: bool) -> None:
    """Means of p(v | u), by enumeration, are the true ones within 0.08.

    With 4000 cases the logit at such ``u`` is known to about 0.06, a probability to 0.015; the last steps of the fit,
    of minibatches of 50, add about as much: four standard errors.
    """
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(4000, 2, generator=generator)
    v = torch.bernoulli(probability(u), generator=generator)
    rbm = ConditionalRBM(Bernoulli(6), Bernoulli(4), 2, weight_std=0.01, generator=generator)
    rate = 0.02 if persistent else 0.05
    fit_conditional_rbm(
        rbm, v, u, epochs=15, batch_size=50, learning_rate=rate, momentum=0.5, weight_cost=0, persistent=persistent
    )
    wanted = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]])
    states = Bernoulli(6).states()
    for row, true in zip(wanted, probability(wanted), strict=True):
        given = rbm.given_conditions(row[None])
        with torch.no_grad():
            means = (log_likelihood(given, states).exp()[:, None] * states).sum(0)
        assert (means - true).abs().max() < 0.08


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


LAYER = LayerSettings(n_hidden=30, epochs=4, batch_size=20)


def test_images_of_a_class_and_a_fit_that_was_interrupted(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are nearer to the mean of their class than to others'; a resumed fit ends with the same bits."""
    options: dict[str, Any] = {"method": ConditionalPretraining(), "progress": False, "checkpoint_seconds": 0}
    whole = pretrain_stack(data, [LAYER], **options)
    with monkeypatch.context() as patch:
        started = ConditionalTraining.on_train_epoch_start

        def stop(self: ConditionalTraining) -> None:
            started(self)
            if self.current_epoch == 2:
                raise KeyboardInterrupt

        patch.setattr(ConditionalTraining, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain_stack(data, [LAYER], directory=tmp_path, **options)
    resumed = pretrain_stack(data, [LAYER], directory=tmp_path, **options)
    for (name, own), (_, again) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(own, again), name
    together = pretrain_stacks(data, [LAYER], [StackRun(0), StackRun(1)], **options)
    features, labels = data.train.features(), data.train.labels
    assert labels is not None
    averages = torch.stack([features[labels == k].mean(0) for k in range(10)])
    for stack in (whole, *(own.stack for own in together)):
        for label in (0, 1, 4):
            mean = stack_given_label(stack, label).sample(200, 100, torch.Generator().manual_seed(0)).mean(0)
            assert int((averages - mean).square().sum(1).argmin()) == label


def test_what_does_not_fit_is_refused(data: DataSet) -> None:
    rbm = ConditionalRBM(Bernoulli(64), Bernoulli(5), 10)
    with pytest.raises(SettingError, match="rbm is a RBM"):
        fit_conditional_rbm(RBM(Bernoulli(4), Bernoulli(3)), torch.rand(5, 4), torch.zeros(5).long())  # type: ignore[arg-type]
    with pytest.raises(DataError, match="conditions has 5 rows"):
        fit_conditional_rbm(rbm, data.train, torch.zeros(5).long())
    with pytest.raises(SettingError, match="gradient='centered'"):
        fit_conditional_rbm(rbm, data.train, data.train.labels, gradient="centered")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"method\.n_labels=3.*Set it to 10"):
        pretrain_stack(data, [LAYER], method=ConditionalPretraining(n_labels=3), progress=False)
    with pytest.raises(SettingError, match="2 layers, and a conditional RBM is one"):
        pretrain_stack(data, [LAYER, LAYER], method=ConditionalPretraining(), progress=False)
    with pytest.raises(SettingError, match="with a chain for each case"):
        ConditionalPretraining(PersistentContrastiveDivergence).check_settings(LAYER)
    with pytest.raises(SettingError, match="train in float32"):
        pretrain_stack(data, [LAYER], method=ConditionalPretraining(), precision="bf16", progress=False)
