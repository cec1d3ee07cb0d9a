"""MNIST and Fashion-MNIST: four IDX files each, of the same shapes."""

from pathlib import Path

from dbn.data.source import Source
from dbn.data.sources.fetch import find_or_fetch
from dbn.data.sources.idx import read_idx

MNIST_URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
FASHION_URLS = (
    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
DIGITS = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(root: str | Path | None = None) -> Source:
    """MNIST: 60000 training and 10000 test images of handwritten digits, 28 x 28 grey pixels, 10 classes.

    Args:
        root: data folder; the files are in it or in its folder ``mnist/``; None: see :func:`find_or_fetch`.

    Raises:
        DataError: a file has the wrong hash, or is missing and cannot be downloaded.

    References:
        LeCun, Bottou, Bengio and Haffner (1998), *Gradient-based learning applied to document recognition*.
    """
    return _read_four_files("mnist", MNIST_URLS, MNIST_SHA256, DIGITS, root)


def fashion_mnist(root: str | Path | None = None) -> Source:
    """Fashion-MNIST: 60000 training and 10000 test images of clothing, 28 x 28 grey pixels, 10 classes.

    Args:
        root: data folder; the files are in it or in its folder ``fashion_mnist/``; None: see :func:`find_or_fetch`.

    Raises:
        DataError: a file has the wrong hash, or is missing and cannot be downloaded.

    References:
        Xiao, Rasul and Vollgraf (2017), *Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms*.
    """
    return _read_four_files("fashion_mnist", FASHION_URLS, FASHION_SHA256, FASHION_CLASSES, root)


def _read_four_files(
    name: str, urls: tuple[str, ...], sha256: dict[str, str], classes: tuple[str, ...], root: str | Path | None
) -> Source:
    train_images, train_labels, test_images, test_labels = (
        read_idx(find_or_fetch(name, filename, digest, [url + filename for url in urls], root))
        for filename, digest in sha256.items()
    )
    return Source(
        name=name,
        train_images=train_images.unsqueeze(1),
        train_labels=train_labels.long(),
        test_images=test_images.unsqueeze(1),
        test_labels=test_labels.long(),
        classes=classes,
        maximum=255.0,
    )
