"""Standard output and error as they are found: closed, read by nobody any more, in an encoding that lacks our signs."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

READER_GONE = 141
"""Exit status of a program that wrote to a pipe whose reader has left: 128 + SIGPIPE."""

PLAIN = {
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
"""Signs for encodings that lack them; box drawing is left to rich, any other sign becomes a question mark."""


def in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """What to write in place of signs that an encoding lacks: a handler for :func:`codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(ord(sign), "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("dbn_plain", in_plain_signs)


class Output(io.TextIOWrapper):
    """A standard stream that writes every text and ends the program quietly when nobody reads any more.

    The exception is raised here, where it is certain that it is the person's pipe that is closed and no other.

    Raises:
        SystemExit: the reader has left, as ``head`` does; status 141.
    """

    def write(self, text: str) -> int:
        """Write."""
        try:
            return super().write(text)
        except BrokenPipeError:
            leave()

    def flush(self) -> None:
        """Flush."""
        try:
            super().flush()
        except BrokenPipeError:
            leave()


def leave() -> NoReturn:
    """Leave, with nothing that is written from now on, at the interpreter's end either, failing again.

    Raises:
        SystemExit: with status 141.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
    sys.exit(READER_GONE)


@contextmanager
def safe_output() -> Iterator[None]:
    """Standard output and error on which writing works, whatever the shell has made of them, while the block lasts.

    Closed streams lead nowhere, closed pipes end the program quietly, and signs that an encoding lacks are replaced.
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
    """A standard stream of this process as one on which writing works."""
    if stream is None:  # closed by the shell, as by >&-
        return Path(os.devnull).open("w", encoding="utf-8")  # until the process ends
    if not (isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BufferedWriter | io.FileIO)):
        return stream  # a notebook's, or a test's
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
