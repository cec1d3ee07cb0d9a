"""Fine-tuning by backpropagation from a pretrained stack or from random weights, and the comparison of the two."""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from finetune.networks.network import Network

__all__ = ["Network"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(__name__, {"Network": "finetune.networks.network"})
