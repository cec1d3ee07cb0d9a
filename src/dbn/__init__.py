"""Restricted Boltzmann machines and deep belief networks in PyTorch.

>>> from dbn import RBM, Bernoulli
>>> RBM(Bernoulli(784), Bernoulli(500)).n_hidden
500
"""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from dbn.models.dbm import DBM
    from dbn.models.dbn import DBN
    from dbn.models.rbm import RBM
    from dbn.models.units import Bernoulli, Gaussian, ReLU

__all__ = ["DBM", "DBN", "RBM", "Bernoulli", "Gaussian", "ReLU"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            "DBM": "dbn.models.dbm",
            "DBN": "dbn.models.dbn",
            "RBM": "dbn.models.rbm",
            "Bernoulli": "dbn.models.units",
            "Gaussian": "dbn.models.units",
            "ReLU": "dbn.models.units",
        },
        subpackages=["data"],
    )
