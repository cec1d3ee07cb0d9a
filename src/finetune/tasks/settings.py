"""Settings of fine-tuning: the group ``training`` of the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbn.errors import SettingError
from dbn.settings import check_choice, check_number
from finetune.tasks.class_weights import check_class_weights
from finetune.tasks.losses import LOSSES


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of fine-tuning by backpropagation.

    Attributes:
        epochs: passes through the labelled training images.
        batch_size: images per minibatch.
        learning_rate: of the optimiser; the maximum of a schedule.
        head_epochs: first epochs, in which only the output layer is trained (5 in Hinton & Salakhutdinov 2006).
        loss: of a classifier, see :mod:`finetune.tasks.losses`; must be ``cross_entropy`` for an autoencoder.
        generative: weight of the generative term of a class RBM, see
            :class:`finetune.tasks.hybrid_classifier.HybridClassifier`; 0: none.
        label_smoothing: probability mass spread over all classes, in [0, 1).
        mixup: parameter of the beta distribution of the mixing share, see :mod:`finetune.tasks.mixup`; None: no mixing.
            For cross-entropy only, which is linear in the label.
        class_weights: weight of each class's images in the loss, see :mod:`finetune.tasks.class_weights`: ``balanced``,
            a number for each class, or None: 1 for all.
        max_norm: largest norm of a hidden unit's incoming weights (Srivastava et al. 2014); None: no limit.
        patience: validations without improvement before training stops; None: no early stopping.
        weights: weights to keep: ``best`` by the validation metric, or ``last``.
        validate_every: epochs between validations, which take longer than training with few labels; best weights and
            patience refer to these epochs only.
        trajectory: number of images whose outputs are recorded, see :mod:`finetune.runs.trajectory`; 0: none.

    Raises:
        SettingError: an invalid value.
    """

    epochs: int
    batch_size: int = 100
    learning_rate: float = 0.1
    head_epochs: int = 0
    loss: str = "cross_entropy"
    generative: float = 0.0
    label_smoothing: float = 0.0
    mixup: float | None = None
    class_weights: str | Sequence[float] | None = None
    max_norm: float | None = None
    patience: int | None = None
    weights: str = "best"
    validate_every: int = 1
    trajectory: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        check_number("training.epochs", self.epochs, low=1, whole=True)
        check_number("training.batch_size", self.batch_size, low=1, whole=True)
        check_number("training.learning_rate", self.learning_rate, low=0)
        check_number("training.head_epochs", self.head_epochs, low=0, whole=True)
        check_choice("training.loss", self.loss, LOSSES)
        check_number("training.generative", self.generative, low=0)
        check_number("training.label_smoothing", self.label_smoothing, low=0, high=1, below=True)
        if self.loss == "perceptron" and self.label_smoothing:
            raise SettingError(
                f"training.label_smoothing={self.label_smoothing}: a perceptron's target is a sign. Leave it at 0."
            )
        if self.mixup is not None:
            check_number("training.mixup", self.mixup, low=0, above=True)
            if self.loss != "cross_entropy":
                raise SettingError(
                    f"training.mixup={self.mixup}, training.loss={self.loss}: mixed labels are class probabilities, "
                    "which have a cross-entropy only. Use training.loss=cross_entropy, or training.mixup=null."
                )
        check_class_weights(self.class_weights)
        if self.class_weights is not None and self.mixup is not None and self.label_smoothing:
            raise SettingError(
                f"training.class_weights={self.class_weights}, training.mixup={self.mixup}, training.label_smoothing="
                f"{self.label_smoothing}: smoothed labels of mixed images have no weight. Leave one of them away."
            )
        if self.max_norm is not None:
            check_number("training.max_norm", self.max_norm, low=0, above=True)
        if self.patience is not None:
            check_number("training.patience", self.patience, low=1, whole=True)
        check_number("training.validate_every", self.validate_every, low=1, high=self.epochs, whole=True)
        check_choice("training.weights", self.weights, ("best", "last"))
        check_number("training.trajectory", self.trajectory, low=0, whole=True)
