"""Restricted Boltzmann machines and deep belief networks in PyTorch.

>>> from dbn import RBM, DBN
>>> from dbn.units import Bernoulli
>>> rbm = RBM(Bernoulli(784), Bernoulli(500))
"""

from dbn.rbm import RBM
from dbn.stack import DBN

__all__ = ["DBN", "RBM"]
