"""Tasks of fine-tuning, one LightningModule each."""

from finetune.tasks.autoencoder import Autoencoder
from finetune.tasks.base import FineTuning
from finetune.tasks.classifier import Classifier

__all__ = ["Autoencoder", "Classifier", "FineTuning"]
