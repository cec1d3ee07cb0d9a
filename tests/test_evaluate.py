"""The command dbn-evaluate as a person meets it: numbers as in Python, files whole, words on models not to trust."""

import csv
import io
import json
import math
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from commands_of_use import Answer
from dbn import DBN, RBM, Bernoulli, Gaussian, ReLU
from dbn.data import digits, load_data
from dbn.data.scaling import Scaling
from dbn.evaluate import main
from dbn.likelihood import Enumeration, average_log_likelihood, exactly
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.random.streams import stream
from helpers import rbm_of_modes

QUICK = ["data=digits", "data.split_seed=0", "temperatures=200", "steps=50", "samples=50", "device=cpu"]
DATA = load_data(digits(), split_seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stacks of digits: small, of two layers, too large to enumerate, and of units without likelihood."""
    path = tmp_path_factory.mktemp("evaluate")
    for name, sizes in (("one", [10]), ("two", [30, 12]), ("large", [30])):
        pretrain_stack(DATA, [LayerSettings(n_hidden=n, epochs=3) for n in sizes], progress=False).save(path / name)
    DBN([rbm_of_modes().float()], DATA.scaling).save(path / "modes")
    DBN([RBM(Bernoulli(64), ReLU(5))], DATA.scaling).save(path / "relu")
    return path


def run(folder: Path, *words: str) -> Answer:
    """The command in this process, called in a folder."""
    out, error, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.chdir(folder)
        patch.setenv("CI", "true")
        patch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it for good
        patch.setattr(sys, "argv", ["dbn-evaluate", *words])
        try:
            main()
        except SystemExit as left:
            status = int(left.code or 0)
    return Answer(status, out.getvalue(), error.getvalue())


def said(folder: Path, *words: str) -> str:
    """What the command printed, which must succeed; in one line."""
    answer = run(folder, *words)
    assert answer.status == 0, answer.error
    return " ".join(answer.out.split())


def quantities(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(file.read_text())["quantities"]
    return found


def test_the_numbers_are_those_of_python(folder: Path, tmp_path: Path) -> None:
    """The exact log Z and log-likelihood of the test images, each pixel drawn once; annealing is right beside it."""
    words = said(folder, "stack=one", *QUICK, f"output={tmp_path}/one.json")
    found = quantities(tmp_path / "one.json")
    rbm = DBN.load(folder / "one")[0].double()
    log_z = float(Enumeration(rbm).log_z)
    assert found["log Z, exact"]["value"] == pytest.approx(log_z, abs=1e-9)
    assert DATA.test_index is not None
    grey = DATA.test.features()[DATA.test_index.argsort()]
    v = torch.bernoulli(grey, generator=stream(0, "binarise")).double()
    expected = average_log_likelihood(rbm, v, exactly(log_z))
    row = found["log-likelihood, exact"]
    assert [row["value"], row["low"], row["high"]] == pytest.approx([expected.value, expected.low, expected.high], 1e-5)
    for way in ("forward", "reverse"):
        assert found[f"log Z, {way} annealing"]["value"] == pytest.approx(log_z, abs=0.3)
    assert "360 images of digits, test, each pixel drawn once" in words
    assert "exact: log Z is exact" in words
    gap = found["free-energy gap"]
    assert gap["low"] < gap["value"] < gap["high"]


def test_a_stack_of_two_layers_in_a_table_of_commas(folder: Path, tmp_path: Path) -> None:
    """Bounds in order, by the exact log Z of the top RBM; the same command again gives the same bytes."""
    words = ["stack=two", *QUICK, "bound_samples=5", "binarise=threshold"]
    first = said(folder, *words, f"output={tmp_path}/a.csv")
    said(folder, *words, f"output={tmp_path}/b.csv")
    with (tmp_path / "a.csv").open() as opened:
        found = {row["quantity"]: row for row in csv.DictReader(opened)}
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    variational, weighted = (
        float(found[f"log-likelihood, {name} bound, exact"]["value"]) for name in ("variational", "importance-weighted")
    )
    assert -45 < variational < weighted < -10
    top = DBN.load(folder / "two")[1].double()
    assert float(found["log Z of the top RBM, exact"]["value"]) == pytest.approx(float(Enumeration(top).log_z))
    assert found["samples: means differ by"]["low"] == ""
    assert "grey pixels at one half" in first


def test_a_model_too_large_to_enumerate_has_both_directions(folder: Path, tmp_path: Path) -> None:
    words = said(folder, "stack=large", *QUICK, "samples=0", "split=all", f"output={tmp_path}/large.json")
    found = quantities(tmp_path / "large.json")
    assert not [name for name in found if "exact" in name or "samples" in name or "gap" in name]
    ways = [found[f"log-likelihood, {way}"] for way in ("forward", "reverse")]
    assert ways[0]["value"] == pytest.approx(ways[1]["value"], abs=1)
    assert "agree within" in words
    assert "left out: The free-energy gap" in words


def test_modes_that_annealing_misses_are_told(folder: Path, tmp_path: Path) -> None:
    """Nats off the exact value, and the command says so, by the exact value that it uses instead."""
    words = said(folder, "stack=modes", *QUICK, "samples=0", f"output={tmp_path}/modes.json")
    content = json.loads((tmp_path / "modes.json").read_text())
    found = content["quantities"]
    off = found["log Z, exact"]["value"] - found["log Z, forward annealing"]["value"]
    assert off > 4
    assert f"Forward annealing alone would be {off:.1f} nats below it and flatter the model" in words
    assert "its chains miss modes" in content["trust"]["words"]


def test_chains_are_measured_and_drawn(folder: Path, tmp_path: Path) -> None:
    """Chains that mix are said to, too short ones are not; figures in three formats, the same bits again."""
    common = ["data=digits", "data.split_seed=0", "chains=20", "device=cpu", "modes=4"]
    said(folder, "stack=one", *common, "steps=800", f"output={tmp_path}/a.json", f"figure={tmp_path}/a.svg")
    short = ["stack=modes", *common, "steps=60"]
    words = [said(folder, *short, f"output={tmp_path}/{k}.csv", f"figure={tmp_path}/{k}.png") for k in "bc"]
    said(folder, "stack=two", *common, "steps=20", f"output={tmp_path}/d.csv", f"figure={tmp_path}/d.pdf")
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["trust"]["level"] == "good"
    found = content["quantities"]
    assert found["steps that chains need"]["value"] < 800
    assert found["autocorrelation time, free energy"]["value"] > 1
    assert found["modes a chain visits"]["value"] > 3.9
    assert "doubtful: 60 steps are too few to tell" in words[0]
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert Image.open(tmp_path / "b.png").size == (1200, 840)
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert (tmp_path / "d.pdf").read_bytes().startswith(b"%PDF")


def test_wrong_calls_get_a_message_and_leave_nothing(folder: Path, tmp_path: Path) -> None:
    stack = f"stack={folder / 'one'}"
    (tmp_path / "mine.svg").write_text("mine")
    np.savez(tmp_path / "wide.npz", images=np.arange(20 * 81, dtype=np.uint8).reshape(20, 9, 9) % 17)
    refused = [
        (["stack=nothing", *QUICK], "nothing: there is no such DBN file"),
        ([f"stack={folder / 'relu'}", *QUICK], "no likelihood"),
        ([stack], "data: this needs a choice"),
        ([stack, "data=digits"], "Give data.split_seed=0"),
        ([stack, *QUICK, "output=x.txt"], "must end in .json or .csv"),
        ([stack, *QUICK, "chains=1"], "chains=1"),
        ([stack, *QUICK, "chains=1000"], "360 states for chains=1000"),
        ([stack, *QUICK, "chains=10", "figure=mine.svg"], "figure=mine.svg: this file exists"),
        ([stack, *QUICK, "figure=x.jpg"], "must end in .svg or .png or .pdf"),
        ([stack, *QUICK, "samples=5"], "none by samples=0"),
        ([stack, *QUICK, "binarise=half"], "binarise='half': no such choice"),
        ([stack, "data=npz", "data.path=wide.npz", "split=all"], "takes 64 features, from images of 1 x 8 x 8"),
    ]
    for words, message in refused:
        answer = run(tmp_path, *words)
        assert (answer.status, answer.out) == (2, ""), (words, answer)
        assert message in answer.error, (words, answer.error)
        assert "Traceback" not in answer.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.svg", "wide.npz"]


def test_real_units_have_densities(tmp_path: Path) -> None:
    """Of standardised images: a Gaussian-Bernoulli RBM without weights is a normal density, in closed form."""
    data = load_data(digits(), split_seed=0, standardise=True)
    rbm = RBM(Gaussian(64), Bernoulli(3), weight_std=0)
    assert isinstance(data.scaling, Scaling)
    DBN([rbm], data.scaling).save(tmp_path / "stack")
    words = ["stack=stack", *QUICK, "samples=0", "pseudo_likelihood=exact", "output=found.json"]
    assert "drawn once" not in said(tmp_path, *words)
    assert data.test_index is not None
    v = data.test.features()
    expected = float((-0.5 * v.square().sum(1)).double().mean()) - 32 * math.log(2 * math.pi)
    found = quantities(tmp_path / "found.json")
    assert found["log-likelihood, exact"]["value"] == pytest.approx(expected, rel=1e-5)
    assert found["log pseudo-likelihood, exact"]["value"] == pytest.approx(expected, rel=1e-4)
