"""Weights of images in fits: recorded steps, interruptions, groups of seeds, minibatches."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.data import DataSet, Images
from dbn.fitting import block_module
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stacks
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream, streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from helpers import stop_at
from recorded import CpuGraphs

PIXELS = 6


def pixels(seed: int, n: int) -> Tensor:
    """Images ``(n, PIXELS)``."""
    return torch.randint(0, 9, (n, PIXELS), generator=stream(seed, "images")).float() / 8


def data_of(images: Images) -> DataSet:
    """A data set of training images alone, flat ones."""
    none = Images.from_features(torch.empty(0, images.n_features))
    return DataSet("weighted", images, none, none, (1, 1, images.n_features), ())


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
    """In standard errors over seeds: some images weigh three times as much as the others, or are there thrice."""
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
