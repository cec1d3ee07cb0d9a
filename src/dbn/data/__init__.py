"""From image files to a validated data set, split and in memory, or streamed from a file.

``load_data(mnist())`` in a notebook; on the command line ``data=mnist`` selects the same function from ``conf/data``.
A reader of files returns a :class:`Source` or a :class:`StreamedSource`; :func:`load_data` splits it into a
:class:`DataSet`.
"""

from dbn.data.allowed_values import check_unit_interval
from dbn.data.images import DataSet, Images
from dbn.data.load import load_data
from dbn.data.source import Source
from dbn.data.sources.binarized_mnist import binarized_mnist
from dbn.data.sources.digits import digits
from dbn.data.sources.easypr import easypr
from dbn.data.sources.image_folder import image_folder
from dbn.data.sources.mat import mat
from dbn.data.sources.memmap import memmap
from dbn.data.sources.mnist import fashion_mnist, mnist
from dbn.data.sources.npz import npz
from dbn.data.sources.olivetti import olivetti
from dbn.data.split.strata import label_subset
from dbn.data.streamed.images import StreamedImages
from dbn.data.streamed.source import StreamedSource

__all__ = [
    "DataSet",
    "Images",
    "Source",
    "StreamedImages",
    "StreamedSource",
    "binarized_mnist",
    "check_unit_interval",
    "digits",
    "easypr",
    "fashion_mnist",
    "image_folder",
    "label_subset",
    "load_data",
    "mat",
    "memmap",
    "mnist",
    "npz",
    "olivetti",
]
