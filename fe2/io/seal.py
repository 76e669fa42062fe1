"""A digest at the end of a file, of all that stands before it: a bit that flips is noticed, anywhere.

HDF5 does not mind bytes behind its own, and takes them away where it changes a file.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path

_MARK = b"fe2 sha256: "
_SIZE = len(_MARK) + hashlib.sha256().digest_size
_BLOCK = 2**20


def append_seal(file: io.FileIO) -> None:
    """Write the seal behind what stands in a file that can be read, too."""
    size = file.seek(0, os.SEEK_END)
    file.write(_MARK + _digest(file, size))


def seal_of(path: Path) -> str:
    """The seal of a file that was just written."""
    with path.open("rb") as file:
        file.seek(len(_MARK) - _SIZE, os.SEEK_END)
        return file.read().hex()


def check_regular(path: Path) -> None:
    """Refuse what is no regular file, without waiting for the other end of a pipe.

    Raises:
        OSError: It cannot be read.
        ValueError: It is a pipe, a device or a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
    finally:
        os.close(descriptor)


def checked_seal(path: Path) -> str:
    """The seal of a file, which is that of its content.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no regular file, or has no seal, or a wrong one.
    """
    check_regular(path)
    with open(path, "rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END) - _SIZE
        file.seek(max(size, 0))
        end = file.read(_SIZE)
        if size < 0 or end[: len(_MARK)] != _MARK:
            raise ValueError("it is cut short, was altered, or is of another version of fe2")
        if end[len(_MARK) :] != _digest(file, size):
            raise ValueError("it was altered after it had been written")
        return end[len(_MARK) :].hex()


def _digest(file: io.FileIO, size: int) -> bytes:
    """Digest of the first bytes of a file, which then stands behind them."""
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    file.seek(size)
    return digest.digest()
