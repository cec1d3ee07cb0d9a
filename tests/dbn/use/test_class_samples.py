"""dbn-sample draws and fills in images of a class."""

from pathlib import Path

import numpy as np
import torch

from commands_of_use import SAMPLE, call_all
from dbn import DBN, RBM, Bernoulli
from dbn.data import digits, load_data
from dbn.models.class_rbm import stack_given_label
from dbn.models.units import BernoulliWithLabel
from dbn.random.streams import stream
from dbn.samplers.clamped import clamped_gibbs


def test_images_of_a_class_are_the_bits_of_python(tmp_path: Path) -> None:
    data = load_data(digits())
    top = RBM(Bernoulli(12), BernoulliWithLabel(9, 10), generator=stream(0, "test"))
    top.hidden.label_weight.data.copy_(2 * torch.randn(10, 9, generator=stream(2, "test")))
    stack = DBN([RBM(Bernoulli(64), Bernoulli(12), generator=stream(1, "test")), top], data.scaling)
    stack.save(tmp_path / "classes.safetensors")
    DBN([stack[0]], data.scaling).save(tmp_path / "plain.safetensors")
    options = ["stack=classes.safetensors", "n=5", "steps=20", "seed=4"]
    fill = ["task=fill", "data=digits", "mask=[4,0,4,8]"]
    answers = call_all(
        tmp_path,
        [
            [SAMPLE, *options, "label=3", "output=threes.npy"],
            [SAMPLE, *options, "label=7", "output=sevens.npy"],
            [SAMPLE, *options, *fill, "label=3", "output=filled.npz"],
            [SAMPLE, *options, "label=10", "output=x.npy"],
            [SAMPLE, "stack=plain.safetensors", "label=3", "output=x.npy"],
            [SAMPLE, "stack=classes.safetensors", "task=reconstruct", "data=digits", "label=3", "output=x.npy"],
        ],
    )
    assert [answer.status for answer in answers] == [0, 0, 0, 2, 2, 2]
    threes = stack_given_label(stack, 3)
    expected = threes.sample(5, 20, stream(4, "samples")) * 16
    found = np.load(tmp_path / "threes.npy").reshape(5, 64)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(np.load(tmp_path / "sevens.npy").reshape(5, 64), found)
    with np.load(tmp_path / "filled.npz") as arrays:
        missing = arrays["missing"].reshape(-1, 64)
        v = digits().train_images[:5].reshape(5, 64) / 16
        clamped = clamped_gibbs(threes, v, threes[0].weight.new_tensor(missing).bool(), 20, stream(4, "fill"))
        np.testing.assert_allclose(arrays["filled"].reshape(5, 64)[missing], 16 * clamped.means[missing], rtol=1e-5)
    for answer, said in zip(answers[3:], ("label=10", "knows no labels", "draws nothing"), strict=True):
        assert said in answer.error
        assert "Traceback" not in answer.error
