"""Up-down training of a single DBN from Python."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from dbn.data.from_arrays import training_images
from dbn.data.images import StoredImages
from dbn.errors import DataError, SettingError
from dbn.machine.precision import PRECISIONS
from dbn.models.dbn import DBN
from dbn.models.units import BernoulliWithLabel
from dbn.pretraining.fit import fit_alone
from dbn.pretraining.fit_class_rbm import class_numbers
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.up_down import UpDownTraining, untied_layers
from dbn.samplers.steps import Steps
from dbn.settings import check_choice, check_flag, check_keys, check_number

SETTINGS = (
    "learning_rate", "initial_momentum", "initial_momentum_epochs", "momentum", "weight_cost", "batch_size",
)  # fmt: skip
"""Settings of :class:`LayerSettings` that :func:`up_down` takes."""


def up_down(
    stack: DBN,
    images: StoredImages | Tensor | NDArray[Any],
    labels: Tensor | NDArray[Any] | None = None,
    *,
    weights: Tensor | NDArray[Any] | None = None,
    epochs: int = 30,
    steps: Steps = 3,
    sample_visible: bool = False,
    seed: int = 0,
    precision: str = "auto",
    callbacks: Iterable[Callback] | Callback = (),
    **settings: Any,
) -> DBN:
    """Train a whole DBN by the up-down algorithm, contrastive wake-sleep; writes nothing to disk.

    Args:
        stack: two layers or more, RBMs such as a pretrained stack has, or what this function has returned before; it
            stays as it is. With :class:`dbn.models.units.BernoulliWithLabel` as its top hidden units it learns labels.
        images: as for :func:`dbn.pretraining.fit`.
        labels: class numbers ``(n,)`` where the top RBM has a label; None: those of ``images``.
        weights: how much each image counts, as for :func:`dbn.pretraining.fit`.
        epochs: passes through the images.
        steps: of Gibbs sampling in the top RBM, or a schedule, ``{0: 3, 100: 6}``.
        sample_visible: draw the visible units of the sleep phase, see
            :class:`dbn.pretraining.up_down_step.UpDownStep`.
        seed: of the order of the images and of the noise.
        precision: of the products, see :mod:`dbn.machine.precision`.
        callbacks: Lightning callbacks.
        **settings: of :class:`LayerSettings`: ``learning_rate`` (default 0.03), momentum, ``weight_cost``,
            ``batch_size``.

    Returns:
        A DBN whose layers below the top RBM are :class:`dbn.models.untied.Untied`.

    Raises:
        SettingError: layers that cannot be untied, an invalid setting, or labels for a stack that knows none.
        DataError: there are no images or labels, or they do not match the stack.
        DivergenceError: parameters became infinite or NaN.

    Example:
        >>> from dbn.data import digits, load_data
        >>> from dbn.pretraining import LayerSettings, pretrain_stack, up_down
        >>> data = load_data(digits())
        >>> layers = [LayerSettings(n_hidden=n, epochs=2) for n in (50, 20)]
        >>> stack = pretrain_stack(data, layers, progress=False)
        >>> up_down(stack, data.train, epochs=2).sample(5, steps=10).shape
        torch.Size([5, 64])

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527,
        section 5 and appendix B.
    """
    if not isinstance(stack, DBN):
        raise SettingError(
            f"stack is a {type(stack).__name__}: up-down training is for a DBN of two layers or more, such as "
            "dbn.pretraining.pretrain_stack returns."
        )
    check_number("seed", seed, low=0, whole=True)
    check_choice("precision", precision, PRECISIONS)
    check_flag("sample_visible", sample_visible)
    check_keys("up_down", settings, SETTINGS)
    layers = untied_layers([stack[k] for k in range(len(stack))])
    lowest, top = stack[0], stack[len(stack) - 1]
    own = LayerSettings(n_hidden=top.n_hidden, epochs=epochs, **{"learning_rate": 0.03, **settings})
    visible = lowest.visible
    train = training_images(images, lowest.n_visible, visible.interval, type(visible).__name__, weights)
    if isinstance(top.hidden, BernoulliWithLabel):
        known = class_numbers(train, labels, top.hidden.n_labels)
        train = replace(train, labels=known)  # type: ignore[type-var]  # a dataclass
    elif labels is not None:
        raise DataError(
            "labels: the stack's top RBM knows none. Leave them away, or pretrain with ClassRBMPretraining() and "
            "hidden={'kind': 'bernoulli_with_label', 'n_labels': 10} in the top layer."
        )
    module = UpDownTraining(
        JointLayers(layers), own, steps, sample_visible=sample_visible, seeds=[seed], precision=precision
    )
    fit_alone(module, train, callbacks)
    return DBN(layers, stack.scaling)
