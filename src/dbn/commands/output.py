"""Standard streams that tolerate closed descriptors, closed pipes and encodings with few characters."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

READER_GONE = 141
"""Exit status of a program that wrote to a closed pipe: 128 + SIGPIPE."""

ASCII_EQUIVALENTS = {
    0x00B1: "+-",  # plus-minus
    0x2212: "-",  # minus
    0x2013: "-",  # dashes
    0x2014: "-",
    0x00D7: "x",  # times
    0x00B7: ".",  # middle dot
    0x2022: "*",  # bullet
    0x2026: "...",  # ellipsis
    0x2192: "->",
    0x2264: "<=",
    0x2265: ">=",
    0x2018: "'",  # quotation marks
    0x2019: "'",
    0x201C: '"',
    0x201D: '"',
}
"""Replacements for characters that an encoding lacks; any other becomes ``?``. Box drawing is left to rich."""


def replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Handler for :func:`codecs.register_error`: replaces characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ASCII_EQUIVALENTS.get(ord(sign), "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("dbn_plain", replace_unencodable)


class Output(io.TextIOWrapper):
    """A standard stream that ends the program quietly when its pipe is closed, as by ``head``.

    BrokenPipeError is handled here because only here it is certain which pipe was closed.

    Raises:
        SystemExit: the pipe is closed; status 141.
    """

    def write(self, text: str) -> int:
        """Write; exit if the pipe is closed."""
        try:
            return super().write(text)
        except BrokenPipeError:
            exit_quietly()

    def flush(self) -> None:
        """Flush; exit if the pipe is closed."""
        try:
            super().flush()
        except BrokenPipeError:
            exit_quietly()


def exit_quietly() -> NoReturn:
    """Redirect both streams to the null device, so that flushing at exit does not fail again, and exit.

    Raises:
        SystemExit: with status 141.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
    sys.exit(READER_GONE)


@contextmanager
def safe_output() -> Iterator[None]:
    """Replace standard output and error by streams that can always be written to, while the block lasts.

    Output to closed streams is dropped, closed pipes end the program quietly, and characters that an encoding lacks are
    replaced.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = safe(sys.stdout), safe(sys.stderr)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            sys.stdout, sys.stderr = before


def safe(stream: TextIO | None) -> TextIO:
    """A standard stream of this process, wrapped so that writing to it always works."""
    if stream is None:  # closed by the shell, as by >&-
        return Path(os.devnull).open("w", encoding="utf-8")  # until the process ends
    if not (isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BufferedWriter | io.FileIO)):
        return stream  # a stream of a notebook or a test
    stream.flush()
    own = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
    unbuffered = isinstance(stream.buffer, io.FileIO)  # by python -u, PYTHONUNBUFFERED
    return Output(
        own,
        encoding=stream.encoding,
        errors="dbn_plain",
        line_buffering=stream.line_buffering or unbuffered,
        write_through=stream.write_through,
    )
