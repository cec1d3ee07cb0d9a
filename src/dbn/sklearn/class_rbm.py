"""A class RBM as a scikit-learn classifier."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from dbn.errors import DataError
from dbn.models import rbm as models
from dbn.models.class_rbm import class_log_probabilities, given_label
from dbn.models.units import BernoulliWithLabel, make_units
from dbn.pretraining.class_rbm_step import OBJECTIVES
from dbn.pretraining.fit_class_rbm import fit_class_rbm
from dbn.random.streams import stream
from dbn.settings import Check, check_number, choice, within
from dbn.sklearn.inputs import Inputs
from dbn.sklearn.parameters import PRETRAINING_CHECKS, SHARED_CHECKS, checked
from dbn.sklearn.progress import print_each_epoch
from dbn.sklearn.row_weights import weighted_rows
from dbn.sklearn.samplers import SAMPLERS
from dbn.sklearn.transformer import ScaledTransformer, draw_seed
from dbn.sklearn.undisturbed import undisturbed

CHECKS: dict[str, Check] = {
    "n_components": within(low=1, whole=True),
    "objective": choice(*OBJECTIVES),
    "generative_weight": within(low=0, above=True),
    **PRETRAINING_CHECKS,
    "n_iter": within(low=1, whole=True),
    **SHARED_CHECKS,
}


class ClassRBM(ClassifierMixin, ScaledTransformer):
    """Restricted Boltzmann machine of rows and their classes, which classifies by free energy.

    Args:
        n_components: number of hidden units.
        objective: ``discriminative``: the log-probability of a row's class; ``generative``: that of row and class, by
            contrastive divergence; ``hybrid``: the first plus ``generative_weight`` times the second.
        generative_weight: of the generative term of ``hybrid``.
        learning_rate: of weights and biases; for ``generative`` a hundredth of it where the visible units are real.
        batch_size: rows per minibatch.
        n_iter: passes over the rows.
        sampler: negative phase of the generative term, ``cd`` or ``pcd``, as for :class:`dbn.sklearn.RBM`.
        gibbs_steps: steps of Gibbs sampling per update.
        momentum: after the first five passes, in which it is 0.5 at most.
        weight_decay: L2 penalty on the weights between rows and hidden units.
        scaling: how rows become states of the visible units, as for :class:`dbn.sklearn.RBM`.
        verbose: above 0, print a line per epoch.
        random_state: seed or generator; the same number gives the same bits.

    Attributes:
        classes_: the classes, of the type of the labels.
        rbm_: the model, a :class:`dbn.RBM` with hidden units :class:`dbn.models.units.BernoulliWithLabel`.
        inputs_: the scaling.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from dbn.sklearn import ClassRBM
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = ClassRBM(50, n_iter=10, random_state=0).fit(X[:1000], y[:1000])
        >>> classifier.predict_proba(X[1000:]).shape, classifier.sample(3, n_samples=5).shape
        ((797, 10), (5, 64))

    References:
        Larochelle & Bengio (2008), *Classification using discriminative restricted Boltzmann machines*, ICML.
    """

    _model = "rbm_"
    classes_: NDArray

    def __init__(
        self, n_components: int = 256, *, objective: str = "hybrid", generative_weight: float = 0.01,
        learning_rate: float = 0.1, batch_size: int = 20, n_iter: int = 50, sampler: str = "cd", gibbs_steps: int = 1,
        momentum: float = 0.9, weight_decay: float = 0.0, scaling: str = "auto", verbose: int = 0,
        random_state: Any = None,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.objective = objective
        self.generative_weight = generative_weight
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.sampler = sampler
        self.gibbs_steps = gibbs_steps
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.scaling = scaling
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ClassRBM":
        """Train on rows and their classes.

        Args:
            X: ``(n_samples, n_features)``, dense or sparse.
            y: classes ``(n_samples,)``.
            sample_weight: how much each row counts ``(n_samples,)``, of which only the proportions matter; rows of
                weight 0 are left out, and classes that only they have. None: all the same.

        Raises:
            ValueError: a parameter, ``X``, ``y`` or ``sample_weight`` is invalid, or the rows have one class only.
            DivergenceError: parameters became infinite or NaN.
        """
        given = checked(self, CHECKS)
        X, y = self._rows(X, y=y)
        check_classification_targets(y)
        X, weights, kept = weighted_rows(X, sample_weight)
        self.classes_, codes = np.unique(y[kept], return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y holds one class only, {self.classes_[0]!r}. Classification needs two classes.")
        self.random_state_ = check_random_state(self.random_state)
        self.inputs_ = Inputs.of(X, given["scaling"])
        rate_factor = self.inputs_.rate_factor if given["objective"] == "generative" else 1.0
        rbm = models.RBM(
            make_units(self.inputs_.visible, X.shape[1]),
            BernoulliWithLabel(given["n_components"], len(self.classes_)),
            generator=stream(draw_seed(self.random_state_), "init", 1),
        )  # fmt: skip
        labels = torch.from_numpy(codes.astype(np.int64))
        with undisturbed(self, "learning_rate"):
            fit_class_rbm(
                rbm, self.inputs_.images(X, labels, weights), objective=given["objective"],
                generative_weight=given["generative_weight"], epochs=given["n_iter"],
                sampler=SAMPLERS[given["sampler"]](given["gibbs_steps"]), seed=draw_seed(self.random_state_),
                learning_rate=given["learning_rate"] * rate_factor, batch_size=given["batch_size"],
                momentum=given["momentum"], initial_momentum=min(0.5, given["momentum"]),
                weight_cost=given["weight_decay"], bias_from_data=True,
                callbacks=print_each_epoch(type(self).__name__) if given["verbose"] else (),
            )  # fmt: skip
        rbm.zero_grad(set_to_none=True)
        self.rbm_ = rbm
        return self

    def predict(self, X: Any) -> NDArray:
        """Classes of rows ``X``, ``(n_samples,)``."""
        best = self.predict_log_proba(X).argmax(1)
        classes: NDArray = self.classes_[best]
        return classes

    def predict_proba(self, X: Any) -> NDArray:
        """Exact probabilities of classes of rows ``X``, in the order of ``classes_``, ``(n_samples, n_classes)``."""
        found: NDArray = np.exp(self.predict_log_proba(X))
        return found

    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithms of the probabilities of the classes of rows ``X``, ``(n_samples, n_classes)`` in nats."""
        check_is_fitted(self)
        return self._applied(self.rbm_, X, class_log_probabilities)

    def transform(self, X: Any) -> NDArray:
        """Means of the hidden units given rows ``X``, over all classes, ``(n_samples, n_components)``."""
        check_is_fitted(self)
        return self._applied(self.rbm_, X, lambda rbm, v: rbm.mean_hidden(v))

    def sample(self, label: Any, n_samples: int = 1, steps: int = 1000) -> NDArray:
        """Rows of a class, drawn by Gibbs sampling, ``(n_samples, n_features)``, in the units of ``X``.

        Calls after a fit draw one number after the other from its random state.

        Args:
            label: one of ``classes_``.
            n_samples: number of chains, each of which gives a row: its means at the end.
            steps: of each chain, from 1.

        Raises:
            ValueError: there is no such class, or a number is invalid.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, low=1, whole=True)
        check_number("steps", steps, low=1, whole=True)
        place = np.flatnonzero(self.classes_ == label)
        if not len(place):
            raise DataError(f"label={label!r}: the classes are {self.classes_.tolist()}.")
        rbm, generator = given_label(self.rbm_, int(place[0])), stream(draw_seed(self.random_state_), "gibbs")
        with torch.no_grad():
            v = rbm.visible.sample(rbm.weight.new_zeros(n_samples, rbm.n_visible), generator)
            v = rbm.gibbs(v, steps - 1, generator)
            return self.inputs_.stored(rbm.mean_visible(rbm.sample_hidden(v, generator)))

    @property
    def _n_features_out(self) -> int:
        """Number of columns that :meth:`transform` gives."""
        return self.rbm_.n_hidden
