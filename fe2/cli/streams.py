"""Standard output and error that survive: a terminal without Unicode, a full disk, a reader that has gone.

What a command has computed must not be lost because it could not be printed, and a run of hours not end
because nobody reads its progress any more.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Output(io.RawIOBase):
    """The bytes of a standard stream, whose first error is kept instead of raised.

    Attributes:
        error: The first error of the stream, or None.
    """

    def __init__(self, stream: Any, instead: Callable[[bytes, OSError], None]) -> None:
        """Write to a stream for as long as that works.

        Args:
            stream: The stream's bytes, or None where it is closed.
            instead: Receives what cannot be written there, with the error.
        """
        super().__init__()
        self._stream, self._instead = getattr(stream, "raw", stream), instead
        self.error: OSError | None = None if stream is not None else OSError(errno.EBADF, "it is closed")

    @property
    def is_lost(self) -> bool:
        """Whether something was not written although somebody may have wanted to read it."""
        return self.error is not None and self.error.errno != errno.EPIPE

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor, where there is one."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and bool(self._stream.isatty())

    def write(self, data: Any) -> int:
        """Write, here or instead."""
        left = bytes(data)
        _ignore_readers_that_leave()
        while left and self.error is None:
            try:
                left = left[self._stream.write(left) or 0 :]
            except OSError as error:
                self.error = error
        if left and self.error is not None:
            self._instead(left, self.error)
        return len(data)


@contextmanager
def surviving_streams() -> Iterator[Output]:
    """Replace the standard output and error for a while; what the output does not take goes to the error.

    Characters that a terminal does not know are written as their numbers.
    """
    _occupy_closed_descriptors()
    before = sys.stdout, sys.stderr
    err = Output(_bytes_of(sys.stderr), lambda data, error: None)
    out = Output(_bytes_of(sys.stdout), _To(err))
    sys.stdout, sys.stderr = _text(out, before[0]), _text(err, before[1])
    try:
        yield out
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


class _To:
    """Hands over to the standard error output, with a word at the first time; nothing where a reader left."""

    def __init__(self, err: Output) -> None:
        self._err, self._told = err, False

    def __call__(self, data: bytes, error: OSError) -> None:
        if error.errno == errno.EPIPE:
            return
        if not self._told:
            self._told = True
            text = f"fe2: the standard output cannot be written ({error.strerror}); it goes on here\n"
            self._err.write(text.encode())
        self._err.write(data)


def _ignore_readers_that_leave() -> None:
    """Let a pipe without a reader be an error like others: PETSc and gmsh let its signal end the process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _bytes_of(stream: Any) -> Any:
    if stream is None:
        return None
    stream.flush()
    return getattr(stream, "buffer", stream)


def _text(output: Output, model: Any) -> Any:
    """A text stream with the encoding of another one; text that is not kept as bytes is left alone."""
    if model is not None and not hasattr(model, "buffer"):
        return model
    encoding = getattr(model, "encoding", None) or "utf-8"
    return io.TextIOWrapper(output, encoding, "backslashreplace", line_buffering=True, write_through=True)


def _occupy_closed_descriptors() -> None:
    """Let no file that is opened later have the number of a standard stream, into which libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
