"""A restricted Boltzmann machine as a scikit-learn transformer, in place of ``BernoulliRBM``."""

from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dbn.likelihood import pseudo_log_likelihood
from dbn.machine.optimizer import SGD
from dbn.models import rbm as models
from dbn.models.units import Bernoulli, Units, make_units
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.fit import fit
from dbn.random.streams import stream
from dbn.samplers import HiddenChains, Sampler
from dbn.settings import Check, within
from dbn.sklearn.inputs import Inputs, dtype_of
from dbn.sklearn.parameters import PRETRAINING_CHECKS, SHARED_CHECKS, checked
from dbn.sklearn.progress import print_each_epoch
from dbn.sklearn.row_weights import weighted_rows
from dbn.sklearn.samplers import SAMPLERS
from dbn.sklearn.transformer import ScaledTransformer, array, draw_seed
from dbn.sklearn.undisturbed import undisturbed

WEIGHT_STD = 0.01
"""Standard deviation of the initial weights, that of ``BernoulliRBM``."""

CHECKS: dict[str, Check] = {"n_components": within(low=1, whole=True), **PRETRAINING_CHECKS, **SHARED_CHECKS}


class RBM(ScaledTransformer):
    """Restricted Boltzmann machine with binary hidden units, trained by persistent or plain contrastive divergence.

    Takes the place of :class:`sklearn.neural_network.BernoulliRBM`: parameters and attributes of the same name mean the
    same, and with the default ``sampler`` the algorithm is the same. It differs in that the order of the rows is drawn
    anew in every epoch, in that training computes in float32, and in that values outside [0, 1] are scaled, see
    ``scaling``; ``BernoulliRBM`` takes them for probabilities.

    Args:
        n_components: number of hidden units.
        learning_rate: of weights and biases; a hundredth of it where the visible units are real (Hinton 2012, section
            13.2).
        batch_size: rows per minibatch.
        n_iter: passes over the rows.
        sampler: negative phase: ``pcd``, persistent contrastive divergence, whose chains :attr:`h_samples_` go on from
            minibatch to minibatch; or ``cd``, contrastive divergence, whose chains start at the rows.
        gibbs_steps: steps of Gibbs sampling per update, the ``k`` of CD-k.
        momentum: in [0, 1).
        weight_decay: L2 penalty on the weights.
        scaling: how rows become states of the visible units. ``none``: they are, in [0, 1]. ``range``: the smallest
            value of all becomes 0, the largest 1. ``standard``: every column gets mean 0 and standard deviation 1, and
            the visible units are real (Gaussian). ``auto``: ``none`` for values in [0, 1], ``range`` for what looks
            like intensities of pictures, otherwise ``standard``, see :meth:`dbn.sklearn.inputs.Inputs.of`.
        verbose: above 0, print a line per epoch.
        random_state: seed or generator; the same number gives the same bits.

    Attributes:
        components_: weights ``(n_components, n_features)``.
        intercept_hidden_: biases of the hidden units ``(n_components,)``.
        intercept_visible_: biases of the visible units ``(n_features,)``.
        h_samples_: hidden states of the persistent chains ``(batch_size, n_components)``; only with ``sampler="pcd"``.
        rbm_: the model, a :class:`dbn.RBM`.
        inputs_: the scaling.

    Example:
        >>> import numpy as np
        >>> from dbn.sklearn import RBM
        >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
        >>> RBM(n_components=2).fit(X)
        RBM(n_components=2)

    References:
        Tieleman (2008), *Training restricted Boltzmann machines using approximations to the likelihood gradient*, ICML.
    """

    _model = "rbm_"
    _optimizer: SGD | None

    def __init__(
        self, n_components: int = 256, *, learning_rate: float = 0.1, batch_size: int = 10, n_iter: int = 10,
        sampler: str = "pcd", gibbs_steps: int = 1, momentum: float = 0.0, weight_decay: float = 0.0,
        scaling: str = "auto", verbose: int = 0, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.n_components = n_components
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "RBM":
        """Train on rows.

        Args:
            X: ``(n_samples, n_features)``, dense or sparse.
            y: ignored.
            sample_weight: how much each row counts ``(n_samples,)``, of which only the proportions matter; rows of
                weight 0 are left out. None: all the same.

        Raises:
            ValueError: a parameter, ``X`` or ``sample_weight`` is invalid.
            DivergenceError: parameters became infinite or NaN.
        """
        given = checked(self, CHECKS)
        X, weights, _ = weighted_rows(self._rows(X), sample_weight)
        self._start(X, given)
        if given["n_iter"]:
            with undisturbed(self, "learning_rate"):
                fit(
                    self.rbm_, self.inputs_.images(X, weights=weights), epochs=given["n_iter"], sampler=self._sampler,
                    seed=draw_seed(self.random_state_), learning_rate=given["learning_rate"] * self.inputs_.rate_factor,
                    batch_size=given["batch_size"], momentum=given["momentum"], initial_momentum_epochs=0,
                    weight_cost=given["weight_decay"],
                    callbacks=print_each_epoch(type(self).__name__) if given["verbose"] else (),
                )  # fmt: skip
            self.rbm_.zero_grad(set_to_none=True)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "RBM":
        """Take one step of training, with the rows ``X`` as its minibatch; ``y`` is ignored.

        The first call determines the scaling; with binary visible units later rows must lie in the same range.

        Raises:
            ValueError: a parameter or ``X`` is invalid.
        """
        given = checked(self, CHECKS)
        first = not hasattr(self, "rbm_")
        X = self._rows(X, reset=first)
        if first:
            self._start(X, given)
        else:
            self.inputs_.check_range(X)
        if self._optimizer is None:
            groups = [
                {"params": [self.rbm_.weight], "weight_decay": given["weight_decay"]},
                {"params": [self.rbm_.visible.bias, self.rbm_.hidden.bias]},
            ]
            self._optimizer = SGD(
                groups, lr=given["learning_rate"] * self.inputs_.rate_factor, momentum=given["momentum"]
            )
        generator = stream(draw_seed(self.random_state_), "gibbs")
        features = self.inputs_.images(X).features()
        ContrastiveStep(self.rbm_, self._sampler)(features, self._optimizer, generator)
        return self

    def transform(self, X: Any) -> NDArray:
        """Probabilities of the hidden units given rows ``X``, ``(n_samples, n_components)``."""
        check_is_fitted(self)
        return self._applied(self.rbm_, X, lambda rbm, v: rbm.mean_hidden(v))

    def inverse_transform(self, X: Any) -> NDArray:
        """Means of the visible units given hidden states ``X`` ``(n_samples, n_components)``, in the rows' units."""
        check_is_fitted(self)
        return self._returned(self.rbm_, X, self.rbm_.n_hidden, lambda rbm, h: rbm.mean_visible(h))

    def gibbs(self, v: Any) -> NDArray:
        """States of the visible units after a step of Gibbs sampling from rows ``v``, in the units of the rows.

        Calls after a fit draw one number after the other from its random state.
        """
        check_is_fitted(self)
        generator = stream(draw_seed(self.random_state_), "gibbs")

        def step(rbm: models.RBM, features: Tensor) -> Tensor:
            return torch.from_numpy(self.inputs_.stored(rbm.gibbs(features, 1, generator)))

        return self._applied(self.rbm_, v, step)

    def score_samples(self, X: Any) -> NDArray:
        """Pseudo-likelihood of rows ``X``, ``(n_samples,)`` in nats: the sum of ``log p(v_i | all others)``.

        Exact, see :func:`dbn.likelihood.pseudo_log_likelihood`; ``BernoulliRBM`` estimates it from one random unit of
        each row. It is that of the scaled rows.
        """
        check_is_fitted(self)
        return self._applied(self.rbm_, X, pseudo_log_likelihood)

    @property
    def components_(self) -> NDArray:
        """Weights ``(n_components, n_features)``, in the type of the rows that it was fitted to."""
        return array(self._fitted.weight.T, self._type)

    @property
    def intercept_hidden_(self) -> NDArray:
        """Biases of the hidden units, ``(n_components,)``."""
        return array(self._fitted.hidden.bias, self._type)

    @property
    def intercept_visible_(self) -> NDArray:
        """Biases of the visible units, ``(n_features,)``."""
        return array(self._fitted.visible.bias, self._type)

    @property
    def h_samples_(self) -> NDArray:
        """Hidden states of the persistent chains, ``(batch_size, n_components)``."""
        rbm = self._fitted
        if not isinstance(self._sampler, HiddenChains):
            raise AttributeError('h_samples_: only persistent chains, sampler="pcd", are kept.')
        chains = self._sampler.chains
        if chains is None:
            chains = rbm.weight.new_zeros(self.batch_size, self.n_components)
        return array(chains, self._type)

    @property
    def _fitted(self) -> models.RBM:
        """The model.

        Raises:
            NotFittedError: there is none yet; an AttributeError.
        """
        check_is_fitted(self)
        return self.rbm_

    @property
    def _n_features_out(self) -> int:
        """Number of columns that :meth:`transform` gives."""
        return self.rbm_.n_hidden

    def _start(self, X: Any, given: dict[str, Any]) -> None:
        """Determine the scaling, and make a model with random weights."""
        self.inputs_ = Inputs.of(X, given["scaling"])
        self._type = dtype_of(X)
        self.random_state_ = check_random_state(self.random_state)
        visible: Units = make_units(self.inputs_.visible, X.shape[1])
        weights = stream(draw_seed(self.random_state_), "init", 1)
        self.rbm_ = models.RBM(visible, Bernoulli(given["n_components"]), weight_std=WEIGHT_STD, generator=weights)
        self._sampler: Sampler = SAMPLERS[given["sampler"]](given["gibbs_steps"])
        self._optimizer = None
