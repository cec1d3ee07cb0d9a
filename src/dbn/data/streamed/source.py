"""Source whose training images are streamed from their file."""

from dataclasses import dataclass

from dbn.data.images import Images
from dbn.data.streamed.images import StreamedImages


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
    """

    name: str
    train: StreamedImages
    test: Images | None
    validation: Images | None
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None
