"""Samplers: where the negative phase comes from. One file each, chosen by ``conf/sampler/``."""

from dbn.samplers.base import Sampler
from dbn.samplers.contrastive_divergence import ContrastiveDivergence
from dbn.samplers.persistent import PersistentContrastiveDivergence

__all__ = ["ContrastiveDivergence", "PersistentContrastiveDivergence", "Sampler"]
