"""Tasks of fine-tuning, one LightningModule each."""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from finetune.tasks.autoencoder import Autoencoder
    from finetune.tasks.base import FineTuning
    from finetune.tasks.classifier import Classifier
    from finetune.tasks.fixmatch import FixMatch
    from finetune.tasks.hybrid_classifier import HybridClassifier
    from finetune.tasks.pseudo_labels import PseudoLabels
    from finetune.tasks.regression import Regression
    from finetune.tasks.semi_supervised import SemiSupervised

__all__ = [
    "Autoencoder", "Classifier", "FineTuning", "FixMatch", "HybridClassifier", "PseudoLabels", "Regression",
    "SemiSupervised",
]  # fmt: skip

if not TYPE_CHECKING:  # what was predicted is read without Lightning
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            "Autoencoder": "finetune.tasks.autoencoder",
            "FineTuning": "finetune.tasks.base",
            "Classifier": "finetune.tasks.classifier",
            "FixMatch": "finetune.tasks.fixmatch",
            "HybridClassifier": "finetune.tasks.hybrid_classifier",
            "PseudoLabels": "finetune.tasks.pseudo_labels",
            "Regression": "finetune.tasks.regression",
            "SemiSupervised": "finetune.tasks.semi_supervised",
        },
    )
