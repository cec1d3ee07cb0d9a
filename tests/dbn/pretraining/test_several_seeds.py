"""RBMs that train together learn what each would learn by itself."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import DBN, RBM
from dbn.data import DataSet, Images, digits, load_data
from dbn.data.block_loader import BlockLoader
from dbn.data.group_loader import GroupLoader
from dbn.errors import DivergenceError, SettingError
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.stack_run import pretrain_seeds, pretraining_directory
from dbn.random.streams import stream, streams
from dbn.runs.seeds import SEEDS, ranges, seeds_to_resume
from dbn.samplers import ContrastiveDivergence
from helpers import KINDS, PAIRS, Composer, randomise, units_of


class StoppedError(Exception):
    """Stands for a kill."""


def new_rbms(visible: str = "bernoulli", hidden: str = "bernoulli") -> list[RBM]:
    """Three of 6 x 4 units, in float64, each with weights and biases of its own."""
    rbms = []
    for seed in range(3):
        generator = stream(seed, "init")
        rbm = RBM(units_of(visible, 6), units_of(hidden, 4), weight_std=0.2, generator=generator).double()
        for units in (rbm.visible, rbm.hidden):
            randomise(units, generator, 1.0)
        rbms.append(rbm)
    return rbms


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
@pytest.mark.parametrize(("steps", "sample_visible"), [(1, False), (3, True)])
def test_every_member_takes_the_steps_it_would_take_alone(
    visible: str, hidden: str, steps: int, sample_visible: bool
) -> None:
    """Ten steps with momentum and weight cost, in float64, where no draw lies within rounding of its probability."""
    settings = LayerSettings(n_hidden=4, learning_rate=0.02, weight_cost=0.01)
    v = torch.rand(3, 10, 6, dtype=torch.float64)
    sampler = ContrastiveDivergence(steps, sample_visible=sample_visible)

    def trained(rbm: RBM, v: torch.Tensor, seeds: list[int]) -> RBM:
        optimizer = RBMTraining(rbm, settings, sampler).configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = 0.7
        step = ContrastiveStep(rbm, sampler)
        for number in range(10):
            step(v, optimizer, streams(seeds, "gibbs", number))
        return rbm

    group = RBM.group(new_rbms(visible, hidden))
    trained(group, v, [0, 1, 2])
    for seed, (rbm, member) in enumerate(zip(new_rbms(visible, hidden), group.members(), strict=True)):
        start = rbm.weight.detach().clone()
        trained(rbm, v[seed], [seed])
        assert not torch.allclose(rbm.weight, start, atol=1e-3)
        for (name, alone), (_, found) in zip(rbm.named_parameters(), member.named_parameters(), strict=True):
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_the_group_s_memory(kind: str) -> None:
    rbms = new_rbms(kind, kind)
    group = RBM.group(rbms)
    v = torch.rand(5, 6, dtype=torch.float64)
    for rbm, member in zip(rbms, group.members(), strict=True):
        assert torch.equal(member.free_energy(v), rbm.free_energy(v))
    with torch.no_grad():
        for parameter in group.parameters():
            parameter[1] = 0.5
    for number, member in enumerate(group.members()):
        assert all(bool((p == 0.5).all()) == (number == 1) for p in member.parameters())


def test_bfloat16_products_of_a_group_are_its_members_own() -> None:
    """A member's gradient in a group is what it is alone, but for the order in which products add up."""
    v = torch.rand(3, 50, 60)
    rbms = [RBM(Bernoulli(60), Bernoulli(40), generator=stream(seed, "init")) for seed in range(3)]
    group = RBM.group(rbms)

    def gradients(rbm: RBM, v: torch.Tensor, seeds: list[int]) -> list[torch.Tensor]:
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
        ContrastiveStep(rbm, ContrastiveDivergence(), "bf16")(v, optimizer, streams(seeds, "gibbs"))
        return [parameter.grad for parameter in rbm.parameters() if parameter.grad is not None]

    weight = gradients(group, v, [0, 1, 2])[-1]
    for seed, rbm in enumerate(rbms):
        alone = gradients(rbm, v[seed], [seed])[-1]
        assert (weight[seed] - alone).norm() < 2**-8 * alone.norm()


def test_rbms_of_different_shapes_do_not_train_together() -> None:
    with pytest.raises(SettingError, match="one shape"):
        RBM.group([RBM(Bernoulli(6), Bernoulli(4)), RBM(Bernoulli(6), Bernoulli(5))])


def test_blocks_of_a_group_are_its_members_blocks() -> None:
    images = [Images.from_features(torch.rand(103, 5), torch.arange(103)) for _ in range(2)]

    def loaders(epoch: int) -> list[BlockLoader]:
        options: dict[str, Any] = {"batch_size": 10, "minibatches_per_block": 4, "epoch": lambda: epoch}
        return [BlockLoader(own, seed=seed, **options) for seed, own in enumerate(images)]

    for epoch in (0, 3):
        group, alone = GroupLoader(loaders(epoch)), loaders(epoch)
        assert len(group) == len(alone[0])
        n = 0
        for block, *own in zip(group, *alone, strict=True):
            for member, expected in zip(block.of_members(), own, strict=True):
                for a, b in zip(member.minibatches(), expected.minibatches(), strict=True):
                    assert torch.equal(a.features, b.features)
                    assert a.labels is not None
                    assert b.labels is not None
                    assert torch.equal(a.labels, b.labels)
                    assert a.count == b.count
                n += len(member)
        assert n == 2 * 103


LAYERS = [LayerSettings(n_hidden=30, epochs=3, batch_size=20), LayerSettings(n_hidden=20, epochs=2, batch_size=20)]


def distance(a: DBN, b: DBN) -> float:
    """Of two stacks' weights, relative to their norm."""
    pairs = [(x.weight.detach(), y.weight.detach()) for x, y in zip(a, b, strict=True)]
    return float(sum((x - y).norm() for x, y in pairs) / sum(y.norm() for _, y in pairs))


def test_a_stack_is_what_it_would_be_alone_whoever_trains_with_it(digits_data: DataSet) -> None:
    """Within what a draw that rounding turns makes of a few epochs; other seeds are a hundred times further away."""
    three = pretrain_stacks(digits_data, LAYERS, [StackRun(seed) for seed in (4, 5, 6)], progress=False)
    two = pretrain_stacks(digits_data, LAYERS, [StackRun(seed) for seed in (6, 4)], progress=False)
    alone = {seed: pretrain_stack(digits_data, LAYERS, seed=seed, progress=False) for seed in (4, 5, 6)}
    for seed, found in zip((4, 5, 6, 6, 4), [*three, *two], strict=True):
        assert distance(found.stack, alone[seed]) < 0.01
    assert distance(three[0].stack, three[1].stack) > 0.5


def test_each_run_has_its_own_place_and_is_done_once(compose: Composer) -> None:
    small = ["stack.layers=[12,8]", "stack.every_layer.epochs=3", "n_parallel_seeds=3"]
    config = compose("pretrain", [*small, "seed=2"])
    alone = pretrain_seeds(compose("pretrain", [*small, "seed=3", "n_parallel_seeds=1"]))
    results = pretrain_seeds(config)
    assert [result["seed"] for result in results] == [2, 3, 4]
    assert results[1] == alone[0]
    assert [result["trained_together"] for result in results] == [2, 1, 2]
    for result in results:
        directory = pretraining_directory(result["config"])
        rows = (directory / "metrics.csv").read_text().splitlines()
        assert len(rows) == 1 + 6
        assert len(DBN.load(directory / "dbn.safetensors")) == 2
        assert (directory / "pictures.npz").is_file()
    study = pretraining_directory(config).parents[1]
    assert not (study / "together").exists()
    assert pretrain_seeds(config) == results


def test_an_interrupted_group_goes_on_with_all_its_members(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between epochs of the second layer, and again between two members' results: the same bits in the end."""
    from dbn.pretraining import contrastive, stack_run

    small = ["stack.layers=[12,8]", "stack.every_layer.epochs=3", "n_parallel_seeds=3", "checkpoint_seconds=0"]
    undisturbed = pretrain_seeds(compose("pretrain", [*small, "study=undisturbed"]))
    config = compose("pretrain", [*small, "study=disturbed"])
    metrics, finish = contrastive.rbm_metrics, stack_run._finish
    calls = {"metrics": 0, "finish": 0}

    def failing_metrics(*arguments: Any) -> dict[str, float]:
        calls["metrics"] += 1
        if calls["metrics"] == 3 * 3 + 3 + 2:  # three members, three epochs of layer 1, one of layer 2, member 2
            raise StoppedError
        return metrics(*arguments)

    def failing_finish(*arguments: Any) -> dict[str, Any]:
        calls["finish"] += 1
        if calls["finish"] == 2:
            raise StoppedError
        return finish(*arguments)

    monkeypatch.setattr(contrastive, "rbm_metrics", failing_metrics)
    monkeypatch.setattr(stack_run, "_finish", failing_finish)
    for n_done in (0, 1):
        with pytest.raises(StoppedError):
            pretrain_seeds(config)
        assert len(list(pretraining_directory(config).parent.glob("*/result.json"))) == n_done
    results = pretrain_seeds(config)
    for found, expected in zip(results, undisturbed, strict=True):
        assert found["metrics"] == expected["metrics"]
        for name in ("dbn.safetensors", "metrics.csv"):
            files = [pretraining_directory(result["config"]) / name for result in (found, expected)]
            assert files[0].read_bytes() == files[1].read_bytes()


def test_who_trains_together(tmp_path: Path) -> None:
    folder = tmp_path / "layer1"
    assert seeds_to_resume(None, [1, 2], [1, 2]) == [1, 2]
    assert seeds_to_resume(folder, [1], [1]) == [1]
    assert not folder.exists()
    assert seeds_to_resume(folder, [1, 2], [0, 1, 2]) == [1, 2]
    assert seeds_to_resume(folder, [2], [0, 1, 2]) == [1, 2]  # its checkpoint holds both
    (folder / "last.ckpt").touch()
    assert seeds_to_resume(folder, [2, 3], [0, 2, 3]) == [2, 3]  # a checkpoint of others is of no use
    assert not (folder / "last.ckpt").exists()
    assert json.loads((folder / SEEDS).read_text()) == [2, 3]


@pytest.mark.parametrize(("numbers", "words"), [([0, 1, 2], "0-2"), ([5], "5"), ([0, 1, 4, 7, 8], "0-1_4_7-8")])
def test_ranges_of_seeds_in_few_words(numbers: list[int], words: str) -> None:
    assert ranges(numbers) == words


def test_the_seed_that_diverges_is_named(digits_data: DataSet) -> None:
    rbms = [RBM(Bernoulli(64), Bernoulli(10)) for _ in range(3)]
    with torch.no_grad():
        rbms[1].weight[0, 0] = torch.inf
    module = RBMTraining(RBM.group(rbms), LayerSettings(n_hidden=10), ContrastiveDivergence(), seeds=[7, 8, 9])
    assert module.diverged() == " for seed 8"
    bad = LayerSettings(n_hidden=10, hidden="gaussian", learning_rate=1e6, epochs=5)
    with pytest.raises(DivergenceError, match=r"diverged in epoch \d+ for seed 0, 1: its parameters"):
        pretrain_stacks(digits_data, [bad], [StackRun(0), StackRun(1)], progress=False)


def test_images_in_a_file_are_for_one_seed_at_a_time(tmp_path: Path) -> None:
    import numpy as np

    from dbn.data import memmap

    np.save(tmp_path / "images.npy", digits().train_images.squeeze(1).numpy())
    data = load_data(memmap(tmp_path, maximum=16), validation=100, test=100)
    with pytest.raises(SettingError, match=r"n_parallel_seeds=2.*n_parallel_seeds=1"):
        pretrain_stacks(data, LAYERS, [StackRun(0), StackRun(1)], progress=False)


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_a_number_of_seeds_that_is_none_is_refused(value: object, compose: Composer) -> None:
    with pytest.raises(SettingError, match="n_parallel_seeds"):
        pretrain_seeds({**compose("pretrain"), "n_parallel_seeds": value})
