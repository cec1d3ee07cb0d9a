"""Unlabelled images in fine-tuning: what the fit sees of them, the two losses, resuming, groups, processes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from dbn.data import DataSet, Images, block_loader
from dbn.data.blocks import Block, Minibatch
from dbn.data.selected_images import SelectedImages
from dbn.data.without_labels import without_labels
from dbn.errors import SettingError
from dbn.random.streams import stream, streams
from finetune.networks.network import Network
from finetune.report.results.run_result import read_run_result
from finetune.runs import network_run
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks import Classifier, FixMatch, PseudoLabels, SemiSupervised
from finetune.tasks.semi_supervised import UseOfUnlabelled
from finetune.tasks.settings import TrainingSettings
from finetune.tasks.unlabelled_minibatches import UnlabelledMinibatches
from helpers import Composer

USES = ["pseudo_labels", "fixmatch"]
SMALL = [
    "arm=random_relu_dropout", "stack.layers=[20]", "data.n_labelled=50", "training.epochs=6", "training.batch_size=20",
    "training.weights=last", "schedule=constant",
]  # fmt: skip


class StoppedError(Exception):
    """Stands for a kill."""


def numbered(n: int) -> Images:
    """Images that say their number."""
    return Images.from_features(torch.arange(n, dtype=torch.float32)[:, None], torch.arange(n) % 3)


def make_module(use: UseOfUnlabelled, unlabelled: Images, **settings: Any) -> SemiSupervised:
    """4-6-3 in float64, beside unlabelled images."""
    torch.manual_seed(3)
    training = TrainingSettings(**{"epochs": 10, "batch_size": 5, **settings})
    options = {"optimizer": lambda groups, lr: torch.optim.SGD(groups, lr=lr), "steps_per_epoch": 2, "shape": (1, 2, 2)}
    module = SemiSupervised(Network.dense([4, 6, 3], activation="relu"), training, use=use, **options)
    module.unlabelled = UnlabelledMinibatches([unlabelled], batch_size=5 * use.ratio, seeds=[0])
    return module


def test_every_image_without_a_label_comes_once_in_an_epoch_and_none_with_one() -> None:
    images, labelled = numbered(47), torch.tensor([3, 11, 12, 40])
    part = without_labels(images, labelled)
    assert part.labels is None
    minibatches = UnlabelledMinibatches([part], batch_size=10, seeds=[0])
    orders = []
    for _ in range(3):
        features, counts = minibatches.take(5)
        assert counts == [10, 10, 10, 10, 3]
        orders.append(torch.cat(features)[:, 0].long().tolist())
        assert sorted(orders[-1]) == sorted(set(range(47)) - set(labelled.tolist()))
    assert orders[0] != orders[1] != orders[2]


def test_a_position_can_be_gone_back_to_at_any_minibatch() -> None:
    part = without_labels(numbered(47), torch.tensor([0]))
    features, _ = UnlabelledMinibatches([part], batch_size=10, seeds=[4]).take(17)
    for position in (0, 3, 5, 9, 10, 14):
        again = UnlabelledMinibatches([part], batch_size=10, seeds=[4])
        again.load_state_dict({"taken": position})
        for found, expected in zip(again.take(17 - position)[0], features[position:], strict=True):
            assert torch.equal(found, expected)


def test_members_of_a_group_and_processes_share_the_order_of_one_alone() -> None:
    part = without_labels(numbered(47), torch.tensor([0]))
    alone = {seed: UnlabelledMinibatches([part], batch_size=10, seeds=[seed]).take(7)[0] for seed in (1, 5)}
    both, _ = UnlabelledMinibatches([part, part], batch_size=10, seeds=[1, 5]).take(7)
    for own, first, second in zip(both, alone[1], alone[5], strict=True):
        assert torch.equal(own, torch.stack([first, second]))
    shares = [
        UnlabelledMinibatches([part], batch_size=10, seeds=[1], rank=rank, world_size=3).take(7) for rank in range(3)
    ]
    for k, whole in enumerate(alone[1]):
        assert torch.equal(torch.cat([features[k] for features, _ in shares]), whole)
        assert {counts[k] for _, counts in shares} == {len(whole)}


def test_the_ramp_is_the_published_one() -> None:
    """Lee's equation 16 with T1 = 100 and T2 = 600 of 1000 epochs, and a weight of 3."""
    use = PseudoLabels()

    def alpha(t: float) -> float:
        if t < 100:
            return 0.0
        return 3.0 * (t - 100) / (600 - 100) if t < 600 else 3.0

    for t in (0, 50, 99.9, 100, 101, 350, 599, 600, 999):
        assert use.weight_at(t / 1000) == pytest.approx(alpha(t), abs=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.9])
def test_a_step_with_pseudo_labels_is_lee_s(progress: float) -> None:
    """Equation 15, by torch's own cross-entropy: mean over the labelled plus alpha(t) times mean over the others."""
    unlabelled = Images.from_features(torch.rand(37, 4))
    module = make_module(PseudoLabels(ratio=2), unlabelled, label_smoothing=0.1)
    module.unlabelled.load_state_dict({"taken": round(progress * 10 * 2)})
    x, y = torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    expected_images = UnlabelledMinibatches([unlabelled], batch_size=10, seeds=[0])
    expected_images.load_state_dict(module.unlabelled.state_dict())
    (u,), _ = expected_images.take(1)
    objective, losses = step(module, x, y)
    own = F.cross_entropy(module.network(x), y, reduction="none", label_smoothing=0.1)
    outputs = module.network(u)
    alpha = 3.0 * min(1.0, max(0.0, (progress - 0.1) / 0.5))
    torch.testing.assert_close(losses, own)
    torch.testing.assert_close(objective, own.mean() + alpha * F.cross_entropy(outputs, outputs.argmax(1)))


def step(module: SemiSupervised, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Objective and losses of a block of one minibatch, outside of a fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SemiSupervised, "current_epoch", 0)
        patch.setattr(SemiSupervised, "global_rank", 0)
        block = module.begin_block(Block(0, x, y, (len(x),), (len(x),)))
    (batch,) = block.minibatches()
    return module.objective(batch)


def test_a_step_of_fixmatch_is_the_published_one() -> None:
    """Without deformation both views are the image: masked cross-entropy over all images, against a fixed target."""
    unlabelled = Images.from_features(3 * torch.rand(21, 4))
    module = make_module(FixMatch(ratio=4, weight=0.7, threshold=0.55), unlabelled)
    with torch.no_grad():
        module.network.layers[-1].weight.mul_(4)
    (u,), _ = UnlabelledMinibatches([unlabelled], batch_size=20, seeds=[0]).take(1)
    x, y = torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    objective, _ = step(module, x, y)
    q = module.network(u).softmax(1).detach()
    mask = q.max(1).values >= 0.55
    assert 3 < mask.sum() < 17
    by_image = F.cross_entropy(module.network(u), q.argmax(1), reduction="none")
    expected = F.cross_entropy(module.network(x), y) + 0.7 * by_image[mask].sum() / 20
    torch.testing.assert_close(objective, expected)
    parameters = list(module.network.parameters())
    for found, wanted in zip(
        torch.autograd.grad(objective, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_fixmatch_asks_the_weak_view_and_teaches_the_strong_one() -> None:
    """With a cutout of the whole image the strong view is empty: its output is that for zeros, whatever the class."""
    use = FixMatch(threshold=0.0, cutout=1.0, weak={"translation": 0.3}, strong={"rotation": 30.0})
    x = torch.rand(9, 64)
    weak, strong = use.views(x, (1, 8, 8), None, stream(0, "augment_unlabelled"))
    assert weak.shape == strong.shape == x.shape
    assert not torch.equal(weak, x)
    assert (strong == 0).float().mean() > 0.3
    members = use.views(torch.stack([x, x]), (1, 8, 8), None, streams([0, 7], "augment_unlabelled"))
    assert torch.equal(members[0][0], weak)
    assert torch.equal(members[1][0], strong)
    assert not torch.equal(members[1][1], strong)


@pytest.mark.parametrize("use", USES)
def test_labels_of_unlabelled_images_do_not_matter(
    use: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits with all of them wrong; the labelled subset itself is fixed, since its choice is stratified."""
    subset = torch.arange(0, 1000, 20)
    monkeypatch.setattr(network_run, "label_subset", lambda *_, **__: subset)
    inputs_of = network_run.inputs_of

    def poisoned(configs: Any) -> list[DataSet]:
        (data,) = inputs_of(configs)
        labels = data.train.labels
        assert isinstance(data.train, Images | SelectedImages)
        assert labels is not None
        wrong = 9 - labels
        wrong[subset] = labels[subset]
        return [replace(data, train=replace(data.train, labels=wrong))]

    config = compose("finetune", [*SMALL, f"unlabelled={use}", "study=right"])
    right = finetune(config)
    monkeypatch.setattr(network_run, "inputs_of", poisoned)
    other = compose("finetune", [*SMALL, f"unlabelled={use}", "study=wrong"])
    assert finetune(other)["metrics"] == right["metrics"]
    assert networks_of(config) == networks_of(other)
    without = compose("finetune", [*SMALL, "study=without"])
    finetune(without)
    assert networks_of(without) != networks_of(config)


def networks_of(config: dict[str, Any]) -> bytes:
    """The bytes of the trained network."""
    return (finetuning_directory(config) / "network.safetensors").read_bytes()


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("use", USES)
def test_an_interrupted_run_ends_with_the_same_bits(
    use: str, seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of an epoch of the labelled images, and of one of the unlabelled ones."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 40)
    settings = [*SMALL, f"unlabelled={use}", "augment=affine", f"n_parallel_seeds={seeds}", "checkpoint_seconds=1e-9"]
    results = finetune_seeds(compose("finetune", [*settings, "study=undisturbed"]))
    config = compose("finetune", [*settings, "study=disturbed"])
    begin = SemiSupervised.begin_block

    def failing(self: SemiSupervised, block: Block) -> Block:
        if (self.current_epoch, block.number) == (4, 1):
            raise StoppedError
        return begin(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(SemiSupervised, "begin_block", failing)
        with pytest.raises(StoppedError):
            finetune_seeds(config)
    for found, expected in zip(finetune_seeds(config), results, strict=True):
        assert found["metrics"] == expected["metrics"]
        assert found["flops"] == expected["flops"]
        assert networks_of(found["config"]) == networks_of(expected["config"])


@pytest.mark.parametrize("use", USES)
def test_seeds_together_learn_what_each_learns_alone(use: str, compose: Composer) -> None:
    """Up to rounding, with dropout and deformed images."""
    settings = [*SMALL, f"unlabelled={use}", "augment=affine", "training.epochs=2"]
    together = finetune_seeds(compose("finetune", [*settings, "n_parallel_seeds=2", "study=together"]))
    for seed, found in enumerate(together):
        alone = finetune(compose("finetune", [*settings, f"seed={seed}", "study=alone"]))
        weights, expected = (
            load_file(finetuning_directory(result["config"]) / "network.safetensors") for result in (found, alone)
        )
        for name, weight in expected.items():
            torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-4, msg=name)
        assert found["flops"] == alone["flops"]


@pytest.mark.parametrize("use", USES)
def test_two_processes_train_the_network_that_one_trains(use: str, tmp_path: Path) -> None:
    """Without noise: an unlabelled minibatch is divided as a labelled one is."""
    plain = [
        "arm=random_relu", *SMALL[1:], f"unlabelled={use}", "training.epochs=3", "paths.runs=runs", "progress=false",
    ]  # fmt: skip
    if use == "fixmatch":
        plain += [f"unlabelled.{view}.{key}=0.0" for view in ("weak", "strong") for key in ("rotation", "translation")]
        plain += ["unlabelled.weak.scale=0.0", "unlabelled.strong.scale=0.0", "unlabelled.strong.shear=0.0"]
        plain += ["unlabelled.cutout=0.0", "unlabelled.threshold=0.3"]
    else:
        plain += ["unlabelled.ramp_start=0.0", "unlabelled.ramp_end=0.1"]
    weights = []
    for name, more in (("one", []), ("two", ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"])):
        done = subprocess.run(
            [sys.executable, "-m", "finetune.train", *plain, *more, f"study={name}"],
            cwd=tmp_path, env={**os.environ, "CI": "true"}, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (file,) = (tmp_path / "runs" / name).rglob("network.safetensors")
        weights.append(load_file(file))
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-4, msg=name)


@pytest.mark.parametrize("head_epochs", [0, 1])
@pytest.mark.parametrize("use", USES)
def test_operations_are_those_that_torch_counts(use: str, head_epochs: int, compose: Composer) -> None:
    overrides = [*SMALL, f"unlabelled={use}", "data.validation=0", f"training.head_epochs={head_epochs}"]
    counted = []

    def fit_and_count(*arguments: Any) -> None:
        with FlopCounterMode(display=False) as counter:
            fit_resumably(*arguments)
        counted.append(counter.get_total_flops())

    from finetune.runs.fit_module import fit_resumably

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.runs.fit_module.fit_resumably", fit_and_count)
        result = finetune(compose("finetune", [*overrides, "training.epochs=3"]))
    assert result["flops"]["fine_tuning"] == counted[0]


def test_an_arm_with_unlabelled_images_is_of_a_kind_of_its_own(compose: Composer, tmp_path: Path) -> None:
    """So is one pretrained by another method; those of RBMs and random weights stay what they were."""
    tiny = ["stack.layers=[12]", "stack.every_layer.epochs=1", "training.epochs=1", "data.n_labelled=50"]
    kinds = {}
    for arm in ("dbn", "dae", "joint_autoencoder_relu", "pca_relu", "random_relu", "random_relu_fixmatch"):
        config = compose("finetune", [*tiny, f"arm={arm}"])
        finetune(config)
        kinds[arm] = read_run_result(finetuning_directory(config), "finetune", tmp_path / "runs").kind
    assert kinds == {
        "dbn": "pretrained", "dae": "unlabelled", "joint_autoencoder_relu": "unlabelled", "pca_relu": "unlabelled",
        "random_relu": "random", "random_relu_fixmatch": "unlabelled",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["unlabelled=fixmatch", "data.n_labelled=null"], "none is left for unlabelled"),
        (["unlabelled=fixmatch", "training.loss=squared"], r"training\.loss=squared: .* needs cross_entropy"),
        (["unlabelled=fixmatch", "unlabelled.threshold=1.5"], r"unlabelled\.threshold=1\.5"),
        (["unlabelled=fixmatch", "unlabelled.weak.rotation=-1"], r"unlabelled\.weak\.rotation=-1"),
        (["unlabelled=fixmatch", "+unlabelled.strong.turn=1"], r"unlabelled\.strong\.turn"),
        (["unlabelled=pseudo_labels", "unlabelled.ratio=0"], r"unlabelled\.ratio=0"),
        (["unlabelled=pseudo_labels", "unlabelled.ramp_end=0.05"], r"unlabelled\.ramp_end=0\.05"),
        (["unlabelled=pseudo_labels", "unlabelled._target_=dbn.data.digits"], "unlabelled"),
        (
            ["unlabelled=pseudo_labels", "task=autoencoder", "stack.layers=[{n_hidden:5,hidden:gaussian}]"],
            "task=autoencoder uses no labels",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: list[str], words: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=words):
        finetune(compose("finetune", [*SMALL, *overrides]))


def test_consistency_pays_with_few_labels_on_the_digits(compose: Composer) -> None:
    """Of 50 labels, by so much that seeds do not decide: measured 21 % and 9 %."""
    settings = ["arm=random_relu", "data.n_labelled=50", "training.epochs=100", "training.validate_every=20"]
    errors = {
        use: finetune(compose("finetune", [*settings, f"unlabelled={use}", f"study={use}"]))["metrics"]["test/error"]
        for use in ("none", "fixmatch")
    }
    assert errors["fixmatch"] < errors["none"] - 0.03


def test_a_labelled_step_is_a_classifier_s() -> None:
    """Without weight on the unlabelled images, the objective and its gradient are the plain ones."""
    module = make_module(PseudoLabels(weight=0.0), Images.from_features(torch.rand(90, 4)))
    plain = Classifier(module.network, module.settings, optimizer=torch.optim.SGD, steps_per_epoch=2)
    x, y = torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    objective, _ = step(module, x, y)
    expected, _ = plain.objective(Minibatch(x, y, 5))
    torch.testing.assert_close(objective, expected)
