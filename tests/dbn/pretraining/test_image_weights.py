"""Weights of images in pretraining: against the weighted likelihood by enumeration, and images that are there twice."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.data import DataSet, Images, StreamedImages, load_data, memmap
from dbn.errors import DataError, SettingError
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
from dbn.random.streams import Noise, stream
from dbn.samplers import ContrastiveDivergence, Sampler
from helpers import make_rbm, units_of

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


@pytest.mark.parametrize(
    ("method", "representations"), METHODS, ids=lambda own: own if isinstance(own, str) else type(own).__name__
)
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


@pytest.mark.parametrize("representations", ["compute", "disk"])
def test_images_that_stay_in_their_file_have_weights(representations: str, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", (8 * pixels()).numpy().astype(np.uint8))
    np.save(tmp_path / "w.npy", 0.7 * TIMES.numpy())
    streamed = load_data(memmap(tmp_path, 8, weights="w"), validation=0, test=0)
    assert isinstance(streamed.train, StreamedImages)
    copies = data_of(Images.from_features(pixels().repeat_interleave(TIMES, 0)))
    layers, method = [LayerSettings(n_hidden=n, **FULL) for n in (5, 4)], RBMPretraining(MeanReconstructions)
    options: dict[str, Any] = {"method": method, "progress": False}
    found = pretrain_stack(streamed, layers, directory=tmp_path / "run", representations=representations, **options)
    for own, other in zip(found.parameters(), pretrain_stack(copies, layers, **options).parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=2e-5)


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


def test_a_method_that_does_not_weigh_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a user's own, whose module says nothing of weights."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "own"))
    from denoising import Denoising

    data = data_of(Images.from_features(pixels(), weights=TIMES))
    with pytest.raises(SettingError, match=r"data\.weights: .* does not weigh its images.*data\.weights=null"):
        pretrain_stack(data, [LayerSettings(n_hidden=3, epochs=1)], method=Denoising(), progress=False)


def test_images_that_all_weigh_nothing_are_refused() -> None:
    """As those of a split may, of data in which others have a weight."""
    data = data_of(Images.from_features(pixels()).weighted(torch.zeros(IMAGES)))
    with pytest.raises(DataError, match=r"weights of all 40 images to train on are 0"):
        pretrain_stack(data, [LayerSettings(n_hidden=3, epochs=1)], progress=False)
