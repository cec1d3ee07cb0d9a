"""dbn-sample and dbn-evaluate of the file of a deep Boltzmann machine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from commands_of_use import SAMPLE, call_all
from dbn import DBM, Bernoulli
from dbn.data import digits, load_data
from dbn.likelihood import DBMEnumeration
from dbn.models.mean_field import bound
from dbn.random.streams import stream
from dbn.samplers.clamped_dbm import clamped_gibbs_of_dbm

EVALUATE = "dbn.evaluate"


def test_commands_use_it_as_python_does(tmp_path: Path) -> None:
    data = load_data(digits())
    dbm = DBM([Bernoulli(64), Bernoulli(8), Bernoulli(5)], weight_std=0.3, generator=stream(0, "test"))
    dbm.scaling = data.scaling
    dbm.save(tmp_path / "dbm.safetensors")
    options = ["stack=dbm.safetensors", "seed=4"]
    evaluate = [
        *options,
        "data=digits",
        "split=all",
        "n=50",
        "temperatures=30",
        "annealing_chains=20",
        "samples=20",
        "steps=8",
    ]
    answers = call_all(
        tmp_path,
        [
            [SAMPLE, *options, "n=5", "steps=20", "output=drawn.npy"],
            [SAMPLE, *options, "n=5", "steps=20", "task=fill", "data=digits", "mask=[4,0,4,8]", "output=filled.npz"],
            [SAMPLE, *options, "n=5", "task=reconstruct", "data=digits", "output=again.npz"],
            [SAMPLE, *options, "n=5", "task=features", "output=features.npz"],
            [EVALUATE, *evaluate, "binarise=threshold", "output=found.json"],
            [EVALUATE, *evaluate, "chains=10", "output=x.json"],
            [SAMPLE, *options, "label=3", "output=x.npy"],
        ],
    )
    assert [answer.status for answer in answers] == [0, 0, 0, 0, 0, 2, 2], [answer.error for answer in answers]
    expected = dbm.sample(5, 20, stream(4, "samples")) * 16
    np.testing.assert_allclose(np.load(tmp_path / "drawn.npy").reshape(5, 64), expected, rtol=1e-6)
    v = digits().train_images[:5].reshape(5, 64) / 16
    with np.load(tmp_path / "filled.npz") as arrays:
        missing = torch.from_numpy(arrays["missing"].reshape(5, 64)).bool()
        clamped = clamped_gibbs_of_dbm(dbm, v, missing, 20, stream(4, "fill"))
        np.testing.assert_allclose(arrays["filled"].reshape(5, 64)[missing], 16 * clamped.means[missing], rtol=1e-5)
    with np.load(tmp_path / "again.npz") as arrays:
        np.testing.assert_allclose(arrays["reconstructions"].reshape(5, 64), 16 * dbm.reconstruct(v), rtol=1e-5)
    found = {
        name: own["value"] for name, own in json.loads((tmp_path / "found.json").read_text())["quantities"].items()
    }
    images, exact = (digits().train_images[:50].reshape(50, 64) / 16 > 0.5).double(), DBMEnumeration(dbm.double())
    assert found["log Z, exact"] == pytest.approx(float(exact.log_z), abs=1e-5)
    assert found["log-likelihood, exact"] == pytest.approx(float(exact.log_likelihood(images).mean()), abs=1e-4)
    value = float(bound(dbm, images, dbm.mean_field(images), exact.log_z).mean().detach())
    assert found["log-likelihood, variational bound, exact"] == pytest.approx(value, abs=1e-3)
    for answer, said in zip(answers[5:], ("chains=null", "knows no labels"), strict=True):
        assert said in answer.error
        assert "Traceback" not in answer.error
