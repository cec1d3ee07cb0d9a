"""The scikit-learn estimators beside scikit-learn's own: prints tables in Markdown.

``python benchmarks/sklearn_estimators.py rbm`` compares ``dbn.sklearn.RBM`` with ``BernoulliRBM`` in scikit-learn's own
example, nudged digits; ``... labels`` compares ``DBNClassifier`` on MNIST with 100 labels and 59900 unlabelled images
with scikit-learn's classifiers (``DBN_DATA`` or the cache holds MNIST).
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.preprocessing import minmax_scale
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from dbn.data import load_data, mnist
from dbn.sklearn import RBM
from finetune.sklearn import DBNClassifier

KERNELS = [
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
    [[0, 0, 0], [0, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 1, 0]],
]  # fmt: skip
"""Shifts by a pixel, of the example "Restricted Boltzmann Machine features for digit classification"."""
DTYPES = ("float32", "float64")
STUDENT = {3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}
"""0.975 quantile of Student's distribution by the number of values."""


def nudged_digits() -> tuple[NDArray, NDArray]:
    """The example's data: the digits, and each moved by a pixel in four directions."""
    X, y = load_digits(return_X_y=True)
    moved = [
        np.apply_along_axis(lambda row, w=kernel: convolve(row.reshape(8, 8), mode="constant", weights=w).ravel(), 1, X)
        for kernel in KERNELS
    ]
    X = minmax_scale(np.concatenate([np.asarray(X, "float32"), *(np.asarray(own, "float32") for own in moved)]))
    return X, np.concatenate([y] * 5)


def compare_rbms(seeds: Sequence[int]) -> None:
    """Processor seconds of an RBM's fit, and accuracy of a logistic regression on its features, as in the example.

    Three runs of each fit, in alternating order; the fastest counts. Processor time, not the clock's: other processes
    take part of that. Each is given the rows as the example has them, in float32, and in float64.
    """
    X, y = nudged_digits()
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    kinds: dict[str, Callable[..., Any]] = {
        "BernoulliRBM": BernoulliRBM,
        "RBM": RBM,
        'RBM(sampler="cd")': lambda **own: RBM(sampler="cd", **own),
    }
    settings = {"n_components": 100, "learning_rate": 0.06, "n_iter": 10}
    seconds: dict[tuple[str, str], list[float]] = {(name, dtype): [] for name in kinds for dtype in DTYPES}
    accuracy: dict[str, list[float]] = {name: [] for name in kinds}
    classifier = LogisticRegression(C=6000, max_iter=1000)  # the example's tol=1 ends before a first step
    for seed in seeds:
        best = dict.fromkeys(seconds, math.inf)
        for order in (list(best), list(reversed(best)), list(best)):
            for name, dtype in order:
                rbm, rows = kinds[name](**settings, random_state=seed), X.astype(dtype)
                start = time.process_time()
                rbm.fit(rows)
                best[name, dtype] = min(best[name, dtype], time.process_time() - start)
        for which, duration in best.items():
            seconds[which].append(duration)
        for name, make in kinds.items():
            rbm = make(**settings, random_state=seed).fit(X)
            fitted = clone(classifier).fit(rbm.transform(X), y)
            accuracy[name].append(fitted.score(rbm.transform(X_test), y_test))
        print(f"seed {seed}: { ({which: round(value, 2) for which, value in best.items()}) }", flush=True)
    print(f"\n| {len(X)} nudged digits, {len(seeds)} seeds | accuracy, % | seconds, {', '.join(DTYPES)} | speed |")
    print("|---|---|---|---|")
    for name in kinds:
        durations = [float(np.median(seconds[name, dtype])) for dtype in DTYPES]
        faster = [float(np.median(np.array(seconds["BernoulliRBM", dtype]) / seconds[name, dtype])) for dtype in DTYPES]
        print(
            f"| `{name}` | {interval([100 * x for x in accuracy[name]])} | "
            f"{', '.join(f'{x:.2f}' for x in durations)} | {', '.join(f'{x:.2f} x' for x in faster)} |"
        )


def compare_classifiers(seeds: Sequence[int], n_labelled: int) -> None:
    """Test errors and processor seconds of classifiers that are given 60000 images, few of them with a label."""
    data = load_data(mnist(), validation=0)
    X, y = data.train.pixels.numpy() / np.float32(255), data.train.labels.numpy()
    X_test, y_test = data.test.pixels.numpy() / np.float32(255), data.test.labels.numpy()
    mlp = {"hidden_layer_sizes": (500, 500), "max_iter": 400}
    kinds: dict[str, Callable[[int], Any]] = {
        "DBNClassifier()": lambda seed: DBNClassifier(random_state=seed),
        "DBNClassifier(pretraining_epochs=0)": lambda seed: DBNClassifier(pretraining_epochs=0, random_state=seed),
        "MLPClassifier((500, 500))": lambda seed: MLPClassifier(**mlp, random_state=seed),
        'LabelSpreading(kernel="knn")': lambda seed: LabelSpreading(kernel="knn", n_neighbors=7),
        "SelfTrainingClassifier(MLPClassifier(max_iter=30))": lambda seed: SelfTrainingClassifier(
            MLPClassifier(max_iter=30, random_state=seed), threshold=0.95
        ),
    }
    errors: dict[str, list[float]] = {name: [] for name in kinds}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for seed in seeds:
        labelled, _ = train_test_split(np.arange(len(y)), train_size=n_labelled, random_state=seed, stratify=y)
        marked = np.full_like(y, -1)
        marked[labelled] = y[labelled]
        for name, make in kinds.items():
            rows, targets = (X[labelled], y[labelled]) if name.startswith("MLP") else (X, marked)
            start = time.process_time()
            fitted = make(seed).fit(rows, targets)
            seconds[name].append(time.process_time() - start)
            errors[name].append(100 * (1 - fitted.score(X_test, y_test)))
            print(f"seed {seed} {name}: {errors[name][-1]:.2f} %, {seconds[name][-1]:.0f} s", flush=True)
    heading = f"{n_labelled} labels of 60000 images, {len(seeds)} seeds"
    print(f"\n| {heading} | test error, % | processor seconds |\n|---|---|---|")
    for name in kinds:
        print(f"| `{name}` | {interval(errors[name])} | {np.median(seconds[name]):.0f} |")


def interval(values: Sequence[float]) -> str:
    """Mean and half of the 95 % interval (Student) over seeds."""
    if len(values) not in STUDENT:
        return f"{np.mean(values):.2f}"
    half = STUDENT[len(values)] * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{np.mean(values):.2f} ± {half:.2f}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rbm", "labels"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labelled", type=int, default=100)
    given = parser.parse_args()
    if given.what == "rbm":
        compare_rbms(range(given.seeds))
    else:
        compare_classifiers(range(given.seeds), given.labelled)


if __name__ == "__main__":
    main()
