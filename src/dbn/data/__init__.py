"""From image files to a validated data set, split and in memory, or streamed from a file.

``load_data(mnist())`` in a notebook; on the command line ``data=mnist`` selects the same function from ``conf/data``.
A reader of files returns a :class:`Source` or a :class:`StreamedSource`; :func:`load_data` splits it into a
:class:`DataSet`.
"""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
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
    from dbn.data.sources.newsgroups import newsgroups
    from dbn.data.sources.npz import npz
    from dbn.data.sources.olivetti import olivetti
    from dbn.data.sources.scikit_learn import breast_cancer, diabetes, wine
    from dbn.data.sources.table import table
    from dbn.data.split.strata import label_subset
    from dbn.data.streamed.images import StreamedImages
    from dbn.data.streamed.source import StreamedSource
    from dbn.data.tables.source import TableSource

__all__ = [
    "DataSet",
    "Images",
    "Source",
    "StreamedImages",
    "StreamedSource",
    "TableSource",
    "binarized_mnist",
    "breast_cancer",
    "check_unit_interval",
    "diabetes",
    "digits",
    "easypr",
    "fashion_mnist",
    "image_folder",
    "label_subset",
    "load_data",
    "mat",
    "memmap",
    "mnist",
    "newsgroups",
    "npz",
    "olivetti",
    "table",
    "wine",
]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {
            "DataSet": "dbn.data.images",
            "Images": "dbn.data.images",
            "Source": "dbn.data.source",
            "StreamedImages": "dbn.data.streamed.images",
            "StreamedSource": "dbn.data.streamed.source",
            "TableSource": "dbn.data.tables.source",
            "binarized_mnist": "dbn.data.sources.binarized_mnist",
            "breast_cancer": "dbn.data.sources.scikit_learn",
            "check_unit_interval": "dbn.data.allowed_values",
            "diabetes": "dbn.data.sources.scikit_learn",
            "digits": "dbn.data.sources.digits",
            "easypr": "dbn.data.sources.easypr",
            "fashion_mnist": "dbn.data.sources.mnist",
            "image_folder": "dbn.data.sources.image_folder",
            "label_subset": "dbn.data.split.strata",
            "load_data": "dbn.data.load",
            "mat": "dbn.data.sources.mat",
            "memmap": "dbn.data.sources.memmap",
            "mnist": "dbn.data.sources.mnist",
            "newsgroups": "dbn.data.sources.newsgroups",
            "npz": "dbn.data.sources.npz",
            "olivetti": "dbn.data.sources.olivetti",
            "table": "dbn.data.sources.table",
            "wine": "dbn.data.sources.scikit_learn",
        },
    )
