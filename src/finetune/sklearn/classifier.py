"""A pretrained network as a scikit-learn classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from dbn.errors import DataError
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.sklearn.pretrained_network import SIGMOID, PretrainedNetwork
from finetune.tasks import Classifier
from finetune.tasks.settings import TrainingSettings

UNLABELLED = -1


class DBNClassifier(ClassifierMixin, PretrainedNetwork):
    """Classifier that is pretrained as a DBN on all rows, and fine-tuned by backpropagation on the labelled ones.

    Rows whose label is -1 have none, as in :mod:`sklearn.semi_supervised`: they take part in pretraining only. (In an
    array that holds just -1 and 1, the usual names of two classes, -1 is a class.) Labels that are not numbers belong
    into an array or a list of objects, in which -1 marks rows without: ``np.array(["cat", -1, "dog"], dtype=object)``.

    Args:
        hidden_layer_sizes: hidden units of each layer, from the data upwards.
        activation: of the hidden units, ``sigmoid`` or ``relu``, in pretraining and fine-tuning.
        pretraining_epochs: passes over all rows for each layer; 0: random initial weights, no pretraining.
        pretraining_learning_rate: of contrastive divergence; a hundredth of it in the first layer where the visible
            units are real, a tenth where hidden units are rectified, and a hundredth in layers above such.
        pretraining_batch_size: rows per minibatch.
        gibbs_steps: steps of Gibbs sampling per update, the ``k`` of CD-k.
        epochs: passes over the labelled rows; ``auto``: from 400 for 100 of them or fewer down to 6 for 60000, see
            :func:`finetune.sklearn.pretrained_network.epochs_for`.
        learning_rate: of stochastic gradient descent with Nesterov momentum of 0.9, which falls to zero along a cosine;
            with early stopping it is constant.
        batch_size: labelled rows per minibatch.
        dropout: probability of dropping a hidden unit.
        weight_decay: L2 penalty on the weights.
        early_stopping: hold out some labelled rows, stop when the error on them no longer improves (with
            ``class_weight`` the balanced error), and keep the weights of the best epoch.
        validation_fraction: fraction of the labelled rows that is held out.
        n_iter_no_change: epochs without improvement before stopping.
        warm_start: start from the network of the previous ``fit`` where there is one, without pretraining.
        layer: hidden layer whose outputs :meth:`transform` gives, from 1; None: the top one.
        scaling: how rows become inputs, as for :class:`dbn.sklearn.RBM`: ``auto`` takes values in [0, 1] as they are,
            divides what looks like intensities of pictures by their range, and standardises the columns of anything
            else, for which the visible units are then real.
        class_weight: weight of each class in the loss: a dict, ``balanced``, or None for equal ones.
        verbose: above 0, show the progress of pretraining, and print a line per epoch of fine-tuning.
        random_state: seed or generator; the same number gives the same bits.

    Attributes:
        classes_: the classes, of the type of the labels.
        network_: the network, a :class:`finetune.Network`; ``network_.save("network.safetensors")`` keeps it.
        dbn_: the pretrained stack, a :class:`dbn.DBN`, or None.
        inputs_: the scaling.
        n_iter_: epochs of fine-tuning of the last ``fit``.
        loss_curve_: mean training loss of each epoch.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from finetune.sklearn import DBNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = DBNClassifier((50,), pretraining_epochs=2, epochs=5, random_state=0).fit(X[:1000], y[:1000])
        >>> classifier.predict_proba(X[1000:]).shape
        (797, 10)

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527.
    """

    classes_: NDArray

    def __init__(
        self, hidden_layer_sizes: int | Sequence[int] = (500, 500), *, activation: str = SIGMOID,
        pretraining_epochs: int = 15, pretraining_learning_rate: float = 0.1, pretraining_batch_size: int = 100,
        gibbs_steps: int = 1, epochs: int | str = "auto", learning_rate: float = 0.1, batch_size: int = 20,
        dropout: float = 0.0, weight_decay: float = 1e-4, early_stopping: bool = False,
        validation_fraction: float = 0.1, n_iter_no_change: int = 10, warm_start: bool = False,
        layer: int | None = None, scaling: str = "auto", class_weight: Mapping[Any, float] | str | None = None,
        verbose: int = 0, random_state: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            hidden_layer_sizes, activation=activation, pretraining_epochs=pretraining_epochs,
            pretraining_learning_rate=pretraining_learning_rate, pretraining_batch_size=pretraining_batch_size,
            gibbs_steps=gibbs_steps, epochs=epochs, learning_rate=learning_rate, batch_size=batch_size,
            dropout=dropout, weight_decay=weight_decay, early_stopping=early_stopping,
            validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, warm_start=warm_start,
            layer=layer, scaling=scaling, verbose=verbose, random_state=random_state,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "DBNClassifier":
        """Pretrain on all rows ``X``, fine-tune on those with a label.

        Args:
            X: ``(n_samples, n_features)``, dense or sparse.
            y: labels ``(n_samples,)``; -1: none.
            sample_weight: weights of the rows' losses ``(n_samples,)``, which are divided by their mean; rows of weight
                0 and rows without label take part in pretraining only.

        Raises:
            ValueError: a parameter, ``X``, ``y`` or ``sample_weight`` is invalid.
            DivergenceError: parameters became infinite or NaN.
        """
        given = self._checked()
        X, y = self._rows(X, y=as_labels(y))
        labelled = ~unlabelled(y)
        if not labelled.any():
            raise DataError("y holds no label: all rows are marked as unlabelled by -1. Train a DBN on them instead.")
        check_classification_targets(y[labelled])
        classes = np.unique(y[labelled])
        if given["warm_start"] and hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise DataError(
                f"warm_start: y holds the classes {classes.tolist()}, those of the previous fit are "
                f"{self.classes_.tolist()}. Use warm_start=False."
            )
        weights = self._weights(X, y, labelled, classes, sample_weight)
        rows = np.flatnonzero(labelled & (weights > 0))
        if len(np.unique(y[rows])) < 2:
            raise DataError(
                f"y holds one class only, {y[rows][0]!r}, among the rows with a label and a weight. "
                "Classification needs two classes."
            )
        self.classes_ = classes
        codes = np.searchsorted(classes, y[rows])
        own = None
        if sample_weight is not None or self.class_weight is not None:
            own = torch.from_numpy(weights[rows] / weights[rows].mean()).float()
        further = {} if self.class_weight is None else {"class_weights": "balanced"}
        targets = torch.from_numpy(codes.astype(np.int64))
        self._fit(X, given, rows, targets, own, len(classes), strata=codes, **further)
        return self

    def predict(self, X: Any) -> NDArray:
        """Classes of rows ``X``, ``(n_samples,)``."""
        best = self.predict_proba(X).argmax(1)
        classes: NDArray = self.classes_[best]
        return classes

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the classes, in the order of ``classes_``, of rows ``X``; ``(n_samples, n_classes)``."""
        return self._outputs(X, lambda outputs: torch.softmax(outputs, 1))

    def _weights(self, X: Any, y: NDArray, labelled: NDArray, classes: NDArray, sample_weight: Any) -> NDArray:
        """Weights of all rows, ``(n_samples,)`` float64.

        Raises:
            DataError: those of all labelled rows are zero.
        """
        weights: NDArray = _check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
        if (weights < 0).any():
            raise DataError(f"sample_weight holds {weights.min():g}. Give numbers from 0.")
        of_class = compute_class_weight(self.class_weight, classes=classes, y=y[labelled])
        weights[labelled] *= of_class[np.searchsorted(classes, y[labelled])]
        if not weights[labelled].any():
            raise DataError("The weights of all labelled rows are zero. Give some rows a positive sample_weight.")
        return weights

    def _module(self, network: Network, settings: TrainingSettings, **options: Any) -> Classifier:
        """See :meth:`PretrainedNetwork._module`."""
        return Classifier(network, settings, **options)

    def _meaning(self) -> Meaning:
        """Logits of the classes."""
        return Meaning(self.inputs_.scaling, "classifier", "logits", tuple(map(str, self.classes_)))


def as_labels(y: Any) -> Any:
    """``y`` itself, but a list with text and numbers as an array of objects, in which -1 stays a number."""
    if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y) and -1 in y:
        return np.array(y, dtype=object)
    return y


def unlabelled(y: NDArray) -> NDArray:
    """Which of the rows have no label, ``(n_samples,)``: those of -1, unless there are just -1 and 1."""
    if y.dtype.kind in "US":
        return np.zeros(len(y), dtype=bool)
    found: NDArray = np.asarray(y == UNLABELLED, dtype=bool)
    return np.zeros_like(found) if (y[~found] == 1).all() and not found.all() else found
