"""Restricted Boltzmann machines and deep belief networks in PyTorch.

>>> from dbn import RBM, Bernoulli
>>> RBM(Bernoulli(784), Bernoulli(500)).n_hidden
500
"""

from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Gaussian, ReLU

__all__ = ["DBN", "RBM", "Bernoulli", "Gaussian", "ReLU"]
