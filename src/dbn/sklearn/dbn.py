"""A deep belief network as a scikit-learn transformer."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dbn.models import dbn as models
from dbn.random.streams import stream
from dbn.settings import Check, optional, within
from dbn.sklearn.inputs import Inputs
from dbn.sklearn.parameters import PRETRAINING_CHECKS, SHARED_CHECKS, check_layer_sizes, checked, sizes_of
from dbn.sklearn.pretrained_stack import pretrained
from dbn.sklearn.row_weights import weighted_rows
from dbn.sklearn.transformer import ScaledTransformer, check_layer, draw_seed
from dbn.sklearn.undisturbed import undisturbed

CHECKS: dict[str, Check] = {
    "hidden_layer_sizes": check_layer_sizes,
    **PRETRAINING_CHECKS,
    "n_iter": within(low=1, whole=True),
    "layer": optional(within(low=1, whole=True)),
    **SHARED_CHECKS,
}


class DBN(ScaledTransformer):
    """Deep belief network: RBMs, each trained on the hidden means of the one below.

    The defaults of training are the recipe of Hinton & Salakhutdinov's released code (2006).

    Args:
        hidden_layer_sizes: hidden units of each layer, from the data upwards.
        learning_rate: of weights and biases; a hundredth of it in the first layer where the visible units are real.
        batch_size: rows per minibatch.
        n_iter: passes over the rows for each layer.
        sampler: negative phase, ``cd`` or ``pcd``, as for :class:`dbn.sklearn.RBM`.
        gibbs_steps: steps of Gibbs sampling per update.
        momentum: after the first five passes, in which it is 0.5 at most.
        weight_decay: L2 penalty on the weights.
        layer: layer whose features :meth:`transform` gives, from 1; None: the top one.
        scaling: how rows become states of the visible units, as for :class:`dbn.sklearn.RBM`.
        verbose: above 0, show progress.
        random_state: seed or generator; the same number gives the same bits.

    Attributes:
        dbn_: the stack, a :class:`dbn.DBN`; ``dbn_.save("dbn.safetensors")`` keeps it.
        inputs_: the scaling.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from dbn.sklearn import DBN
        >>> X, _ = load_digits(return_X_y=True)
        >>> DBN((50, 20), n_iter=2, random_state=0).fit_transform(X).shape
        (1797, 20)

    References:
        Hinton, Osindero & Teh (2006), *A fast learning algorithm for deep belief nets*, Neural Computation 18:1527.
    """

    _model = "dbn_"

    def __init__(
        self, hidden_layer_sizes: int | Sequence[int] = (500, 500), *, learning_rate: float = 0.1,
        batch_size: int = 100, n_iter: int = 30, sampler: str = "cd", gibbs_steps: int = 1, momentum: float = 0.9,
        weight_decay: float = 2e-4, layer: int | None = None, scaling: str = "auto", verbose: int = 0,
        random_state: Any = None,
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.sampler = sampler
        self.gibbs_steps = gibbs_steps
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.layer = layer
        self.scaling = scaling
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "DBN":
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
        sizes = sizes_of(given["hidden_layer_sizes"])
        check_layer(self, given["layer"], len(sizes))
        X, weights, _ = weighted_rows(self._rows(X), sample_weight)
        self.random_state_ = check_random_state(self.random_state)
        self.inputs_ = Inputs.of(X, given["scaling"])
        with undisturbed(self, "learning_rate"):
            self.dbn_ = pretrained(
                self.inputs_, X, sizes, weights=weights, seed=draw_seed(self.random_state_),
                learning_rates=[given["learning_rate"]] * len(sizes), sampler=given["sampler"],
                gibbs_steps=given["gibbs_steps"], progress=given["verbose"] > 0, epochs=given["n_iter"],
                batch_size=given["batch_size"], momentum=given["momentum"],
                initial_momentum=min(0.5, given["momentum"]), weight_cost=given["weight_decay"],
            )  # fmt: skip
        return self

    def transform(self, X: Any) -> NDArray:
        """Means of the hidden units of ``layer`` given rows ``X``, ``(n_samples, n_hidden)``."""
        check_is_fitted(self)
        check_layer(self, self.layer, len(self.dbn_))
        return self._applied(self.dbn_, X, lambda dbn, v: dbn.up(v, self.layer))

    def inverse_transform(self, X: Any) -> NDArray:
        """Means of the visible units given states ``X`` of the hidden units of ``layer``, in the units of the rows."""
        check_is_fitted(self)
        check_layer(self, self.layer, len(self.dbn_))
        return self._returned(self.dbn_, X, self._n_features_out, lambda dbn, h: dbn.down(h, self.layer))

    def gibbs(self, v: Any) -> NDArray:
        """States of the visible units after a step of Gibbs sampling in the top RBM, in the units of the rows.

        The rows ``v`` are sampled upwards, the top RBM takes its step, and its visible states are sampled downwards.
        Calls after a fit draw one number after the other from its random state.
        """
        check_is_fitted(self)
        generator = stream(draw_seed(self.random_state_), "gibbs")

        def step(dbn: models.DBN, x: Tensor) -> Tensor:
            depth = len(dbn)
            for k in range(depth - 1):
                x = dbn[k].sample_hidden(x, generator)
            x = dbn[depth - 1].gibbs(x, 1, generator)
            for k in reversed(range(depth - 1)):
                x = dbn[k].sample_visible(x, generator)
            return torch.from_numpy(self.inputs_.stored(x))

        return self._applied(self.dbn_, v, step)

    def score_samples(self, X: Any) -> NDArray:
        """Log-probability of rows ``X`` given their mean-field reconstructions, ``(n_samples,)`` in nats.

        The likelihood of a DBN is intractable; this says how well the top layer keeps what is in a row. It is that of
        the scaled rows.
        """
        check_is_fitted(self)
        return self._applied(self.dbn_, X, reconstruction_log_probability)

    @property
    def _n_features_out(self) -> int:
        """Number of columns that :meth:`transform` gives."""
        return self.dbn_.sizes[-1 if self.layer is None else self.layer]


def reconstruction_log_probability(dbn: models.DBN, v: Tensor) -> Tensor:
    """``log p(v | top)`` with the top hidden units at their means, ``(batch, n_visible)`` -> ``(batch,)`` in nats."""
    h = dbn.up(v)
    for k in reversed(range(1, len(dbn))):
        h = dbn[k].down(h)
    visible, field = dbn[0].visible, dbn[0].visible_field(h)
    log_density: Tensor = (v * field).sum(-1) - visible.energy(v) - visible.log_partition(field)
    return log_density
