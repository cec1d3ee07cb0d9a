"""Calibration error: the bins it names, edges included, against a plain computation in numpy."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dbn.random.streams import stream
from finetune.tasks.calibration import N_BINS, CalibrationError


def expected_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], n_bins: int) -> float:
    """Image by image: bin m of M holds confidences above (m - 1) / M and up to m / M."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for value, is_right in zip(confidence.tolist(), right.tolist(), strict=True):
        number = next(m for m in range(1, n_bins + 1) if value <= m / n_bins)
        bins.setdefault(number, []).append((value, is_right))
    gaps = [len(own) * abs(np.mean([r for _, r in own]) - np.mean([c for c, _ in own])) for own in bins.values()]
    return float(sum(gaps) / len(confidence))


def error_of(confidence: list[float], right: list[bool], n_bins: int = N_BINS) -> float:
    """The metric's, of images of two classes whose first output has the confidence."""
    p = torch.tensor(confidence, dtype=torch.float64)
    metric = CalibrationError(n_bins)
    metric.update(torch.stack([p, 1 - p], 1).log(), torch.tensor([0 if r else 1 for r in right]))
    return float(metric.compute())


@pytest.mark.parametrize("n_bins", [1, 2, 10, 15])
@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0, 300.0])
def test_error_is_that_of_a_loop_over_images(n_bins: int, scale: float) -> None:
    """700 images of five classes in unequal blocks; at scale 300 most confidences are 1 to the last bit."""
    logits = torch.randn(700, 5, generator=stream(0, "logits")) * scale
    labels = torch.randint(5, (700,), generator=stream(0, "labels"))
    metric = CalibrationError(n_bins)
    for rows in (slice(0, 300), slice(300, 300), slice(300, 311), slice(311, 700)):
        metric.update(logits[rows], labels[rows])
    x = logits.numpy().astype(np.float64)
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    expected = expected_error(p.max(1), p.argmax(1) == labels.numpy(), n_bins)
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-12)
    assert (scale == 300.0) == ((p.max(1) == 1).mean() > 0.8)


def test_certainty_is_in_the_last_bin_not_in_one_of_its_own() -> None:
    """Sure and wrong, nearly sure and right: in one bin the two mistakes cancel in part."""
    assert error_of([1.0, 0.95], [False, True]) == pytest.approx((1 + 0.95 - 1) / 2)  # apart: (1 + 0.05) / 2


@pytest.mark.parametrize("m", range(8, 15))
def test_a_confidence_at_an_edge_belongs_to_the_bin_below(m: int) -> None:
    """At m / 15, wrong, with one just below it, right: one bin. With one just above: two."""
    edge = m / N_BINS
    below, above = edge - 0.01, edge + 0.01
    logit = torch.tensor(edge, dtype=torch.float64).logit()  # log-odds that softmax turns into the edge or a neighbour
    metric = CalibrationError()
    near = [torch.nextafter(logit, logit.new_tensor(way)) for way in (-99.0, 99.0)]
    exact = [x for x in (logit, *near) if float(torch.stack([x, x * 0]).softmax(0)[0]) == float(Fraction(m, N_BINS))]
    if not exact:
        pytest.skip("no logit gives this edge to the last bit")
    for other, expected in ((below, abs(0.5 - (edge + below) / 2)), (above, (edge + 1 - above) / 2)):
        metric.reset()
        second = torch.tensor(other, dtype=torch.float64).logit()
        logits = torch.stack([torch.stack([exact[0], second]), torch.zeros(2, dtype=torch.float64)], 1)
        metric.update(logits, torch.tensor([1, 0]))
        assert float(metric.compute()) == pytest.approx(expected, abs=1e-12)


def test_as_unsure_as_can_be_and_always_wrong() -> None:
    """Two equal outputs: half confidence in the first class; of 20 images all right, 0.5; all wrong, 0.5; half, 0."""
    for right, expected in (([True] * 20, 0.5), ([False] * 20, 0.5), ([True, False] * 10, 0.0)):
        assert error_of([0.5] * 20, right) == pytest.approx(expected, abs=1e-12)
    assert error_of([1.0] * 4, [False] * 4) == 1.0


def test_a_calibrated_classifier_has_the_error_that_chance_leaves() -> None:
    """20000 labels drawn from the network's own probabilities, all in bins of more than 300 images: the expected sum
    of |right - confidence| is sqrt(2 / pi) times the standard deviation of each bin's sum; to four standard errors.
    """  # noqa: D205
    generator = stream(0, "labels")
    logits = torch.randn(20_000, 3, generator=stream(0, "logits"), dtype=torch.float64) * 1.5
    p = logits.softmax(1)
    metric = CalibrationError()
    metric.update(logits, torch.multinomial(p, 1, generator=generator).squeeze(1))
    confidence = p.max(1).values.numpy()
    bins = np.ceil(confidence * N_BINS).astype(int)
    variances = np.array([(c * (1 - c)).sum() for m in np.unique(bins) for c in [confidence[bins == m]]])
    expected = np.sqrt(2 / np.pi * variances).sum() / 20_000
    error = np.sqrt((1 - 2 / np.pi) * variances.sum()) / 20_000
    assert abs(float(metric.compute()) - expected) < 4 * error
