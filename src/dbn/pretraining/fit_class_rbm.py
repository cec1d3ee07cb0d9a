"""Training of a single class RBM from Python."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from dbn.data.from_arrays import training_images
from dbn.data.images import StoredImages
from dbn.errors import DataError, SettingError
from dbn.machine.precision import PRECISIONS
from dbn.models.class_rbm import check_labels, class_rbm_of
from dbn.models.rbm import RBM
from dbn.models.units import BernoulliWithLabel
from dbn.pretraining.class_rbm import ClassRBMTraining
from dbn.pretraining.class_rbm_step import Objective
from dbn.pretraining.fit import settings_of_fit, train_alone
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import check_choice, check_number


def fit_class_rbm(
    rbm: RBM,
    images: StoredImages | Tensor | NDArray[Any],
    labels: Tensor | NDArray[Any] | None = None,
    *,
    weights: Tensor | NDArray[Any] | None = None,
    objective: str = "hybrid",
    generative_weight: float = 0.01,
    epochs: int = 50,
    sampler: Sampler | None = None,
    seed: int = 0,
    precision: str = "auto",
    callbacks: Iterable[Callback] | Callback = (),
    **settings: Any,
) -> RBM:
    """Train a class RBM on images and their labels; writes nothing to disk.

    Args:
        rbm: an RBM whose hidden units are :class:`dbn.models.units.BernoulliWithLabel`, trained in place.
        images: as for :func:`dbn.pretraining.fit`.
        labels: class numbers ``(n,)``, whole numbers from 0; None: those of ``images``, such as
            ``load_data(digits()).train``.
        weights: how much each image counts, as for :func:`dbn.pretraining.fit`.
        objective: ``generative``, ``discriminative`` or ``hybrid``, see
            :class:`dbn.pretraining.class_rbm_step.Objective`.
        generative_weight: of the generative term of ``hybrid``.
        epochs: passes through the images.
        sampler: sampler of the negative phase; None: CD-1.
        seed: seed of the order of the images and of the Gibbs noise.
        precision: of the products.
        callbacks: Lightning callbacks.
        **settings: training settings of :class:`~dbn.pretraining.LayerSettings`.

    Returns:
        The same RBM.

    Raises:
        SettingError: the model is no class RBM, or a setting is invalid or without effect here.
        DataError: there are no images or labels, or they do not match the RBM.
        DivergenceError: parameters became infinite or NaN.

    Example:
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.data import digits, load_data
        >>> from dbn.models.class_rbm import class_log_probabilities
        >>> from dbn.models.units import BernoulliWithLabel
        >>> from dbn.pretraining import fit_class_rbm
        >>> data = load_data(digits())
        >>> rbm = RBM(Bernoulli(64), BernoulliWithLabel(100, n_labels=10))
        >>> rbm = fit_class_rbm(rbm, data.train, epochs=10, batch_size=20)
        >>> predicted = class_log_probabilities(rbm, data.test.features()).argmax(1)
        >>> float((predicted != data.test.labels).float().mean()) < 0.1
        True

    References:
        Larochelle & Bengio (2008), *Classification using discriminative restricted Boltzmann machines*, ICML.
    """
    hidden = class_rbm_of(rbm).hidden
    assert isinstance(hidden, BernoulliWithLabel)
    check_number("seed", seed, low=0, whole=True)
    check_choice("precision", precision, PRECISIONS)
    if sampler is not None and not isinstance(sampler, Sampler):
        raise SettingError(f"sampler={sampler!r}: give a sampler itself, such as ContrastiveDivergence(1), or None.")
    sampler = ContrastiveDivergence() if sampler is None else sampler
    wanted = Objective(objective, generative_weight)
    layer = settings_of_fit(rbm, sampler, {**settings, "epochs": epochs})
    train = training_images(images, rbm.n_visible, rbm.visible.interval, type(rbm.visible).__name__, weights)
    train = replace(train, labels=class_numbers(train, labels, hidden.n_labels))  # type: ignore[type-var]  # a dataclass
    module = ClassRBMTraining(rbm, layer, sampler, wanted, seeds=[seed], precision=precision)
    return train_alone(module, train, callbacks)


def class_numbers(train: StoredImages, given: Any, n_labels: int) -> Tensor:
    """A class number for each image, ``(n,)`` int64.

    Raises:
        DataError: there are none, not one for each image, or others than those of the model's classes.
    """
    labels = train.labels if given is None else torch.as_tensor(given)
    if labels is None:
        raise DataError("labels=None: the images have no labels either. Give class numbers, one for each image.")
    if labels.shape != (len(train),):
        raise DataError(f"labels has the shape {tuple(labels.shape)}: give one for each of the {len(train)} images.")
    check_labels(labels, n_labels)
    return labels.long()
