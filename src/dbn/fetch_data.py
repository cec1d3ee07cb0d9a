"""The command ``dbn-data``: download data sets in advance, on a machine with internet access."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dbn.data.source import Source
from dbn.data.sources.binarized_mnist import binarized_mnist
from dbn.data.sources.easypr import easypr
from dbn.data.sources.mnist import fashion_mnist, mnist
from dbn.data.sources.olivetti import olivetti
from dbn.errors import UserError

FETCHED: dict[str, Callable[[str | Path | None], Source]] = {
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "binarized_mnist": binarized_mnist,
    "easypr": easypr,
    "olivetti": olivetti,
}
"""Data sets that are downloaded."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Console entry point. Exit status: 0 done, 2 invalid arguments or a failed download."""
    parser = argparse.ArgumentParser(
        prog="dbn-data", description="Fetch data sets ahead: on the login node of a cluster, say, whose compute nodes "
        "have no internet.",
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True)
    fetch = verbs.add_parser("fetch", help="download data sets, or check those that are there")
    fetch.add_argument("names", nargs="+", choices=sorted(FETCHED), metavar="name", help=", ".join(sorted(FETCHED)))
    fetch.add_argument("--root", help="folder of data (default: DBN_DATA, or the user's cache)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        for name in options.names:
            source = FETCHED[name](options.root)
            n_test = 0 if source.test_images is None else len(source.test_images)
            print(f"{name}: {len(source.train_images)} training and {n_test} test images, as they should be")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
