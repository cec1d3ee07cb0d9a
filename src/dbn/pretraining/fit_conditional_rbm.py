"""Training of a single conditional RBM from Python."""

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
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.conditional_rbm import ConditionalTraining
from dbn.pretraining.fit import fit_alone, settings_of_fit
from dbn.pretraining.new_unit_pair import check_variance_from_data, initialise_from_data
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.samplers.case_chains import CaseChains
from dbn.samplers.steps import Steps
from dbn.settings import check_flag, check_number


def fit_conditional_rbm(
    rbm: ConditionalRBM,
    images: StoredImages | Tensor | NDArray[Any],
    conditions: Tensor | NDArray[Any],
    *,
    weights: Tensor | NDArray[Any] | None = None,
    epochs: int = 50,
    steps: Steps = 1,
    persistent: bool = False,
    seed: int = 0,
    callbacks: Iterable[Callback] | Callback = (),
    **settings: Any,
) -> ConditionalRBM:
    """Train a conditional RBM on states and their side information; writes nothing to disk.

    Args:
        rbm: the model, trained in place.
        images: as for :func:`dbn.pretraining.fit`.
        conditions: side information of each image, ``(n, n_conditions)`` floats, which should be of the size of one; or
            class numbers ``(n,)``.
        weights: how much each image counts, as for :func:`dbn.pretraining.fit`.
        epochs: passes through the images.
        steps: of Gibbs sampling, or a schedule.
        persistent: a chain for each image that goes on from epoch to epoch, in place of contrastive divergence, see
            :class:`dbn.samplers.case_chains.CaseChains`.
        seed: of the order of the images and of the Gibbs noise.
        callbacks: Lightning callbacks.
        **settings: training settings of :class:`dbn.pretraining.settings.LayerSettings`, without those of an
            RBM's gradient.

    Returns:
        The same model.

    Raises:
        SettingError: the model is no conditional RBM, or a setting is invalid or without effect here.
        DataError: there are no images, or they or the conditions do not match the model.
        DivergenceError: parameters became infinite or NaN.

    Example:
        >>> import torch
        >>> from dbn import Bernoulli
        >>> from dbn.models.conditional_rbm import ConditionalRBM
        >>> from dbn.pretraining import fit_conditional_rbm
        >>> u = torch.arange(200) % 2
        >>> v = u[:, None].repeat(1, 6).float()
        >>> rbm = fit_conditional_rbm(ConditionalRBM(Bernoulli(6), Bernoulli(4), 2), v, u, epochs=20, batch_size=20)
        >>> bool(rbm.given_conditions([1]).mean_visible(torch.zeros(1, 4)).mean() > 0.5)
        True

    References:
        Taylor, Hinton & Roweis (2007); Mnih, Larochelle & Hinton (2011), see :class:`ConditionalRBM`.
    """
    if not isinstance(rbm, ConditionalRBM):
        raise SettingError(
            f"rbm is a {type(rbm).__name__}: make one that has side information, ConditionalRBM(Bernoulli(784), "
            "Bernoulli(500), n_conditions=10)."
        )
    check_number("seed", seed, low=0, whole=True)
    check_flag("persistent", persistent)
    sampler: Sampler = ContrastiveDivergence(steps)
    layer = settings_of_fit(rbm, sampler, {**settings, "epochs": epochs})
    check_no_gradient_settings("fit_conditional_rbm", layer)
    train = training_images(images, rbm.n_visible, rbm.visible.interval, type(rbm.visible).__name__, weights)
    with torch.no_grad():
        u = rbm.conditions(conditions)
    if len(u) != len(train):
        raise DataError(f"conditions has {len(u)} rows: give one for each of the {len(train)} images.")
    check_variance_from_data(rbm.visible, layer)
    initialise_from_data(rbm.visible, layer, train)
    if persistent:
        sampler = CaseChains(train.features().to(rbm.weight), steps)
    train = replace(train, labels=torch.arange(len(train)))  # type: ignore[type-var]  # a dataclass
    fit_alone(ConditionalTraining(rbm, layer, sampler, u, seeds=[seed]), train, callbacks)
    return rbm
