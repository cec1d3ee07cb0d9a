"""Schedules of the number of Gibbs steps: what each epoch of a fit has."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import RBM, Bernoulli
from dbn.errors import SettingError
from dbn.models.phases import Phase
from dbn.pretraining import LayerSettings, fit
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from dbn.random.streams import Noise, stream
from dbn.samplers import ContrastiveDivergence, HiddenChains, ParallelTempering, PersistentContrastiveDivergence
from helpers import Composer


class Watched(ContrastiveDivergence):
    """Notes how many products with the weight each minibatch takes."""

    def __init__(self, steps: Any) -> None:
        super().__init__(steps)
        self.taken: list[int] = []

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        products = [0]

        def counted(_: Any, *arguments: Any) -> None:
            products[0] += 1

        up, down = rbm.connection.hidden_field, rbm.connection.visible_field
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(rbm.connection), "hidden_field", lambda own, *args: (counted(own), up(*args))[1])
            patch.setattr(type(rbm.connection), "visible_field", lambda own, *args: (counted(own), down(*args))[1])
            super().write_negative_states(rbm, positive, out, generator)
        self.taken.append(products[0])


def trained(sampler: Any, epochs: int = 4) -> RBM:
    rbm = RBM(Bernoulli(9), Bernoulli(7), generator=stream(0, "init"))
    images = torch.rand(20, 9, generator=stream(0, "images"))
    return fit(rbm, images, epochs=epochs, sampler=sampler, batch_size=10)


def test_each_epoch_takes_its_steps() -> None:
    """With k steps there are 2k - 1 products; of two minibatches an epoch."""
    sampler = Watched({0: 1, 1: 3, 3: 2})
    trained(sampler)
    assert sampler.taken == [1, 1, 5, 5, 5, 5, 3, 3]


def test_a_schedule_in_texts_is_that_in_numbers() -> None:
    """JSON makes texts of an object's keys; and an order that is not that of the epochs means the same."""
    assert torch.equal(
        trained(PersistentContrastiveDivergence({"2": 3, "0": 2})).weight,
        trained(PersistentContrastiveDivergence({0: 2, 2: 3})).weight,
    )
    assert torch.equal(trained(HiddenChains({0: 2})).weight, trained(HiddenChains(2)).weight)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (ContrastiveDivergence({0: 1, 2: 4}), [1, 1, 7]),
        (PersistentContrastiveDivergence({0: 1, 2: 4}), [2, 2, 8]),
        (HiddenChains({0: 1, 1: 4}), [1, 7, 7]),
        (ParallelTempering({0: 1, 1: 2}, temperatures=5), [10, 20, 20]),
    ],
)
def test_operations_of_all_epochs_are_counted(sampler: Any, expected: list[int]) -> None:
    rbm = RBM(Bernoulli(9), Bernoulli(7))
    module = RBMTraining(rbm, LayerSettings(n_hidden=7), sampler)
    assert module.flops_of(3) == 2 * 9 * 7 * sum(4 + products for products in expected)


def test_operations_of_given_chains_are_counted() -> None:
    """Three chains for two images: their field, their part of the statistics, and 2k products for each."""
    rbm = RBM(Bernoulli(9), Bernoulli(7))
    module = RBMTraining(rbm, LayerSettings(n_hidden=7, batch_size=10), PersistentContrastiveDivergence(2, chains=15))
    assert module.flops_of(1) == 2 * 9 * 7 * (2 + 1.5 * (2 + 4))


def test_a_run_with_a_schedule_is_found_again(compose: Composer) -> None:
    """Its configuration went through YAML and JSON, whose keys are texts."""
    small = ["stack.layers=[6]", "stack.every_layer.epochs=2", "sampler=pcd", "sampler.steps={0:1,1:2}"]
    first = pretrain(compose("pretrain", small))
    file = pretraining_directory(compose("pretrain", small)) / "result.json"
    assert json.loads(file.read_text())["config"]["sampler"]["steps"] == {"0": 1, "1": 2}
    assert pretrain(compose("pretrain", small))["metrics"] == first["metrics"]
    other = compose("pretrain", [*small[:3], "sampler.steps={0:1,1:3}"])
    assert pretraining_directory(other) != file.parent


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (0, "sampler.steps=0"),
        ({1: 2}, "nothing of the first epochs"),
        ({}, "nothing of the first epochs"),
        ({0: 0}, "sampler.steps.0=0"),
        ({0: 1, 5: 1.5}, "sampler.steps.5=1.5"),
        ({0: 1, "late": 3}, "'late' is no epoch"),
        ({0: 1, -1: 3}, "-1 is no epoch"),
        ([1, 2], "whole number"),
    ],
)
def test_schedules_that_say_nothing_are_refused(steps: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ContrastiveDivergence(steps)
