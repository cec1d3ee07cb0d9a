"""Training of a single RBM from Python."""

from collections.abc import Iterable
from typing import Any

import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from dbn.data.block_loader import BlockLoader
from dbn.data.from_arrays import training_images
from dbn.data.images import StoredImages
from dbn.errors import SettingError
from dbn.fitting.trainer import loader_context, make_trainer, quiet, reraise_interrupt
from dbn.machine.precision import PRECISIONS
from dbn.machine.subnormals import subnormals_flushed
from dbn.machine.threads import threads_for
from dbn.models.rbm import RBM
from dbn.models.unit_pair import UnitPair
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.new_unit_pair import check_variance_from_data, initialise_from_data
from dbn.pretraining.settings import LAYER_CHECKS, LayerSettings
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import check_choice, check_keys, check_number


def fit(
    rbm: RBM,
    images: StoredImages | Tensor | NDArray[Any],
    *,
    weights: Tensor | NDArray[Any] | None = None,
    epochs: int = 50,
    sampler: Sampler | None = None,
    seed: int = 0,
    precision: str = "auto",
    callbacks: Iterable[Callback] | Callback = (),
    **settings: Any,
) -> RBM:
    """Train an RBM on images; writes nothing to disk.

    Args:
        rbm: the model, trained in place, on its device, from its current weights.
        images: training images, such as ``load_data(digits()).train``, or features: a tensor or an array of floats,
            booleans, or zeros and ones, ``(n, n_visible)``, ``(n, height, width)`` or ``(n, channels, height, width)``.
            Features must be values of the visible units, for Bernoulli units in [0, 1]; they are not scaled: pass
            8-bit greys as ``X / 255``.
        weights: how much each image counts, ``(n,)`` numbers from 0, of which only the proportions matter: training is
            by the gradient of the weighted mean log-likelihood. None: those of ``images``, or all the same.
        epochs: passes through the images.
        sampler: sampler of the negative phase; None: CD-1.
        seed: seed of the order of the images and of the Gibbs noise.
        precision: of the products: ``auto``, ``float32``, ``bf16`` or ``tf32``, see :mod:`dbn.machine.precision`.
        callbacks: Lightning callbacks, such as ``FitProgress("my RBM", "layer1/weight_norm", "norm")`` of
            :mod:`dbn.fitting.progress`.
        **settings: training settings of :class:`LayerSettings`. ``bias_from_data=True`` resets the visible biases to
            the mean of these images.

    Returns:
        The same RBM.

    Raises:
        SettingError: an invalid setting, or one without effect here.
        DataError: there are no images, or they do not match the RBM, or the weights them; see
            :func:`dbn.data.from_arrays.training_images`.
        DivergenceError: parameters became infinite or NaN.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.pretraining import fit
        >>> X = load_digits().data / 16
        >>> rbm = fit(RBM(Bernoulli(64), Bernoulli(100)), X, epochs=2, learning_rate=0.05)
        >>> rbm.free_energy(X).shape
        torch.Size([1797])
    """
    if not isinstance(rbm, RBM):
        raise SettingError(
            f"rbm is a {type(rbm).__name__}: fit trains one RBM. Train a stack with dbn.pretraining.pretrain_stack."
        )
    check_number("seed", seed, low=0, whole=True)
    check_choice("precision", precision, PRECISIONS)
    if sampler is not None and not isinstance(sampler, Sampler):
        raise SettingError(f"sampler={sampler!r}: give a sampler itself, such as ContrastiveDivergence(1), or None.")
    sampler = ContrastiveDivergence() if sampler is None else sampler
    layer = settings_of_fit(rbm, sampler, {**settings, "epochs": epochs})
    train = training_images(images, rbm.n_visible, rbm.visible.interval, type(rbm.visible).__name__, weights)
    module = RBMTraining(rbm, layer, sampler, seeds=[seed], precision=precision)
    return train_alone(module, train, callbacks)


def train_alone(module: RBMTraining, train: StoredImages, callbacks: Iterable[Callback] | Callback) -> RBM:
    """Train the RBM of a module on its device, from its current weights; writes nothing to disk.

    Args:
        module: with settings and a single seed; it monitors some of the images.
        train: training images, which have been validated.
        callbacks: of Lightning.

    Returns:
        The RBM.
    """
    rbm, settings = module.layer, module.settings
    check_variance_from_data(rbm.visible, settings)
    initialise_from_data(rbm.visible, settings, train)
    fit_alone(module, train, callbacks)
    return rbm


def fit_alone(module: LayerTraining, train: StoredImages, callbacks: Iterable[Callback] | Callback) -> None:
    """Train what a module trains, in place, on its device; arguments as of :func:`train_alone`."""
    module.check_weights(train)
    settings, (seed,) = module.settings, module.seeds
    weight = module.layer.weights()[0]
    device, options = weight.device, _trainer_on(weight.device)
    train = train.to(device)
    module.monitored = [train.sample(MONITORED_IMAGES).to(weight.dtype)]
    callbacks = [callbacks] if isinstance(callbacks, Callback) else callbacks
    with quiet():
        trainer = make_trainer(directory=None, max_epochs=settings.epochs, callbacks=callbacks, options=options)
        loader = BlockLoader(train, batch_size=settings.batch_size, seed=seed, counters=(1,), **loader_context(trainer))
        with subnormals_flushed(), threads_for(module.largest_product), reraise_interrupt():
            trainer.fit(module, loader)
    module.layer.to(device)  # Lightning moves the model to the CPU after training on a GPU


def settings_of_fit(rbm: UnitPair, sampler: Sampler, settings: dict[str, Any]) -> LayerSettings:
    """Validated settings of :func:`fit`; settings without effect are refused."""
    made = "fit trains the RBM that it is given. Say it where the RBM is made:"
    elsewhere = {
        "n_hidden": f"{made} RBM({type(rbm.visible).__name__}({rbm.n_visible}), Bernoulli(n_hidden)).",
        "hidden": f"{made} RBM({type(rbm.visible).__name__}({rbm.n_visible}), Gaussian({rbm.n_hidden})), for instance.",
        "connection": f"{made} RBM(visible, hidden, connection).",
        "pool": f"{made} RBM(visible, MaxPooled(shape, pool={settings.get('pool')!r}), connection).",
        "weight_std": f"{made} RBM(visible, hidden, weight_std={settings.get('weight_std')!r}).",
        **dict.fromkeys(("patience", "watch"), "fit has no validation images to watch. Use pretrain_stack."),
        "steps": f"they are a sampler's. Give sampler={type(sampler).__name__}({settings.get('steps')!r}).",
    }
    for name, words in elsewhere.items():
        if name in settings:
            raise SettingError(f"{name}={settings[name]!r}: {words}")
    check_keys("fit", settings, LAYER_CHECKS.keys() - elsewhere.keys())
    return LayerSettings(n_hidden=rbm.n_hidden, **settings)


def _trainer_on(device: torch.device) -> dict[str, Any]:
    """Options of the Trainer for training on ``device``."""
    if device.type not in ACCELERATORS:
        raise SettingError(f"The RBM is on {device}. It can be trained on one of {', '.join(ACCELERATORS)}.")
    return {"accelerator": ACCELERATORS[device.type], "devices": [device.index] if device.type == "cuda" else 1}


ACCELERATORS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}
"""Lightning's accelerator for each type of device."""
MONITORED_IMAGES = 1000
"""Images of each split on which metrics are computed during pretraining."""
