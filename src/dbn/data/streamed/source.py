"""What a reader of files returns whose training images stay in their file."""

from dataclasses import dataclass

from dbn.data.images import Images
from dbn.data.streamed.images import StreamedImages


@dataclass(frozen=True, eq=False)
class StreamedSource:
    """Training images in a file, the others in memory, checked; features are pixels as stored.

    Attributes:
        name: what the data is called in messages and results.
        train: training images.
        test: test images; None: :func:`dbn.data.load_data` takes some out of the training images.
        validation: validation images; None: likewise.
        shape: channels, height, width.
        classes: names of the classes; empty where there are no labels.
        maximum: stored value that stands for 1.0; None: what the images show, as in :class:`dbn.data.Source`.
    """

    name: str
    train: StreamedImages
    test: Images | None
    validation: Images | None
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None
