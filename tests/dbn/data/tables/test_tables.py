"""Tables: kinds of columns, encoding and back, splits, missing values, and scaling against numpy and scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dbn.data import TableSource, breast_cancer, diabetes, load_data, table, wine
from dbn.data.load import load_splits
from dbn.data.split.strata import label_subset
from dbn.data.tables.columns import Columns
from dbn.errors import DataError, SettingError
from dbn.models.units import make_units


def people(n: int = 40) -> pd.DataFrame:
    """Columns of every kind, in mixed order, with missing values, and a target of each kind."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": generator.choice(["Rome", "Oslo", "Bern"], n),
            "age": generator.integers(20, 80, n),
            "smoker": generator.choice(["no", "yes"], n),
            "height": generator.normal(1.7, 0.1, n),
            "male": generator.choice([True, False], n),
            "floor": generator.choice([1, 2, 3, 4], n),
            "same": ["x"] * n,
            "empty": [None] * n,
            "ill": generator.choice(["a", "b"], n),
            "cost": generator.normal(100, 20, n),
            "days": generator.normal(10, 2, n),
        }
    )
    for column, rows in {"city": [3, 7], "age": [0, 1, 2], "smoker": [5], "height": [9], "male": [11]}.items():
        frame[column] = frame[column].where(~frame.index.isin(rows))  # as object where there is no missing value
    return frame


def test_kinds_are_found_and_ordered() -> None:
    source = TableSource.of(people(), "ill", {"days": "leave_out"})
    kinds = {column.name: column.kind for column in source.columns.columns}
    assert kinds == {
        "age": "number", "height": "number", "floor": "number", "cost": "number", "smoker": "binary", "male": "binary",
        "city": "category",
    }  # fmt: skip
    assert source.columns.names == ["age", "height", "floor", "cost", "smoker", "male", "city"]
    assert source.columns.units() == {
        "kind": "mixed",
        "parts": [
            {"kind": "gaussian_with_variance", "n": 4},
            {"kind": "bernoulli", "n": 2},
            {"kind": "softmax", "n": 3, "categories": [3]},
        ],
    }
    assert make_units(source.columns.units(), source.columns.n_features).size == 9
    assert source.classes == ("a", "b")
    assert source.targets == ()


def test_kinds_are_as_a_person_says() -> None:
    source = TableSource.of(
        people(), None, {"floor": "category", "city": "leave_out", "ill": "leave_out", "male": "category"}
    )
    kinds = {column.name: column.kind for column in source.columns.columns}
    assert kinds["floor"] == kinds["male"] == "category"
    assert {"city", "ill"}.isdisjoint(kinds)
    assert source.labels is None
    (floor,) = [column for column in source.columns.columns if column.name == "floor"]
    assert floor.values == (1, 2, 3, 4)


def test_numbers_alone_and_categories_alone_need_no_mixture() -> None:
    numbers = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 2, 7]})
    assert TableSource.of(numbers).columns.units() == "gaussian_with_variance"
    texts = pd.DataFrame({"a": ["x", "y", "z"], "b": ["p", "q", "r"]})
    assert TableSource.of(texts).columns.units() == {"kind": "softmax", "categories": [3, 3]}
    assert TableSource.of(pd.DataFrame({"a": [0, 1, 1]})).columns.units() == "bernoulli"


def test_encoding_is_scikit_learn_s_and_comes_back() -> None:
    frame = people()
    source = TableSource.of(frame, "ill")
    stored = source.stored.numpy()
    city = OneHotEncoder(sparse_output=False, categories=[["Bern", "Oslo", "Rome"]]).fit_transform(
        frame[["city"]].fillna("Oslo")
    )
    there = frame["city"].notna().to_numpy()
    np.testing.assert_array_equal(stored[there][:, source.columns.places("category")], city[there])
    assert np.isnan(stored[~there][:, source.columns.places("category")]).all()
    np.testing.assert_allclose(stored[:, 1], frame["height"], rtol=1e-6)
    assert int(np.isnan(stored[:, 0]).sum()) == 3
    again = source.columns.decoded(torch.from_numpy(np.nan_to_num(stored)))
    for name in ("smoker", "male", "floor"):
        known = frame[name].notna()
        assert again[name][known].tolist() == frame[name][known].tolist(), name
    reordered = frame[frame.columns[::-1]].assign(more=1)
    assert torch.equal(source.columns.encoded(reordered).nan_to_num(-9), source.stored.nan_to_num(-9))


def test_statistics_are_those_of_the_training_rows() -> None:
    """Scaling and what fills in missing values, from the training rows that have a value, in every split alike."""
    frame = people(200)
    frame.loc[:60, "height"] = None
    source = TableSource.of(frame, "ill", {"cost": "leave_out", "days": "leave_out"})
    data = load_data(source, split_seed=3)
    assert data.test_index is not None
    assert [len(data.train), len(data.validation), len(data.test)] == [128, 32, 40]
    train = data.columns.decoded(data.train.pixels)  # type: ignore[union-attr, attr-defined]
    assert train["age"].notna().all()
    # Find the training rows again by their unfilled neighbours: all rows but those that were held out.
    used = torch.ones(200, dtype=torch.bool)
    used[data.test_index] = False
    rest, validation = source.stored[used], data.validation.pixels  # type: ignore[attr-defined]
    in_validation = (columns_of(data).filled(rest)[:, None] == validation).all(2).any(1)
    rows = rest[~in_validation].numpy()
    assert len(rows) == 128
    numbers = rows[:, columns_of(data).places("number")]
    scaler = StandardScaler().fit(numbers)
    np.testing.assert_allclose(data.train.offset[:3], scaler.mean_, rtol=1e-5)
    np.testing.assert_allclose(1 / data.train.factor[:3], scaler.scale_, rtol=1e-4)
    features = data.train.features()
    known = ~torch.from_numpy(np.isnan(rows)).any(1)
    assert features[:, :3].mean(0).abs().max() < 1e-4
    assert bool(known.any())
    cities = rows[:, columns_of(data).places("category")]
    mode = np.nansum(cities, 0).argmax()
    fill = columns_of(data).fill
    assert fill is not None
    assert int(fill[columns_of(data).places("category")].argmax()) == mode
    assert fill[columns_of(data).places("category")].sum() == 1
    assert set(fill[columns_of(data).places("binary")].tolist()) <= {0.0, 1.0}
    for images in (data.train, data.validation, data.test):
        assert images.features().isfinite().all()


def columns_of(data: Any) -> Columns:
    """The columns of a data set that is a table."""
    assert data.columns is not None
    return data.columns  # type: ignore[no-any-return]


def test_no_test_row_has_a_say() -> None:
    """Other values in test rows change no scaling, nor any training or validation feature."""
    frame = people(100)
    first = load_data(TableSource.of(frame, "ill"))
    assert first.test_index is not None
    frame.loc[first.test_index.numpy(), ["height", "cost"]] += 1000.0
    second = load_data(TableSource.of(frame, "ill"))
    assert torch.equal(first.train.features(), second.train.features())
    assert torch.equal(first.validation.features(), second.validation.features())
    assert not torch.equal(first.test.features(), second.test.features())


def test_seeds_split_otherwise_and_several_as_one() -> None:
    source = TableSource.of(people(), "cost")
    several = load_splits(source, [0, 1, 0])
    for seed, data in zip((0, 1, 0), several, strict=True):
        alone = load_data(source, split_seed=seed)
        assert torch.equal(data.train.features(), alone.train.features())
        assert data.test_index is not None
        assert torch.equal(data.test_index, alone.test_index)
    assert not torch.equal(several[0].test_index, several[1].test_index)


def test_targets_are_classes_or_numbers() -> None:
    frame = people()
    assert TableSource.of(frame, "ill").classes == ("a", "b")
    assert TableSource.of(frame, "floor").classes == ("1", "2", "3", "4")
    assert TableSource.of(frame, "floor", {"floor": "number"}).targets == ("floor",)
    several = TableSource.of(frame, ["cost", "days"])
    assert several.targets == ("cost", "days")
    assert several.labels is not None
    np.testing.assert_allclose(several.labels, frame[["cost", "days"]], rtol=1e-6)
    assert TableSource.of(frame, "cost").classes == ()
    data = load_data(TableSource.of(frame, "cost"))
    assert data.train.labels is not None
    assert data.train.labels.shape == (len(data.train), 1)
    chosen = label_subset(data.train.labels, 7, 0)
    assert len(chosen.unique()) == 7


def test_scikit_learn_s_own_tables() -> None:
    data = load_data(diabetes())
    assert (data.n_features, data.targets, len(data.test)) == (10, ("progression",), 89)
    assert columns_of(data).units() == {
        "kind": "mixed", "parts": [{"kind": "gaussian_with_variance", "n": 9}, {"kind": "bernoulli", "n": 1}]
    }  # fmt: skip
    _, y = load_diabetes(return_X_y=True, scaled=False)
    assert data.test_index is not None
    np.testing.assert_allclose(data.test.labels[:, 0], y[data.test_index], rtol=1e-6)  # type: ignore[index]
    for source, n, classes in ((wine(), 178, 3), (breast_cancer(), 569, 2)):
        loaded = load_data(source)
        assert len(source.stored) == n
        assert len(loaded.classes) == classes
        assert columns_of(loaded).units() == "gaussian_with_variance"
    assert breast_cancer().classes == ("benign", "malignant")


def test_files_give_the_same_rows(tmp_path: Path) -> None:
    frame = people().drop(columns=["city", "smoker", "same", "empty", "male", "ill"])
    frame.to_csv(tmp_path / "people.csv", index=False)
    np.savez(tmp_path / "people.npz", **{name: frame[name].to_numpy(dtype=float) for name in frame})
    from_csv, from_npz = (table(tmp_path / f"people.{kind}", "cost") for kind in ("csv", "npz"))
    assert from_csv.columns.names == from_npz.columns.names
    torch.testing.assert_close(from_csv.stored, from_npz.stored, equal_nan=True)
    np.savez(tmp_path / "matrix.npz", x=np.random.default_rng(0).random((9, 3)), y=np.arange(9.0) / 3)
    matrix = table(tmp_path / "matrix.npz", "y")
    assert matrix.columns.names == ["x0", "x1", "x2"]


FRAME = people()


@pytest.mark.parametrize(
    ("frame", "target", "columns", "error", "match"),
    [
        (FRAME, "costs", {}, SettingError, "data.target=costs.*Did you mean"),
        (FRAME, "cost", {"ages": "number"}, SettingError, "data.columns=ages"),
        (FRAME, "cost", {"age": "numeric"}, SettingError, r"columns\.age=.numeric"),
        (FRAME, ["cost", "ill"], {}, SettingError, "'ill' looks like classes"),
        (FRAME, "cost", {"age": "binary"}, DataError, r"data\.columns\.age=binary"),
        (FRAME, "cost", {"city": "number"}, DataError, r"'city' holds '\w+' in row 0"),
        (FRAME, "age", {}, DataError, "target 'age' is missing in 3 of 40 rows, the first is row 0"),
        (FRAME, "ill", {"ill": "number"}, DataError, "holds texts"),
        (FRAME, "ill", {"ill": "binary"}, SettingError, r"columns\.ill=.binary"),
        (FRAME[["same", "empty"]], None, {}, DataError, "no column to learn from"),
        (FRAME[:1], None, {}, DataError, "has 1 rows"),
        (FRAME.assign(ill="a"), "ill", {"ill": "category"}, DataError, "in all rows"),
        (pd.concat([FRAME, FRAME], axis=1), None, {}, DataError, "two columns are called"),
        (pd.DataFrame({"id": [f"n{k}" for k in range(90)], "a": range(90)}), None, {}, DataError, "90 different texts"),
        (pd.DataFrame({"a": [1.0, np.inf, 2.0]}), None, {}, DataError, "'a' holds inf in row 1"),
        (
            pd.DataFrame({"a": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])}),
            None,
            {},
            DataError,
            "of type",
        ),
    ],
)
def test_what_cannot_be_is_refused(frame: Any, target: Any, columns: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        TableSource.of(frame, target, columns)


def test_new_rows_that_do_not_fit_are_refused() -> None:
    columns = TableSource.of(people(), "cost").columns
    with pytest.raises(DataError, match="no column 'age'"):
        columns.encoded(people().drop(columns="age"))
    with pytest.raises(DataError, match="column 'city' holds 'Kyiv' in row 2"):
        columns.encoded(people().assign(city=lambda rows: rows["city"].where(rows.index != 2, "Kyiv")))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for path in (None, tmp_path / "nothing.csv"):
        with pytest.raises(DataError, match=r"data\.path"):
            table(path)
    (tmp_path / "bad.csv").write_bytes(b'a,b\n1,2\n1,2,3,4\n"')
    (tmp_path / "bad.npz").write_bytes(b"PK no zip")
    for name in ("bad.csv", "bad.npz"):
        with pytest.raises(DataError, match="cannot be read as a table"):
            table(tmp_path / name)
    np.savez(tmp_path / "cube.npz", a=np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match=r"'a' has shape \(2, 2, 2\)"):
        table(tmp_path / "cube.npz")
    np.savez(tmp_path / "uneven.npz", a=np.zeros(2), b=np.zeros(3))
    with pytest.raises(DataError, match="a has 2, b has 3"):
        table(tmp_path / "uneven.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        table(tmp_path / "objects.npz")


def test_numbers_are_standardised_in_any_case() -> None:
    with pytest.raises(SettingError, match="standardise"):
        load_data(wine(), standardise=True)
