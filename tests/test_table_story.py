"""A table, by commands alone: train on it, predict new rows, fill in what is missing, draw, export."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from commands_of_use import EXPORT, FEATURES, PREDICT, SAMPLE, TRAIN, Answer, call, call_all

BY_ONNX = """
import sys, json, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
assert [node.name for node in session.get_inputs()] == ["rows"]
output, = [node.name for node in session.get_outputs()]
found, = session.run(None, {"rows": numpy.load(sys.argv[2])})
numpy.savez(sys.argv[3], **{output: found})
print(json.dumps(session.get_modelmeta().custom_metadata_map))
assert not {"torch", "dbn", "finetune"} & set(sys.modules)
"""
COMMON = ["stack=table", "stack.layers=[30]", "training.epochs=30", "training.learning_rate=0.05", "progress=false"]
HOUSES = ["data=table", "data.path=houses.csv", "data.target=price", "task=regression", "study=houses", "arm=dbn"]
RUN = "runs/houses/finetune/dbn_seed0"


def houses(n: int, seed: int) -> pd.DataFrame:
    """Houses whose price follows from their area, region and garden; a tenth of the cells are missing."""
    draw = np.random.default_rng(seed)
    region = draw.integers(3, size=n)
    area = 60 + 40 * region + 15 * draw.normal(size=n)
    garden = draw.random(n) < 0.2 + 0.3 * region
    price = 2.0 * area + 100 * region + 50 * garden + 5 * draw.normal(size=n)
    frame = pd.DataFrame(
        {
            "garden": np.where(garden, "yes", "no"),
            "area": area.round(2),
            "region": np.array(["hill", "lake, north", "town"])[region],
            "rooms": (area / 25).round(),
        }
    )
    return frame.mask(draw.random(frame.shape) < 0.1).assign(price=price.round(1))


def succeeded(answers: Sequence[Answer]) -> list[str]:
    """What the commands printed."""
    assert [answer.status for answer in answers] == [0] * len(answers), answers
    return [answer.out for answer in answers]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with houses and wine, in which networks have been trained."""
    path = tmp_path_factory.mktemp("tables")
    houses(400, 0).to_csv(path / "houses.csv", index=False)
    calls = [[TRAIN, *COMMON, *HOUSES, "n_parallel_seeds=2"], [TRAIN, *COMMON, "data=wine", "arm=dbn", "study=wine"]]
    succeeded(call_all(path, calls))
    return path


def metrics_of(folder: Path, run: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / run / "result.json").read_text())["metrics"]
    return found


def stack_of(folder: Path, study: str) -> Path:
    return next(iter(sorted((folder / f"runs/{study}/pretrain").glob("*_seed0"))))


def test_the_test_rows_give_what_the_run_reported(folder: Path) -> None:
    """Rows, values, and the three errors to the digit; scikit-learn finds the same in the file."""
    said = call(folder, PREDICT, f"run={RUN}", "split=test", "output=test.csv")
    found, kept = pd.read_csv(folder / "test.csv"), load_file(folder / RUN / "predictions.safetensors")
    assert list(found) == ["index", "price", "predicted_price"]
    assert found["index"].tolist() == kept["index"].tolist()
    for column, name in (("price", "target"), ("predicted_price", "predicted")):
        assert kept[name].dtype == np.float32
        assert np.array_equal(found[column].to_numpy(np.float32), kept[name][:, 0])
    whole = pd.read_csv(folder / "houses.csv")
    np.testing.assert_allclose(found["price"], whole["price"][found["index"]], rtol=1e-6)
    metrics = metrics_of(folder, RUN)
    errors = ", ".join(f"{name} {metrics[f'test/{name}']:.6g}" for name in ("rmse", "mae", "r2"))
    assert f"80 rows, 80 with known values: {errors}" in said
    both = (found["price"], found["predicted_price"])
    for name, of in (("rmse", root_mean_squared_error), ("mae", mean_absolute_error), ("r2", r2_score)):
        assert of(*both) == pytest.approx(metrics[f"test/{name}"], rel=1e-5)
    assert metrics["test/r2"] > 0.5


def test_a_new_table_is_read_by_the_columns_of_the_network(folder: Path) -> None:
    """In a fresh process: other order, more columns, no target, empty cells, a single row; by Python the same bits."""
    new = houses(50, 1)
    new.drop(columns="price")[["rooms", "region", "garden", "area"]].assign(owner="me").to_csv(
        folder / "new.csv", index=False
    )
    new.head(1).to_csv(folder / "one.csv", index=False)
    partly = new.assign(cost=new["price"].where(new.index < 20)).drop(columns="price")
    partly.to_csv(folder / "partly.csv", index=False)
    common = [PREDICT, f"run={RUN}", "data=table"]
    said = succeeded(
        call_all(
            folder,
            [
                [*common, "data.path=new.csv", "output=new_values.csv"],
                [*common, "data.path=one.csv", "output=one_value.csv"],
                [*common, "data.path=partly.csv", "data.target=cost", "output=partly_values.csv"],
            ],
        )
    )
    code = (
        "import pandas, numpy, finetune; network = finetune.Network.load('" + RUN + "');"
        "numpy.save('by_python.npy', network.predict(pandas.read_csv('new.csv')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    values, one, some = (pd.read_csv(folder / f"{name}.csv") for name in ("new_values", "one_value", "partly_values"))
    assert list(values) == ["index", "predicted_price"]
    assert np.array_equal(values["predicted_price"].to_numpy(np.float32), np.load(folder / "by_python.npy")[:, 0])
    assert "that the model does not take are ignored: owner." in said[0]
    assert "50 rows, without known values" in said[0]
    assert r2_score(new["price"], values["predicted_price"]) > 0.5
    assert one["predicted_price"][0] == pytest.approx(values["predicted_price"][0], rel=1e-5)
    assert "1 rows, 1 with known values: rmse" in said[1]
    assert "50 rows, 20 with known values: rmse" in said[2]
    assert some["cost"].notna().tolist() == [k < 20 for k in range(50)]
    rmse = root_mean_squared_error(new["price"][:20], some["predicted_price"][:20])
    assert f"rmse {rmse:.4g}" in said[2]


def test_an_ensemble_averages_values(folder: Path) -> None:
    houses(30, 2).to_csv(folder / "thirty.csv", index=False)
    data = ["data=table", "data.path=thirty.csv"]
    runs = [f"runs/houses/finetune/dbn_seed{seed}" for seed in (0, 1)]
    calls = [[PREDICT, f"run={run}", *data, f"output=seed{k}.csv"] for k, run in enumerate(runs)]
    said = succeeded(call_all(folder, [*calls, [PREDICT, "ensemble=runs/houses", *data, "output=mean.csv"]]))
    each, mean = [pd.read_csv(folder / f"seed{k}.csv") for k in (0, 1)], pd.read_csv(folder / "mean.csv")
    assert "by 2 networks" in said[2]
    assert not np.array_equal(each[0]["predicted_price"], each[1]["predicted_price"])
    average = (each[0]["predicted_price"] + each[1]["predicted_price"]) / 2
    np.testing.assert_allclose(mean["predicted_price"], average, rtol=1e-6)


def test_classes_of_wine(folder: Path) -> None:
    """The run's own accuracy; new wines with and without their growers."""
    from sklearn.datasets import load_wine

    run = "runs/wine/finetune/dbn_seed0"
    wine = load_wine(as_frame=True)
    new = wine.data.iloc[::-5].assign(grower=[f"class_{k}" for k in wine.target.iloc[::-5]]).reset_index(drop=True)
    new.to_csv(folder / "wines.csv", index=False)
    new.assign(grower=new["grower"].where(new.index > 3)).to_csv(folder / "some_wines.csv", index=False)
    table = [PREDICT, f"run={run}", "data=table"]
    said = succeeded(
        call_all(
            folder,
            [
                [PREDICT, f"run={run}", "split=test", "output=wine_test.csv"],
                [*table, "data.path=wines.csv", "output=wine_new.csv"],
                [*table, "data.path=some_wines.csv", "output=wine_some.csv"],
                [FEATURES, f"run={run}", "split=test", "output=wine.npz"],
                [FEATURES, f"stack={stack_of(folder, 'houses')}", "data=table", "data.path=houses.csv", "output=h.npz"],
            ],
        )
    )
    found, fresh, some = (pd.read_csv(folder / f"wine_{name}.csv") for name in ("test", "new", "some"))
    error = metrics_of(folder, run)["test/error"]
    assert f"36 rows, 36 with labels: error {100 * error:.2f} %" in said[0]
    assert f"accuracy {100 * (1 - error):.2f} %" in said[0]
    kept = load_file(folder / run / "probabilities.safetensors")["probabilities"]
    assert np.array_equal(found.filter(like="probability_").to_numpy(np.float32), kept)
    assert fresh["label"].tolist() == new["grower"].tolist()
    right = (fresh["label"] == fresh["predicted"]).mean()
    assert right > 0.8
    assert f"accuracy {100 * right:.2f} %" in said[1]
    assert "36 rows, 32 with labels" in said[2]
    assert some["label"].isna().sum() == 4
    with np.load(folder / "wine.npz") as of_wine, np.load(folder / "h.npz") as of_houses:
        assert of_wine["features"].shape == (36, 30)
        assert of_wine["labels"].tolist() == found["label"].tolist()
        assert of_houses["features"].shape == (400, 30)
        np.testing.assert_allclose(of_houses["targets"][:, 0], pd.read_csv(folder / "houses.csv")["price"], rtol=1e-6)


def test_empty_cells_are_filled_in_and_rows_are_drawn(folder: Path) -> None:
    """With the table's own columns, in its order; what is there stays; regions follow the areas."""
    truth = houses(200, 3).dropna().reset_index(drop=True)
    empty = truth.assign(
        region=truth["region"].where(truth.index % 2 == 0), area=truth["area"].where(truth.index % 2 == 1), note="x"
    )
    empty.to_csv(folder / "empty.csv", index=False)
    stack = f"stack={stack_of(folder, 'houses')}"
    said = succeeded(
        call_all(
            folder,
            [
                [SAMPLE, stack, "task=fill", "data=table", "data.path=empty.csv", "steps=300", "output=filled.csv"],
                [SAMPLE, stack, "n=500", "steps=300", "output=drawn.csv"],
                [SAMPLE, stack, "task=reconstruct", "data=table", "data.path=empty.csv", "n=7", "output=again.csv"],
            ],
        )
    )
    filled, drawn, again = (pd.read_csv(folder / f"{name}.csv") for name in ("filled", "drawn", "again"))
    assert f"{len(truth)} rows filled in" in said[0]
    assert list(filled) == list(empty)
    for name in empty:
        there = empty[name].notna()
        assert filled[name][there].tolist() == empty[name][there].tolist(), name
    assert filled.notna().all().all()
    was_empty = empty["region"].isna()
    assert (filled["region"] == truth["region"])[was_empty].mean() > 0.75, "a third by chance"
    missing_area = empty["area"].isna()
    error = root_mean_squared_error(truth["area"][missing_area], filled["area"][missing_area])
    assert error < 0.6 * truth["area"].std()
    own = pd.read_csv(folder / "houses.csv")
    assert set(drawn) == {"garden", "area", "region", "rooms"}
    assert set(drawn["region"]) == set(own["region"].dropna())
    assert set(drawn["garden"]) == {"yes", "no"}
    assert drawn["area"].std() == pytest.approx(own["area"].std(), rel=0.25), "numbers vary as in the table"
    assert len(again) == 7


@pytest.mark.parametrize("format", ["onnx", "torch_export"])
def test_other_software_gets_values_in_their_own_units(format: str, folder: Path) -> None:  # noqa: A002
    """By onnxruntime alone, from rows that are encoded as the file itself says."""
    suffix = {"onnx": "onnx", "torch_export": "pt2"}[format]
    said = call(folder, EXPORT, RUN, f"output=houses.{suffix}", f"format={format}", "overwrite=true")
    card = (folder / "houses.md").read_text()
    assert f"houses.{suffix}" in said
    for words in (
        "Input `rows`: float32 `(batch, 6)`", "| 0 | area | the number, in its own units |",
        "| 2 | garden | 0 for no and 1 for yes |",
        "| 3 to 5 | region | 1 for its value, else 0: hill, lake, north, town",
        "values of the targets in their own units, `(batch, n_targets)`: price",
    ):  # fmt: skip
        assert words in card, words
    new = houses(40, 4)
    new.to_csv(folder / "forty.csv", index=False)
    call(
        folder, PREDICT, f"run={RUN}", "data=table", "data.path=forty.csv", "output=forty_values.csv", "overwrite=true"
    )
    expected = pd.read_csv(folder / "forty_values.csv")["predicted_price"]
    if format == "torch_export":
        import torch

        extra = {"description.json": ""}
        program = torch.export.load(folder / "houses.pt2", extra_files=extra).module()
        found = program(torch.from_numpy(encoded(new, json.loads(extra["description.json"])))).detach().numpy()
    else:
        pytest.importorskip("onnxruntime")
        words = [sys.executable, "-c", BY_ONNX, "houses.onnx", "rows.npy", "values.npz"]
        from onnx import load

        described = {entry.key: entry.value for entry in load(folder / "houses.onnx").metadata_props}
        np.save(folder / "rows.npy", encoded(new, described))
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(json.loads(done.stdout)["targets"]) == ["price"]
        with np.load(folder / "values.npz") as file:
            found = file["values"]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


def encoded(frame: pd.DataFrame, description: dict[str, Any]) -> np.ndarray:
    """Rows as the description of the exported file says, by pandas alone."""
    parts = []
    for column in json.loads(description["columns"]):
        own = frame[column["name"]]
        if column["kind"] == "number":
            parts.append(own.to_numpy(float)[:, None])
        elif column["kind"] == "binary":
            parts.append(own.map({value: k for k, value in enumerate(column["values"])}).to_numpy(float)[:, None])
        else:
            one_hot = np.array([[float(value == known) for known in column["values"]] for value in own])
            one_hot[own.isna()] = np.nan
            parts.append(one_hot)
    return np.concatenate(parts, 1).astype(np.float32)


def test_what_does_not_fit_is_said(folder: Path) -> None:
    """By name, in one line, without a file."""
    whole = houses(20, 5)
    whole.drop(columns="area").to_csv(folder / "lacking.csv", index=False)
    whole.assign(region="moon").to_csv(folder / "moon.csv", index=False)
    whole.assign(area="large").to_csv(folder / "large.csv", index=False)
    whole.dropna().to_csv(folder / "full.csv", index=False)
    np.savez(folder / "images.npz", images=np.random.default_rng(0).random((5, 2, 3)))
    table, stack = [PREDICT, f"run={RUN}", "data=table"], f"stack={stack_of(folder, 'houses')}"
    fill = [SAMPLE, stack, "task=fill", "data=table", "data.path=full.csv"]
    cases = {
        "no column 'area'": [*table, "data.path=lacking.csv"],
        "column 'region' holds 'moon' in row 0": [*table, "data.path=moon.csv"],
        "column 'area' holds 'large' in row 0": [*table, "data.path=large.csv"],
        "data.target=prize: the table has no such column. Did you mean price?": [
            *table, "data.path=full.csv", "data.target=prize"
        ],
        "are 2 columns, and the model has 1 to predict: price": [
            *table, "data.path=full.csv", "data.target=[price,area]"
        ],
        "these are images, and the model takes a table with the columns area, rooms, garden, region": [
            PREDICT, f"run={RUN}", "data=npz", "data.path=images.npz"
        ],
        "the stack was pretrained on a table, whose rows are no pictures": [SAMPLE, stack],
        "mask=[0, 0, 1, 1]: it is for pictures": [*fill, "mask=[0,0,1,1]", "output=no.csv"],
        "no cell of data=table is empty": [*fill, "output=no.csv"],
        "dtype=uint8: the network takes rows of a table": [EXPORT, RUN, "dtype=uint8", "output=no.onnx"],
        "split=test: which images of data=table": [PREDICT, "run=alone.safetensors", "data=table",
            "data.path=full.csv", "split=test"],
    }  # fmt: skip
    (folder / "alone.safetensors").write_bytes((folder / RUN / "network.safetensors").read_bytes())
    before = sorted(folder.rglob("*"))
    for message, answer in zip(cases, call_all(folder, list(cases.values())), strict=True):
        assert answer.status == 2, (message, answer)
        assert message in answer.error, (message, answer.error)
        assert "Traceback" not in answer.error
    assert sorted(folder.rglob("*")) == before


def test_the_report_of_a_study_of_regression_is_made(folder: Path) -> None:
    call(folder, "finetune.report.command", "runs/houses")
    assert "rmse" in (folder / "runs/houses/table.md").read_text().lower()
