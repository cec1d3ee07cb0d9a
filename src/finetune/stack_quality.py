"""How good a pretrained stack is, without fine-tuning it: a proxy that a search can afford.

With labels it is the validation error of a logistic regression on the top layer's features: what a stack is for here is
to start a classifier, and what a linear classifier reads off the features takes seconds to say. Without labels it is
the pseudo-likelihood of the first layer on validation images: that of upper layers is one of other inputs for every
setting below, and reconstruction errors are no measure of a model, since they fall with how slowly its chains mix
(Hinton 2012, section 5).
"""

from collections.abc import Mapping
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from dbn.data import DataSet, label_subset
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.likelihood import pseudo_log_likelihood
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli
from dbn.random.streams import stream

MOST_IMAGES = 5000
"""Labelled images that a logistic regression is fitted to, and validation images that are used, at most."""
ERROR, LIKELIHOOD = "validation_error", "validation_pseudo_likelihood"
"""Names of the proxies."""
MOST_ITERATIONS = 200


def proxy_of(data: DataSet) -> str:
    """Which proxy data allow."""
    has_labels = data.train.labels is not None and data.validation.labels is not None
    return ERROR if has_labels and data.classes else LIKELIHOOD


def check_proxy(data: DataSet, stack: Mapping[str, Any]) -> None:
    """Check that stacks of a configuration's group ``stack`` can be judged on these data.

    Raises:
        SettingError: there are no validation images, or neither labels nor binary visible units.
    """
    if not len(data.validation):
        raise SettingError(
            f"data.validation: data={data.name} has no validation images, by which a search chooses. Use "
            "data.validation=0.2."
        )
    if proxy_of(data) == LIKELIHOOD and stack["visible"] != "bernoulli":
        raise SettingError(
            f"stack.visible={stack['visible']}: data={data.name} has no labels, and the pseudo-likelihood that judges "
            "stacks without is one of bernoulli visible units. Use stack.visible=bernoulli, or images with labels."
        )


def badness(stack: DBN, data: DataSet, n_labelled: int | None, seed: int) -> tuple[float, float]:
    """The proxy, lower being better: an error rate, or minus a log pseudo-likelihood in nats; and what decides ties.

    A few validation images allow few error rates, so that the logistic regression's negative log-likelihood decides
    between equal ones; nothing does between equal pseudo-likelihoods.

    Args:
        stack: the stack.
        data: its data set.
        n_labelled: labelled training images that a classifier will have; None: all. At most :data:`MOST_IMAGES` are
            used.
        seed: of the run, which draws the labelled images as fine-tuning does.

    Raises:
        DataError, SettingError: there are too few labels.
    """
    if proxy_of(data) == LIKELIHOOD:
        first = stack[0]
        assert isinstance(first, RBM)
        assert isinstance(first.visible, Bernoulli)
        images = data.validation.sample(MOST_IMAGES)
        units = torch.randint(first.n_visible, (len(images),), generator=stream(0, "watched_units"))
        return -float(pseudo_log_likelihood(first, images, units).mean()), 0.0
    labels = data.train.labels
    n = min(MOST_IMAGES, len(data.train)) if n_labelled is None else min(n_labelled, MOST_IMAGES)
    chosen = label_subset(labels, n if n < len(data.train) else None, seed, data_name=data.name)
    (x, y), (x_validation, y_validation) = (
        _features(stack, images) for images in (data.train.take(chosen), _some(data.validation))
    )
    deviation, mean = torch.std_mean(x, 0, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    model = LogisticRegression(max_iter=MOST_ITERATIONS).fit(((x - mean) / scale).numpy(), y.numpy())
    probabilities = model.predict_proba(((x_validation - mean) / scale).numpy())
    predicted = model.classes_[probabilities.argmax(1)]
    nll = log_loss(y_validation.numpy(), probabilities, labels=model.classes_)
    return float((predicted != y_validation.numpy()).mean()), float(nll)


def _some(images: ImageSet) -> ImageSet:
    """At most :data:`MOST_IMAGES` of the images, always the same."""
    order = torch.randperm(len(images), generator=stream(0, "judged"))
    return images.take(order[:MOST_IMAGES].sort().values)


def _features(stack: DBN, images: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Top-layer features and labels."""
    assert images.labels is not None
    return torch.cat([stack.up(chunk) for chunk in images.chunks()]), images.labels
