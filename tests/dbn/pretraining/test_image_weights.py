"""Weights of images in pretraining: against the weighted likelihood by enumeration, and images that are there twice."""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.data import DataSet, Images
from dbn.errors import DataError, SettingError
from dbn.fitting import block_module
from dbn.models.dbn import DBN
from dbn.models.phases import Phase
from dbn.models.units import Bernoulli
from dbn.pretraining import (
    DenoisingAutoencoder,
    JointAutoencoder,
    LayerSettings,
    PretrainingMethod,
    PrincipalComponents,
    RBMPretraining,
    StackRun,
    fit,
    pretrain_stack,
    pretrain_stacks,
)
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import Noise, stream, streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from helpers import make_rbm, stop_at, units_of
from own.denoising import Denoising as OwnDenoising
from recorded import CpuGraphs

PIXELS, IMAGES = 6, 40
"""Of the images below."""
TIMES = torch.arange(IMAGES) % 3 + (torch.arange(IMAGES) % 7 == 0).long()
"""How often each of them is there, from none to three times."""


class GivenChains(Sampler):
    """States of the negative phase that belong to no image."""

    products = 1

    def __init__(self, states: Tensor) -> None:
        self.states = states
        self.n_chains = len(states)

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        out.copy_(self.states)


class MeanReconstructions(Sampler):
    """CD-1 at means, without noise, so that copies of an image have the same chain."""

    products = 1
    chains_of_images: ClassVar[bool] = True

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        out.copy_(rbm.mean_visible(positive.mean))


def pixels(seed: int = 0, n: int = IMAGES) -> Tensor:
    """Images ``(n, PIXELS)`` of two values, eighths apart, so that sums of copies hardly round."""
    return torch.randint(0, 9, (n, PIXELS), generator=stream(seed, "images")).float() / 8


def data_of(images: Images) -> DataSet:
    """A data set of training images alone, flat ones."""
    none = Images.from_features(torch.empty(0, images.n_features))
    return DataSet("weighted", images, none, none, (1, 1, images.n_features), ())


def gradients(rbm: RBM, sampler: Sampler, v: Tensor, weights: Tensor | None, **options: Any) -> list[Tensor]:
    """What a step writes."""
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
    ContrastiveStep(rbm, sampler, **options)(v, optimizer, stream(0, "gibbs"), None, weights)
    return [own.grad.clone() for own in rbm.parameters() if own.grad is not None]


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_gradient_is_that_of_the_weighted_likelihood(hidden: str) -> None:
    """By autograd, with log Z by enumeration; chains are exact samples, whose mean is found in standard errors.

    Weights of a minibatch need not be 1 on average: here they are 0.7.
    """
    rbm = make_rbm("bernoulli", hidden, PIXELS, 3)
    v = pixels(n=12).double().round()
    weights = torch.rand(12, generator=stream(0, "weights"), dtype=torch.float64)
    weights *= 0.7 / weights.mean()
    states = rbm.visible.states().double()
    log_likelihood = weights @ (-rbm.free_energy(v) - torch.logsumexp(-rbm.free_energy(states), 0)) / 12
    expected = torch.autograd.grad(-log_likelihood, list(rbm.parameters()))

    probabilities = torch.softmax(-rbm.free_energy(states).detach(), 0)
    found = []
    for k in range(50):
        drawn = torch.multinomial(probabilities, 2000, replacement=True, generator=stream(k, "chains"))
        found.append(gradients(rbm, GivenChains(states[drawn]), v, weights))
    for wanted, *own in zip(expected, *found, strict=True):
        each = torch.stack(own)
        error = each.std(0) / len(own) ** 0.5
        assert ((each.mean(0) - wanted).abs() <= 4 * error + 1e-12).all()
        assert (4 * error < 0.1 * wanted.norm()).all()


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "relu"])
def test_chains_of_images_have_the_weights_of_their_images(hidden: str) -> None:
    """Against autograd of the weighted free energies of images and of the ends of their chains."""
    rbm = make_rbm("gaussian", hidden, PIXELS, 3)
    v = torch.randn(12, PIXELS, generator=stream(0, "images"), dtype=torch.float64)
    weights = torch.rand(12, generator=stream(0, "weights"), dtype=torch.float64)
    sampler = ContrastiveDivergence(2)
    step = ContrastiveStep(rbm, sampler)
    step(v, torch.optim.SGD(rbm.parameters(), lr=0.0), stream(0, "gibbs"), None, weights)
    ends = step.phases_of(12).negative.v.clone()
    own = [parameter for parameter in rbm.parameters() if parameter.grad is not None]
    expected = torch.autograd.grad(weights @ (rbm.free_energy(v) - rbm.free_energy(ends)) / 12, own)
    for parameter, wanted in zip(own, expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-10)


OPTIONS: list[dict[str, Any]] = [
    {"momentum": 0.9, "weight_cost": 1e-3, "bias_from_data": True},
    {"sparsity_target": 0.1, "sparsity_cost": 0.5},
    {"gradient": "centered", "l1_cost": 1e-3},
    {"gradient": "enhanced"},
    {"hidden": "relu"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("chains_of_images", [True, False])
def test_an_image_of_weight_two_is_one_that_is_there_twice(
    options: dict[str, Any], chains_of_images: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole fits of full batches, with the same chains. Images of weight 0 are not there."""
    monkeypatch.setattr(MeanReconstructions, "chains_of_images", chains_of_images)
    v, times = pixels(), TIMES
    if not chains_of_images:  # chains of no image count the same, whatever image they started at
        copies = v[:20].repeat_interleave(2, 0)
        v, times = v[:20].repeat(2, 1), torch.tensor([2, 0]).repeat_interleave(20)
    else:
        copies = v.repeat_interleave(times, 0)

    def trained(images: Tensor, weights: Tensor | None) -> RBM:
        hidden = units_of(options.get("hidden", "bernoulli"), 5)
        rbm = RBM(Bernoulli(PIXELS), hidden, weight_std=0.3, generator=stream(0, "init"))
        own = {name: value for name, value in options.items() if name != "hidden"}
        settings = {"batch_size": 200, "learning_rate": 0.2, **own}
        return fit(rbm, images, weights=weights, epochs=12, sampler=MeanReconstructions(), **settings)

    found, expected, plain = trained(v, 2.5 * times.float()), trained(copies, None), trained(v, None)
    for (name, own), other in zip(found.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=2e-5, msg=name)
    if chains_of_images:
        assert (found.visible.bias - plain.visible.bias).abs().max() > 0.01


FULL: dict[str, Any] = {"batch_size": 200, "epochs": 6, "learning_rate": 0.2, "bias_from_data": True}
METHODS: list[tuple[PretrainingMethod, str]] = [
    (RBMPretraining(MeanReconstructions), "memory"),
    (RBMPretraining(MeanReconstructions), "compute"),
    (RBMPretraining(MeanReconstructions), "disk"),
    (DenoisingAutoencoder(level=0.0), "memory"),
    (JointAutoencoder(level=0.0), "memory"),
]


@pytest.mark.parametrize(("method", "representations"), METHODS, ids=lambda own: getattr(own, "__name__", str(own)))
def test_layers_above_know_the_weights(method: PretrainingMethod, representations: str, tmp_path: Path) -> None:
    """Wherever the representations are."""

    def trained(images: Images, kept: str) -> DBN:
        layers = [LayerSettings(n_hidden=n, **FULL) for n in (5, 4)]
        runs = [StackRun(0, tmp_path / str(len(images)))]
        options = {"method": method, "representations": kept, "directory": runs[0].directory, "progress": False}
        return pretrain_stacks(data_of(images), layers, runs, **options)[0].stack

    v = pixels()
    found = trained(Images.from_features(v, weights=TIMES.float()), representations)
    expected = trained(Images.from_features(v.repeat_interleave(TIMES, 0)), "memory")
    for (name, own), other in zip(found.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=2e-5, msg=name)


def test_principal_components_and_starting_variances_are_weighted() -> None:
    """The former up to the divisor of the covariance, which knows no copies."""
    v = pixels()
    sets = (
        data_of(Images.from_features(v, weights=TIMES.float())),
        data_of(Images.from_features(v.repeat_interleave(TIMES, 0))),
    )
    found, expected, plain = (
        pretrain_stack(data, [LayerSettings(n_hidden=3)], method=PrincipalComponents(), progress=False)[0]
        for data in (*sets, data_of(Images.from_features(v)))
    )
    torch.testing.assert_close(found.visible.bias, expected.visible.bias, rtol=0, atol=1e-5)
    directions, wanted, others = (own.weight / own.weight.norm(dim=0) for own in (found, expected, plain))
    torch.testing.assert_close(directions, wanted, rtol=0, atol=1e-4)
    assert (directions - others).abs().max() > 0.01

    options: dict[str, Any] = {"visible": "gaussian_with_variance", "progress": False}
    layers = [LayerSettings(n_hidden=3, epochs=1, learning_rate=1e-9, bias_from_data=True, variance_from_data=True)]
    found, expected = (pretrain_stack(data, layers, **options)[0] for data in sets)
    torch.testing.assert_close(found.visible.bias, expected.visible.bias, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.visible.log_variance, expected.visible.log_variance, rtol=0, atol=1e-5)


def weighted_data(seed: int = 0, n: int = 200) -> DataSet:
    """Images with weights, of which some are 0; among them all of some minibatches."""
    weights = torch.rand(n, generator=stream(seed, "weights")) * (torch.arange(n) % 5 > 2)
    return data_of(Images.from_features(pixels(seed, n), weights=weights))


SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 0.05}


@pytest.mark.parametrize("sampler", [ContrastiveDivergence, PersistentContrastiveDivergence])
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_recorded_steps_see_the_weights_of_their_own_images(
    n_seeds: int, sampler: type[Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 40})
    layers = [LayerSettings(n_hidden=6, gradient="centered", sparsity_target=0.2, **SMALL)]

    def trained(data: DataSet) -> list[Tensor]:
        runs = [StackRun(seed) for seed in range(n_seeds)]
        found = pretrain_stacks(data, layers, runs, method=RBMPretraining(sampler), progress=False)
        return [parameter.detach() for own in found for parameter in own.stack.parameters()]

    data = weighted_data()
    expected = trained(data)
    recorder = CpuGraphs()
    monkeypatch.setattr(block_module, "recorder_for", lambda device: recorder)
    assert all(torch.equal(*pair) for pair in zip(trained(data), expected, strict=True))
    assert recorder.replays > 2
    plain = trained(data_of(Images.from_features(pixels(0, 200))))
    assert not any(torch.equal(*pair) for pair in zip(plain, expected, strict=True))


@pytest.mark.parametrize("n_together", [1, 2])
def test_an_interrupted_fit_goes_on_bit_for_bit(
    n_together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both layers, of which the upper one trains on what is in a file."""
    data = weighted_data()
    layers = [LayerSettings(n_hidden=n, gradient="centered", **SMALL) for n in (6, 4)]
    options: dict[str, Any] = {
        "method": RBMPretraining(PersistentContrastiveDivergence), "representations": "disk", "checkpoint_seconds": 0,
        "progress": False,
    }  # fmt: skip

    def train(folder: str) -> list[Tensor]:
        runs = [StackRun(seed, tmp_path / folder / str(seed)) for seed in range(n_together)]
        found = pretrain_stacks(data, layers, runs, directory=tmp_path / folder, **options)
        return [parameter for own in found for parameter in own.stack.parameters()]

    undisturbed = train("undisturbed")
    for layer in (1, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                train("disturbed")
    assert all(torch.equal(*pair) for pair in zip(train("disturbed"), undisturbed, strict=True))


@pytest.mark.parametrize(
    "sampler", [partial(ContrastiveDivergence, sample_visible=True), PersistentContrastiveDivergence]
)
@pytest.mark.parametrize("gradient", ["plain", "centered"])
def test_members_of_a_group_have_weights_of_their_own(sampler: Any, gradient: str) -> None:
    """Steps with the same noise, within rounding of float64. All images of a member's minibatch weigh nothing."""
    v = torch.rand(5, 2, 20, 6, generator=stream(0, "images"), dtype=torch.float64).round()
    weights = torch.rand(5, 2, 20, generator=stream(0, "weights"), dtype=torch.float64)
    weights[2, 1] = 0.0

    def trained(rbm: RBM, batches: Tensor, own: Tensor, seeds: list[int]) -> RBM:
        settings = LayerSettings(n_hidden=4, gradient=gradient, sparsity_target=0.2)
        step = ContrastiveStep(rbm, sampler(), sparsity=settings.sparsity, gradient=settings.direction)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
        for number, (batch, w) in enumerate(zip(batches, own, strict=True)):
            noise = streams(seeds, "gibbs", number) if len(seeds) > 1 else stream(seeds[0], "gibbs", number)
            step(batch, optimizer, noise, None, w)
        return rbm

    rbms = [RBM(Bernoulli(6), Bernoulli(4), generator=stream(seed, "init")).double() for seed in range(2)]
    group = trained(RBM.group(rbms), v, weights, [0, 1])
    for seed, (rbm, member) in enumerate(zip(rbms, group.members(), strict=True)):
        trained(rbm, v[:, seed], weights[:, seed], [seed])
        for (name, alone), (_, found) in zip(rbm.named_parameters(), member.named_parameters(), strict=True):
            assert alone.isfinite().all()
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-12, msg=name)


def test_minibatches_learn_what_copies_teach() -> None:
    """In standard errors over seeds: half of the images weigh three times as much as the others, or are there thrice."""
    v = torch.cat([torch.eye(PIXELS)[:3], torch.ones(3, PIXELS) - torch.eye(PIXELS)[3:]]).repeat(8, 1)
    times = torch.tensor([3, 3, 3, 1, 1, 1]).repeat(8)
    runs = [StackRun(seed) for seed in range(16)]

    def preference(images: Images, batch_size: int) -> Tensor:
        """How much more probable the first half of the images are than the others, in nats, of each seed."""
        layers = [LayerSettings(n_hidden=4, epochs=15, batch_size=batch_size, learning_rate=0.05)]
        method = RBMPretraining(partial(ContrastiveDivergence, 3))
        stacks = pretrain_stacks(data_of(images), layers, runs, method=method, progress=False)
        energies = torch.stack([own.stack[0].free_energy(v[:6]).detach() for own in stacks])
        return energies[:, 3:].mean(1) - energies[:, :3].mean(1)

    found = preference(Images.from_features(v, weights=times.float()), 8)
    expected = preference(Images.from_features(v.repeat_interleave(times, 0)), 16)  # as many steps
    plain = preference(Images.from_features(v), 8)
    error = ((found.var() + expected.var()) / len(runs)).sqrt()
    assert (found.mean() - expected.mean()).abs() < 4 * error
    assert found.mean() - plain.mean() > 10 * error


def test_only_proportions_matter() -> None:
    """Weights of 3 for all are none, up to rounding."""
    v = pixels()
    found, expected = (
        fit(RBM(Bernoulli(PIXELS), Bernoulli(4), generator=stream(0, "init")), v, weights=own, epochs=3, batch_size=10)
        for own in (torch.full((IMAGES,), 3.0), None)
    )
    for own, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-6)


def test_weights_of_the_images_are_used_unless_others_are_given() -> None:
    v, heavy = pixels(), (torch.arange(IMAGES) < 5).float()

    def bias(images: Any, weights: Any = None) -> Tensor:
        rbm = fit(
            RBM(Bernoulli(PIXELS), Bernoulli(3)),
            images,
            weights=weights,
            epochs=1,
            learning_rate=1e-9,
            bias_from_data=True,
        )
        return torch.sigmoid(rbm.visible.bias.detach())

    torch.testing.assert_close(bias(Images.from_features(v, weights=heavy)), v[:5].mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(bias(v, heavy.tolist()), v[:5].mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        bias(Images.from_features(v, weights=heavy), (1 - heavy).numpy()), v[5:].mean(0), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 2.0], r"weights have shape \(2,\), but there are 40 images"),
        ([-1.0, *[1.0] * 39], r"weights hold -1\.0, that of image 0"),
        ([*[1.0] * 39, float("nan")], r"weights hold nan, that of image 39"),
        ([0.0] * 40, r"weights are all 0"),
        (["a"] * 40, r"weights: give a tensor, an array or a list of 40 numbers"),
    ],
)
def test_what_are_no_weights_is_refused(weights: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        fit(RBM(Bernoulli(PIXELS), Bernoulli(3)), pixels(), weights=weights, epochs=1)


def test_a_method_that_does_not_weigh_is_refused() -> None:
    """One of a user's own, whose module says nothing of weights."""
    layers = [LayerSettings(n_hidden=3, epochs=1)]
    with pytest.raises(SettingError, match=r"data\.weights: .* does not weigh its images.*data\.weights=null"):
        pretrain_stack(weighted_data(), layers, method=OwnDenoising(), progress=False)
    with pytest.raises(DataError, match=r"weights of all 200 images to train on are 0"):
        images = weighted_data().train
        pretrain_stack(data_of(images.weighted(torch.zeros(200))), layers, progress=False)
