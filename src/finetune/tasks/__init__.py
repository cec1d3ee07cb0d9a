"""Tasks of fine-tuning, one LightningModule each."""

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
