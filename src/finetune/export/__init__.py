"""Export of trained networks to formats that other software reads, with a model card."""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from finetune.export.export import Exported, export_network

__all__ = ["Exported", "export_network"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__, dict.fromkeys(("Exported", "export_network"), "finetune.export.export")
    )
