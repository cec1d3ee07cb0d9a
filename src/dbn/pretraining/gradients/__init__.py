"""Directions of an RBM's updates, one file each. One defined elsewhere is available once its module was imported."""

from dbn.pretraining.gradients.base import Gradient, Plain
from dbn.pretraining.gradients.centered import Centered, Enhanced

__all__ = ["Centered", "Enhanced", "Gradient", "Plain"]
