"""dbn-predict, dbn-features and dbn-sample as a person meets them: what is in their files, what they refuse."""

import csv
import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from commands_of_use import FEATURES, PREDICT, SAMPLE, TRAIN, Answer, call, call_all
from dbn import DBN
from dbn.data import digits, load_data
from dbn.random.streams import stream
from dbn.samplers.clamped import clamped_gibbs
from finetune import Network
from finetune.tasks.predictions import PROBABILITIES_FILE, read_predictions

SMALL = ["stack.layers=[12,9]", "stack.every_layer.epochs=2", "training.epochs=4", "progress=false", "study=s"]
DIGITS = digits()
PIXELS = DIGITS.train_images[:, 0].numpy()
LABELS = DIGITS.train_labels.numpy()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of two arms, an autoencoder and others have been trained."""
    path = tmp_path_factory.mktemp("use")
    runs = [
        ["arm=dbn_dropout", "n_parallel_seeds=2"],
        ["arm=random_relu", "data.standardise=true", "seed=3", "name=real"],
        ["arm=random_sigmoid", "training.loss=squared", "name=scores", "study=other"],
        ["arm=random_relu", "task=autoencoder", "task.baselines=[]", "name=coder", "study=other"],
    ]
    for answer in call_all(path, [[TRAIN, *SMALL, *own] for own in runs]):
        assert answer.status == 0, answer.error
    return path


@dataclass
class Table:
    """A CSV file, column by column."""

    columns: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "Table":
        with file.open(encoding="utf-8", newline="") as opened:
            head, *rows = csv.reader(opened)
        return cls({name: [row[k] for row in rows] for k, name in enumerate(head)})

    def numbers(self, start: str) -> np.ndarray:
        """Columns whose names begin so, as float32."""
        return np.array([own for name, own in self.columns.items() if name.startswith(start)], np.float32).T


def result(folder: Path, run: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / run / "result.json").read_text())["metrics"]
    return found


DBN_RUN, REAL, SCORES, CODER = (
    f"runs/{name}" for name in (
        "s/finetune/dbn_dropout_seed0", "s/finetune/real_seed3", "other/finetune/scores_seed0",
        "other/finetune/coder_seed0",
    )
)  # fmt: skip


@pytest.mark.parametrize("run", [DBN_RUN, REAL])
def test_the_test_images_of_a_run_give_what_it_reported(run: str, folder: Path, tmp_path: Path) -> None:
    """Images, order, classes, every probability bit by bit, and the error to the digit."""
    said = call(folder, PREDICT, f"run={run}", "split=test", f"output={tmp_path}/test.csv")
    table, reported = Table.read(tmp_path / "test.csv"), read_predictions(folder / run)
    assert reported is not None
    assert [*table.columns][:3] == ["index", "label", "predicted"]
    assert list(map(int, table.columns["index"])) == reported.index.tolist()
    assert list(map(int, table.columns["label"])) == reported.label.tolist()
    assert list(map(int, table.columns["predicted"])) == reported.predicted.tolist()
    kept = load_file(folder / run / PROBABILITIES_FILE)["probabilities"]
    assert np.array_equal(table.numbers("probability_"), kept)
    error = result(folder, run)["test/error"]
    assert error == np.mean(reported.label != reported.predicted)
    assert f"360 images, 360 with labels: error {100 * error:.2f} % ({round(360 * error)} of 360)" in said


def test_all_images_of_the_run_s_own_data(folder: Path, tmp_path: Path) -> None:
    """More than one block of them; what Python computes is what is read back."""
    call(folder, PREDICT, f"run={DBN_RUN}", f"output={tmp_path}/all.csv")
    table, network = Table.read(tmp_path / "all.csv"), Network.load(folder / DBN_RUN)
    assert list(map(int, table.columns["index"])) == list(range(1797))
    assert list(map(int, table.columns["label"])) == LABELS.tolist()
    assert np.array_equal(table.numbers("probability_"), network.predict_proba(PIXELS))
    assert list(map(int, table.columns["predicted"])) == network.predict(PIXELS).tolist()


def write_new_images(folder: Path) -> None:
    """The first 30 images in every format, a single image, one class, two classes with other numbers."""
    np.savez(folder / "new.npz", images=PIXELS[:30].astype(np.float64), labels=LABELS[:30])
    np.savez(folder / "without.npz", images=PIXELS[:30])
    np.savez(folder / "one.npz", images=PIXELS[3:4], labels=LABELS[3:4])
    seven = LABELS == 7
    np.savez(folder / "sevens.npz", images=PIXELS[seven], labels=LABELS[seven])
    (folder / "mapped").mkdir()
    np.save(folder / "mapped/images.npy", np.concatenate([PIXELS] * 2))
    np.save(folder / "mapped/labels.npy", np.concatenate([LABELS] * 2).astype(str))
    for label in (7, 3):
        (folder / f"pictures/{label}").mkdir(parents=True)
        for k in np.flatnonzero(label == LABELS)[:4]:
            Image.fromarray(PIXELS[k]).save(folder / f"pictures/{label}/{k}, of digits.png")


def test_new_images_of_any_source(folder: Path, tmp_path: Path) -> None:
    write_new_images(tmp_path)
    sources = {
        "new": "npz", "without": "npz", "one": "npz", "sevens": "npz", "mapped": "memmap", "pictures": "image_folder"
    }  # fmt: skip
    paths = {name: tmp_path / (f"{name}.npz" if kind == "npz" else name) for name, kind in sources.items()}
    answers = call_all(
        folder,
        [
            [PREDICT, f"run={DBN_RUN}", f"data={kind}", f"data.path={paths[name]}", f"output={tmp_path}/{name}.csv"]
            for name, kind in sources.items()
        ],
    )
    assert [answer.status for answer in answers] == [0] * 6, answers
    tables = {name: Table.read(tmp_path / f"{name}.csv") for name in sources}
    network = Network.load(folder / DBN_RUN)
    expected = network.predict_proba(PIXELS[:30])
    assert np.array_equal(tables["new"].numbers("probability_"), expected)
    assert "label" not in tables["without"].columns
    assert "without labels" in answers[1].out
    assert np.array_equal(tables["without"].numbers("probability_"), expected)
    assert tables["one"].columns["index"] == ["0"]
    assert "1 images, 1 with labels" in answers[2].out
    assert np.array_equal(tables["one"].numbers("probability_"), network.predict_proba(PIXELS[3:4]))
    assert set(tables["sevens"].columns["label"]) == {"7"}
    wrong = sum(name != "7" for name in tables["sevens"].columns["predicted"])
    assert f"({wrong} of {len(tables['sevens'].columns['label'])})" in answers[3].out, "classes are matched by name"
    twice = np.concatenate([PIXELS] * 2)
    assert np.array_equal(tables["mapped"].numbers("probability_"), network.predict_proba(twice))
    pictures = tables["pictures"]
    assert pictures.columns["label"] == ["3"] * 4 + ["7"] * 4
    assert pictures.columns["name"] == sorted(
        f"{label}/{k}, of digits.png" for label in (3, 7) for k in np.flatnonzero(label == LABELS)[:4]
    )
    index = [int(name.split("/")[1].split(",")[0]) for name in pictures.columns["name"]]
    assert np.array_equal(pictures.numbers("probability_"), network.predict_proba(PIXELS[index]))


def test_an_ensemble_averages_the_seeds_of_an_arm(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", images=PIXELS[:30], labels=LABELS[:30])
    data = ["data=npz", f"data.path={tmp_path}/new.npz"]
    said = call(folder, PREDICT, "ensemble=runs/s", "arm=dbn_dropout", *data, f"output={tmp_path}/e.csv")
    assert "by 2 networks" in said
    table = Table.read(tmp_path / "e.csv")
    each = [
        Network.load(folder / f"runs/s/finetune/dbn_dropout_seed{seed}").predict_proba(PIXELS[:30]) for seed in (0, 1)
    ]
    average = np.mean(np.array(each, np.float64), 0)
    assert np.array_equal(table.numbers("probability_"), average.astype(np.float32))
    assert list(map(int, table.columns["predicted"])) == average.argmax(1).tolist()
    assert not np.array_equal(each[0], each[1])


def test_an_autoencoder_and_a_network_without_probabilities(folder: Path, tmp_path: Path) -> None:
    said = call(folder, PREDICT, f"run={CODER}", "split=test", f"output={tmp_path}/coder.csv")
    table, network = Table.read(tmp_path / "coder.csv"), Network.load(folder / CODER)
    index = np.array(table.columns["index"], int)
    found = network.reconstruct(PIXELS[index].astype(np.float32)).reshape(-1, 64) / 16
    np.testing.assert_allclose(
        table.numbers("squared_error")[:, 0], ((found - PIXELS[index].reshape(-1, 64) / 16) ** 2).sum(1), rtol=1e-4
    )
    assert f"squared error {result(folder, CODER)['test/squared_error']:.6g} per image" in said
    call(folder, PREDICT, f"run={SCORES}", "split=test", f"output={tmp_path}/scores.csv")
    scores, reported = Table.read(tmp_path / "scores.csv"), read_predictions(folder / SCORES)
    assert [*scores.columns] == ["index", "label", "predicted"]
    assert reported is not None
    assert list(map(int, scores.columns["predicted"])) == reported.predicted.tolist()


def stack_of(folder: Path) -> Path:
    """The directory of the first seed's stack."""
    found: Path = next((folder / "runs/s/pretrain").glob("*_seed0"))
    return found


def test_features_are_the_bits_of_python(folder: Path, tmp_path: Path) -> None:
    stack = stack_of(folder)
    calls = [
        [FEATURES, f"run={DBN_RUN}", "layer=1", f"output={tmp_path}/layer1.npy"],
        [FEATURES, f"run={DBN_RUN}", "split=test", f"output={tmp_path}/test.npz"],
        [FEATURES, f"run={DBN_RUN}", "layer=0", "split=validation", f"output={tmp_path}/inputs.csv"],
        [FEATURES, f"run={CODER}", f"output={tmp_path}/code.npy"],
        [FEATURES, f"stack={stack}", f"output={tmp_path}/stack.npy"],
        [FEATURES, f"stack={stack}/dbn.safetensors", "layer=1", "data=digits", f"output={tmp_path}/stack1.npz"],
    ]
    answers = call_all(folder, calls)
    assert [answer.status for answer in answers] == [0] * 6, answers
    network, dbn = Network.load(folder / DBN_RUN), DBN.load(stack)
    assert np.array_equal(np.load(tmp_path / "layer1.npy"), network.transform(PIXELS, 1))
    assert "1797 images, 12 features each" in answers[0].out
    data = load_data(DIGITS, split_seed=0)
    assert data.test_index is not None
    order = data.test_index.argsort()
    with np.load(tmp_path / "test.npz") as found:
        assert np.array_equal(found["features"], network.transform(data.test)[order].numpy())
        assert np.array_equal(found["index"], data.test_index[order])
        assert np.array_equal(found["labels"], LABELS[found["index"]].astype(str))
    table = Table.read(tmp_path / "inputs.csv")
    index = np.array(table.columns["index"], int)
    assert len(index) == len(data.validation)
    assert np.array_equal(table.numbers("feature_"), PIXELS[index].reshape(-1, 64).astype(np.float32) / 16)
    assert table.columns["label"] == LABELS[index].astype(str).tolist()
    coder = Network.load(folder / CODER)
    assert np.array_equal(np.load(tmp_path / "code.npy"), coder.transform(PIXELS))
    assert np.array_equal(np.load(tmp_path / "stack.npy"), dbn.transform(PIXELS))
    with np.load(tmp_path / "stack1.npz") as found:
        assert np.array_equal(found["features"], dbn.transform(PIXELS, 1))


def test_samples_are_the_bits_of_python(folder: Path, tmp_path: Path) -> None:
    stack = stack_of(folder)
    options = [f"stack={stack}", "n=7", "steps=30", "seed=5"]
    calls = [[SAMPLE, *options, f"output={tmp_path}/samples{suffix}"] for suffix in (".npy", ".npz", ".png")]
    calls.append([SAMPLE, *options, "seed=6", f"output={tmp_path}/other.npy"])
    assert [answer.status for answer in call_all(folder, calls)] == [0] * 4
    dbn = DBN.load(stack)
    expected = dbn.sample(7, 30, stream(5, "samples")) * 16
    found = np.load(tmp_path / "samples.npy")
    assert found.shape == (7, 1, 8, 8)
    np.testing.assert_allclose(found.reshape(7, 64), expected, rtol=1e-6)
    with np.load(tmp_path / "samples.npz") as arrays:
        assert np.array_equal(arrays["samples"], found)
    assert Image.open(tmp_path / "samples.png").size == (3 * 54, 3 * 54)
    assert not np.array_equal(np.load(tmp_path / "other.npy"), found)


def test_features_of_every_layer_are_shown(folder: Path, tmp_path: Path) -> None:
    stack = stack_of(folder)
    calls = [[SAMPLE, f"stack={stack}", "task=features", f"output={tmp_path}/found{end}"] for end in (".npz", ".png")]
    assert [answer.status for answer in call_all(folder, calls)] == [0, 0]
    dbn = DBN.load(stack)
    with np.load(tmp_path / "found.npz") as arrays:
        assert sorted(arrays) == [f"layer{k}" for k in range(1, len(dbn) + 1)]
        weight = dbn[0].weight.detach()
        shown = min(64, weight.shape[1])
        np.testing.assert_array_equal(arrays["layer1"].reshape(shown, 64), weight.T[:shown])
    assert Image.open(tmp_path / "found.png").size[0] > 500
    refused = [[SAMPLE, f"stack={stack}", "task=features", own] for own in ("output=x.npy", "data=digits", "steps=5")]
    answers = call_all(folder, refused)
    assert [answer.status for answer in answers] == [2] * 3
    assert "features are written as .png or .npz" in answers[0].error


def test_missing_pixels_are_filled_in(folder: Path, tmp_path: Path) -> None:
    """By a box, by a picture, and where the data have NaN: the same images, the same numbers."""
    stack = stack_of(folder)
    holes = np.zeros((8, 8), bool)
    holes[4:] = True
    Image.fromarray(holes).save(tmp_path / "mask.png")
    lost = PIXELS[:5].astype(np.float32)
    lost[:, holes] = np.nan
    np.savez(tmp_path / "lost.npz", images=lost)
    common = [SAMPLE, f"stack={stack}", "task=fill", "n=5", "steps=20"]
    calls = [
        [*common, "mask=[4,0,4,8]", "data=digits", f"output={tmp_path}/box.npz"],
        [*common, f"mask={tmp_path}/mask.png", f"output={tmp_path}/picture.npy"],
        [*common, "data=npz", f"data.path={tmp_path}/lost.npz", f"output={tmp_path}/nan.npy"],
        [*common, "mask=[4,0,4,8]", f"output={tmp_path}/sheet.png"],
    ]
    answers = call_all(folder, calls)
    assert [answer.status for answer in answers] == [0] * 4, answers
    assert "5 images filled in" in answers[0].out
    with np.load(tmp_path / "box.npz") as found:
        filled = found["filled"]
        assert np.array_equal(filled[:, 0, :4], PIXELS[:5, :4])
        assert np.array_equal(found["missing"][:, 0], np.broadcast_to(holes, (5, 8, 8)))
        assert np.isnan(found["images"][found["missing"]]).all()
        assert found["labels"].tolist() == LABELS[:5].astype(str).tolist()
    assert np.array_equal(np.load(tmp_path / "picture.npy"), filled)
    assert np.array_equal(np.load(tmp_path / "nan.npy"), filled)
    dbn, missing = DBN.load(stack), torch.from_numpy(holes.reshape(1, 64)).expand(5, 64)
    v = torch.from_numpy(PIXELS[:5].reshape(5, 64).astype(np.float32)) / 16
    means = clamped_gibbs(dbn, v, missing, 20, stream(0, "fill")).means
    np.testing.assert_allclose(filled.reshape(5, 64)[:, 32:], means[:, 32:] * 16, rtol=1e-6)
    assert Image.open(tmp_path / "sheet.png").size == (5 * 54, 3 * 54)


def test_reconstructions(folder: Path, tmp_path: Path) -> None:
    stack = stack_of(folder)
    call(folder, SAMPLE, f"stack={stack}", "task=reconstruct", "split=test", "n=20", f"output={tmp_path}/r.npz")
    data = load_data(DIGITS, split_seed=0)
    assert data.test_index is not None
    index = data.test_index.sort().values[:20]
    v = torch.from_numpy(PIXELS[index].reshape(20, 64).astype(np.float32)) / 16
    expected = DBN.load(stack).reconstruct(v)
    with np.load(tmp_path / "r.npz") as found:
        assert np.array_equal(found["index"], index)
        assert np.array_equal(found["images"][:, 0], PIXELS[index])
        np.testing.assert_allclose(found["reconstructions"].reshape(20, 64), expected * 16, rtol=1e-6)
        np.testing.assert_allclose(found["squared_error"], (expected - v).square().sum(1), rtol=1e-5)


class Trap:
    """An object whose pickle writes a file when it is read."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.proof), "w"))


def write_traps(tmp_path: Path, folder: Path) -> None:
    """Files that are not what they are taken for."""
    for name in ("network.safetensors", "dbn.safetensors", "images.npz"):
        (tmp_path / f"pickle_{name}").write_bytes(pickle.dumps(Trap(tmp_path / "proof")))
    np.savez(tmp_path / "objects.npz", images=np.array([Trap(tmp_path / "proof")], object))
    for source in (folder / DBN_RUN / "network.safetensors", stack_of(folder) / "dbn.safetensors"):
        (tmp_path / f"cut_{source.name}").write_bytes(source.read_bytes()[:-100])
    np.savez(tmp_path / "images.npz", images=PIXELS[:30], labels=LABELS[:30])
    (tmp_path / "cut_images.npz").write_bytes((tmp_path / "images.npz").read_bytes()[:-300])
    np.savez(tmp_path / "wide.npz", images=PIXELS[:30].repeat(2, 2))
    np.savez(tmp_path / "bright.npz", images=np.minimum(PIXELS[:30] * 15, 255))
    np.savez(tmp_path / "unit.npz", images=PIXELS[:30] / 16)
    np.savez(tmp_path / "nan.npz", images=np.full((3, 8, 8), np.nan))
    np.savez(tmp_path / "cats.npz", images=PIXELS[:2], labels=["3", "cat"])
    (tmp_path / "text.csv").write_text("mine")


def test_bad_input_gets_a_message_and_nothing_is_written_or_executed(folder: Path, tmp_path: Path) -> None:
    write_traps(tmp_path, folder)
    run, stack = f"run={folder / DBN_RUN}", f"stack={stack_of(folder)}"
    npz = ["data=npz"]
    refused: list[tuple[Sequence[str], str]] = [
        ([PREDICT, "run=nothing", "data=digits"], "nothing: there is no such network"),
        ([PREDICT, f"run={folder}/runs/s", "data=digits"], "there is no such network"),
        ([PREDICT, "run=pickle_network.safetensors", "data=digits"], "not readable as a network file"),
        ([PREDICT, "run=cut_network.safetensors", "data=digits"], "not readable as a network file"),
        ([PREDICT, f"run={stack_of(folder)}/dbn.safetensors", "data=digits"], "but not a network"),
        ([FEATURES, f"stack={folder / DBN_RUN}/network.safetensors", "data=digits"], "but not a DBN"),
        ([SAMPLE, "stack=pickle_dbn.safetensors"], "not readable as a DBN file"),
        ([SAMPLE, "stack=cut_dbn.safetensors"], "not readable as a DBN file"),
        ([SAMPLE, "stack=nothing"], "nothing: there is no such DBN file"),
        ([PREDICT, run, *npz, "data.path=pickle_images.npz"], "pickle_images.npz"),
        ([PREDICT, run, *npz, "data.path=objects.npz"], "pickled objects"),
        ([PREDICT, run, *npz, "data.path=cut_images.npz"], "cut_images.npz is damaged"),
        ([PREDICT, run, *npz, "data.path=missing.npz"], "missing.npz does not exist"),
        ([PREDICT, run, *npz, "data.path=wide.npz"], "takes 64 features, from images of 1 x 8 x 8"),
        ([FEATURES, run, *npz, "data.path=wide.npz"], "takes 64 features, from images of 1 x 8 x 8"),
        ([SAMPLE, stack, "task=reconstruct", *npz, "data.path=wide.npz"], "takes 64 features"),
        ([PREDICT, run, *npz, "data.path=bright.npz"], "were stored from 0 to 16"),
        ([PREDICT, run, *npz, "data.path=unit.npz"], "were stored from 0 to 16. Multiply"),
        ([PREDICT, run, *npz, "data.path=nan.npz"], "NaN or infinite values"),
        ([PREDICT, run, *npz, "data.path=cats.npz"], "the class 'cat', which the network does not know"),
        ([PREDICT, run, "output=text.csv"], "output=text.csv: this file exists"),
        ([PREDICT, run, "output=text.txt"], "output=text.txt: the name must end in .csv"),
        ([PREDICT, run, "output=."], "output"),
        ([PREDICT, run, "device=tpu"], "device='tpu': no such choice"),
        ([PREDICT, run, "split=some"], "split='some': no such choice"),
        ([PREDICT, run, "arm=dbn"], "it chooses the runs of an ensemble"),
        ([PREDICT, f"ensemble={folder}/runs/s"], "has several: dbn_dropout, real"),
        ([PREDICT, f"ensemble={folder}/runs/s", "arm=dnb"], "Choose from dbn_dropout, real"),
        ([PREDICT, "ensemble=nothing"], "there is no such study"),
        ([PREDICT, f"ensemble={folder}/runs/s", "arm=dbn_dropout", "split=test"], "Give data.split_seed=0"),
        ([PREDICT, "run=copy.safetensors"], "data: this needs a choice"),
        ([FEATURES, run, "layer=4"], "layer=4: it must be a whole number from 0 to 3"),
        ([FEATURES, run, stack], "are given. Give one of them"),
        ([FEATURES, run, "output=features.txt"], "must end in .npy or .npz or .csv"),
        ([SAMPLE, stack, "task=paint"], "task.name='paint': no such choice"),
        ([SAMPLE, stack, "task=fill"], "mask=null: nothing is missing"),
        ([SAMPLE, stack, "task=fill", "mask=[0,0,9,1]"], "images of 8 rows and 8 columns"),
        ([SAMPLE, stack, "task=fill", "mask=[0,0,1]"], "mask=[top,left,height,width]"),
        ([SAMPLE, stack, "task=fill", "mask=nothing.png"], "nothing.png"),
        ([SAMPLE, stack, "mask=[0,0,1,1]"], "task=fill"),
        ([SAMPLE, stack, "n=0"], "n=0: it must be a whole number from 1"),
        ([SAMPLE, stack, "data=digits"], "task=draw takes no images"),
        ([SAMPLE, stack, "task=reconstruct", "steps=5"], "task=reconstruct draws nothing"),
    ]
    (tmp_path / "copy.safetensors").write_bytes((folder / DBN_RUN / "network.safetensors").read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    for (words, message), answer in zip(refused, call_all(tmp_path, [words for words, _ in refused]), strict=True):
        assert (answer.status, answer.out) == (2, ""), (words, answer)
        assert message in answer.error, (words, answer.error)
        assert "Traceback" not in answer.error, words
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_file_is_replaced_on_request_and_only_as_a_whole(folder: Path, tmp_path: Path) -> None:
    """What fails half way leaves the file that was there."""
    images = np.concatenate([PIXELS, PIXELS]).astype(np.float32)
    images[-1, 0, 0] = 99  # in the last block
    (tmp_path / "mapped").mkdir()
    np.save(tmp_path / "mapped/images.npy", images)
    (tmp_path / "out.csv").write_text("mine")
    common = [PREDICT, f"run={folder / DBN_RUN}", "output=out.csv", "overwrite=true"]
    failed, done = call_all(tmp_path, [[*common, "data=memmap", "data.path=mapped"], [*common, "split=validation"]])
    assert (failed.status, done.status) == (2, 0)
    assert "hold values from 0 to 99" in failed.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mapped", "out.csv"]
    assert len(Table.read(tmp_path / "out.csv").columns["index"]) == 288


def test_data_of_a_run_that_have_changed_are_not_taken_for_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=PIXELS[:300], labels=LABELS[:300])
    train = [TRAIN, "arm=random_relu", "data=npz", "data.path=mine.npz", "data.maximum=16", *SMALL]
    own = [PREDICT, "run=runs/s/finetune/random_relu_seed0", "split=test"]
    trained, first = call_all(tmp_path, [train, own])
    assert (trained.status, first.status) == (0, 0), (trained, first)
    np.savez(tmp_path / "mine.npz", images=PIXELS[300:600], labels=LABELS[300:600])
    changed: Answer
    changed, given = call_all(
        tmp_path, [[*own, "output=b.csv"], [*own, "output=c.csv", "data=npz", "data.path=mine.npz"]]
    )
    assert changed.status == 2
    assert "data.path=mine.npz: the run's own data have changed" in changed.error
    assert given.status == 0, given.error


def test_a_run_s_name_may_have_signs_of_hydra_s_grammar(folder: Path, tmp_path: Path) -> None:
    """As the runs of a sweep have."""
    copy = tmp_path / "dbn_training.epochs=5, 6_seed0"
    shutil.copytree(folder / DBN_RUN, copy)
    call(tmp_path, PREDICT, f"run={copy}", "split=validation")
    assert (tmp_path / "predictions.csv").is_file()
