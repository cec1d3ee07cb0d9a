"""Pretraining on augmented images: what layers see, and that it resumes and runs in groups."""

import torch

from dbn import RBM
from dbn.data import DataSet, digits, load_data
from dbn.data.augment import Augment
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.augmented import AugmentedBelow
from dbn.random.streams import stream, streams

AUGMENT = Augment(rotation=20.0, translation=0.125)
LAYERS = [LayerSettings(n_hidden=n, epochs=3, batch_size=50) for n in (20, 10)]


def some_digits() -> DataSet:
    return load_data(digits())


def test_a_layer_sees_deformed_images_through_the_layers_below() -> None:
    data = some_digits()
    v = data.train.features(slice(0, 30))
    below = [RBM(Bernoulli(64), Bernoulli(20)), RBM(Bernoulli(20), Bernoulli(10))]
    seen = AugmentedBelow(AUGMENT, data.shape, below)(v, stream(0, "x"))
    deformed = AUGMENT(v, data.shape, stream(0, "x"))
    expected = torch.sigmoid(torch.sigmoid(deformed @ below[0].weight) @ below[1].weight)
    torch.testing.assert_close(seen, expected.detach(), rtol=0, atol=1e-6)
    assert (deformed - v).abs().max() > 0.1


def test_a_group_sees_what_its_members_see() -> None:
    data = some_digits()
    v = torch.stack([data.train.features(slice(0, 30)), data.train.features(slice(30, 60))])
    rbms = [RBM(Bernoulli(64), Bernoulli(20), generator=stream(k, "init")) for k in range(2)]
    together = AugmentedBelow(AUGMENT, data.shape, [RBM.group(rbms)])(v, streams([0, 1], "x"))
    for k in range(2):
        alone = AugmentedBelow(AUGMENT, data.shape, [rbms[k]])(v[k], stream(k, "x"))
        torch.testing.assert_close(together[k], alone, rtol=0, atol=1e-6)


def test_every_layer_trains_on_other_images_than_without() -> None:
    data = some_digits()
    plain = pretrain_stack(data, LAYERS, progress=False)
    augmented = pretrain_stack(data, LAYERS, augment=AUGMENT, progress=False)
    again = pretrain_stack(data, LAYERS, augment=AUGMENT, progress=False)
    first_plain = pretrain_stack(data, [LAYERS[0]], augment=AUGMENT, progress=False)
    for k in range(2):
        assert not torch.equal(plain[k].weight, augmented[k].weight)
        assert torch.equal(again[k].weight, augmented[k].weight)
    assert torch.equal(first_plain[0].weight, augmented[0].weight)


def test_stacks_that_train_together_are_statistically_those_alone() -> None:
    """In float32 on so few images no draw turns: the same weights up to rounding."""
    data = some_digits()
    pair = pretrain_stacks(
        data, LAYERS, [StackRun(0), StackRun(1)], augment=AUGMENT, precision="float32", progress=False
    )
    for seed in range(2):
        alone = pretrain_stack(data, LAYERS, seed=seed, augment=AUGMENT, precision="float32", progress=False)
        torch.testing.assert_close(pair[seed].stack[1].weight, alone[1].weight, rtol=0, atol=1e-3)
