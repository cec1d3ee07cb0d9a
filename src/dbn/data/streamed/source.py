"""Source whose training images are streamed from their file."""

from dataclasses import dataclass

from dbn.data.images import Images
from dbn.data.streamed.images import StreamedImages
from dbn.errors import DataError


@dataclass(frozen=True, eq=False)
class StreamedSource:
    """Training images in a file, the others in memory; features are stored pixels, without scaling.

    Attributes:
        name: name of the data in messages and results.
        train: training images.
        test: test images; None: :func:`dbn.data.load_data` holds out some of the training images.
        validation: validation images; None: likewise.
        shape: channels, height, width.
        classes: names of the classes; empty without labels.
        maximum: stored value that stands for 1.0; None: inferred, as in :class:`dbn.data.Source`.
        label_file: file that the labels were read from, for messages.
    """

    name: str
    train: StreamedImages
    test: Images | None
    validation: Images | None
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None
    label_file: str = "labels"

    def check_trainable(self) -> None:
        """Check what training needs beyond a valid source.

        Raises:
            DataError: all labels are equal.
        """
        if len(self.classes) == 1:
            raise DataError(
                f"{self.label_file}: every image has the same label, {self.classes[0]}. Use labels of two classes or "
                "more, or leave the file out."
            )
