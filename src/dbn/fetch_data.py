"""The command ``dbn-data``: download data sets in advance, on a machine with internet access."""

import argparse
import logging
import sys
from collections.abc import Sequence

from dbn import data
from dbn.errors import UserError

FETCHED = ("binarized_mnist", "easypr", "fashion_mnist", "mnist", "newsgroups", "olivetti")
"""Readers in :mod:`dbn.data` of data sets that are downloaded."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Console entry point. Exit status: 0 done, 2 invalid arguments or a failed download."""
    parser = argparse.ArgumentParser(
        prog="dbn-data", description="Fetch data sets ahead: on the login node of a cluster, say, whose compute nodes "
        "have no internet.",
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True)
    fetch = verbs.add_parser("fetch", help="download data sets, or check those that are there")
    fetch.add_argument("names", nargs="+", choices=FETCHED, metavar="name", help=", ".join(FETCHED))
    fetch.add_argument("--root", help="folder of data (default: DBN_DATA, or the user's cache)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        for name in options.names:
            source = getattr(data, name)(options.root)
            n_test = 0 if source.test_images is None else len(source.test_images)
            print(f"{name}: {len(source.train_images)} training and {n_test} test images, as they should be")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
