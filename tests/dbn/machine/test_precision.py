"""bfloat16 products: close to float32's, chosen by size and processor, and for training only."""

import pytest
import torch

from dbn import RBM
from dbn.data import Images
from dbn.errors import SettingError
from dbn.machine.precision import Choice, choose_precision, device_kind
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli, Gaussian
from dbn.pretraining import fit
from dbn.pretraining.stack_run import pretrain
from dbn.random.streams import stream
from finetune.runs.network_run import finetune
from helpers import Composer

CPU = torch.device("cpu")


class Layer:
    """A large layer, in float32 and bfloat16."""

    operations = 10**6
    precisions = ("float32", "bf16")


def test_what_is_asked_for_is_taken() -> None:
    for wanted in ("float32", "bf16"):
        assert choose_precision(wanted, Layer(), 1, CPU, "rbm") == Choice(wanted, f"precision={wanted}")


def test_a_precision_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match=r"precision='bf61'.*bf16"):
        choose_precision("bf61", Layer(), 1, CPU, "rbm")


def test_a_precision_that_a_layer_does_not_have_is_refused() -> None:
    with pytest.raises(SettingError, match="precision=tf32: Layer multiplies in float32 or bf16 only"):
        choose_precision("tf32", Layer(), 1, CPU, "rbm")


def test_gradient_is_float32_s_within_the_rounding_of_its_parts() -> None:
    """Relative to the two phases' statistics, whose difference the gradient is: a few times 2^-8."""
    rbm = RBM(Bernoulli(60), Gaussian(40), generator=stream(0, "init"))
    reduced = rbm.in_precision("bf16")
    gradients = []
    v = torch.rand(2, 50, 60, generator=stream(0, "v"))
    for model in (rbm, reduced):
        phases = Phases(rbm, 50)
        phases.v.copy_(v.flatten(0, 1))
        with torch.no_grad():
            phases.positive.condition_on_visible(model)
            phases.negative.condition_on_visible(model)
            statistics = phases.positive.v.T @ phases.positive.mean / 50
            phases.write_gradient(model)
        gradients.append([parameter.grad.clone() for parameter in rbm.parameters() if parameter.grad is not None])
    for exact, rounded in zip(*gradients, strict=True):
        assert rounded.dtype == torch.float32
        assert (exact - rounded).norm() < 4 * 2**-8 * statistics.norm()
    assert not torch.equal(gradients[0][-1], gradients[1][-1])


def test_the_reduced_rbm_follows_the_weights() -> None:
    rbm = RBM(Bernoulli(6), Bernoulli(4))
    reduced = rbm.in_precision("bf16")
    with torch.no_grad():
        rbm.weight.fill_(0.5)
        assert not torch.equal(reduced.hidden_field(torch.ones(1, 6)), torch.full((1, 4), 3.0))
        reduced.connection.refresh()
        assert torch.equal(reduced.hidden_field(torch.ones(1, 6)), torch.full((1, 4), 3.0))
        assert torch.equal(reduced.visible_field(torch.ones(1, 4)), torch.full((1, 6), 2.0))


def test_training_in_either_precision_learns_the_same(digits_data: object) -> None:
    """Reconstruction errors of eight seeds: the means are within four standard errors, which are under 2 % of them."""
    images = Images.from_features(digits_data.train.features())  # type: ignore[attr-defined]
    v, errors = images.features(), torch.zeros(2, 8)
    for row, precision in zip(errors, ("float32", "bf16"), strict=True):
        for seed in range(8):
            rbm = RBM(Bernoulli(64), Bernoulli(50), generator=stream(seed, "init"))
            fit(rbm, images, epochs=10, learning_rate=0.05, batch_size=20, precision=precision, seed=seed)
            with torch.no_grad():
                row[seed] = (rbm.mean_visible(rbm.mean_hidden(v)) - v).square().sum(1).mean()
    difference = errors.mean(1).diff().abs()
    standard_error = (errors.var(1) / 8).sum().sqrt()
    assert difference < 4 * standard_error
    assert standard_error < 0.02 * errors.mean()
    assert (errors[0] != errors[1]).all()


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("wanted", ["auto", "bf16"])
def test_a_run_says_what_each_layer_took_and_why(stage: str, wanted: str, compose: Composer) -> None:
    """Small layers of digits are float32 by the table on every processor."""
    small = ["stack.layers=[9,5]", "stack.every_layer.epochs=1", f"precision={wanted}"]
    if stage == "pretrain":
        result, n_layers = pretrain(compose("pretrain", small)), 2
    else:
        result, n_layers = finetune(compose("finetune", [*small, "arm=random_relu", "training.epochs=1"])), 3
    assert result["precision"] == ["float32" if wanted == "auto" else "bf16"] * n_layers
    assert len(result["precision_decided_by"]) == n_layers
    for words in result["precision_decided_by"]:
        assert words == "precision=bf16" if wanted == "bf16" else device_kind(CPU) in words
