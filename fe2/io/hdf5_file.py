"""HDF5 files that are there completely or not at all, and whose errors can be survived.

HDF5 answers a full disk with a segmentation fault when it closes the file. Here it never learns of it:
the first error is kept, what follows is dropped, and the error is raised when the file is closed.

Behind what HDF5 has written stands a seal, see :mod:`fe2.io.seal`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fe2.errors import InputError
from fe2.io.seal import append_seal, check_regular, checked_seal
from fe2.io.vtu import naming

_CHUNK = 2**20
"""Bytes of a piece that has a checksum of its own."""


class _KeepsError(io.FileIO):
    """A file that keeps its first error instead of raising it."""

    error: OSError | None = None

    def write(self, data: object) -> int:
        """Write all of the data, or keep the error."""
        left = memoryview(data).cast("B")  # type: ignore[arg-type]  # HDF5 hands over a buffer
        size = len(left)
        while self.error is None and len(left):
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def written_whole(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to be written, which has its name when it is complete and on the disk.

    Raises:
        Fe2Error: The file could not be written; what stood under its name is untouched.
    """
    unfinished = path.with_name(path.name + ".part")
    with naming(path):
        try:
            with _KeepsError(unfinished, "w+") as file:
                with h5py.File(file, "w") as content:
                    yield content
                append_seal(file)
                if file.error is not None:
                    raise file.error
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            sync_folder(path.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


@contextmanager
def opened(path: Path, what: str, *, sealed: bool = False, seal: str | None = None) -> Iterator[h5py.File]:
    """An HDF5 file to be read.

    Args:
        path: The file.
        what: What the file is, for messages, e.g. "a part of a checkpoint".
        sealed: Refuse it where it is not as :func:`written_whole` left it.
        seal: Its seal, where that is known.

    Raises:
        InputError: It is missing, cut short, altered, or something else.
    """
    try:
        if sealed:
            found = checked_seal(path)
            if seal is not None and found != seal:
                raise ValueError("it is of another checkpoint")
        else:
            check_regular(path)
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as {what}: {error}") from error


def put(group: h5py.Group, name: str, values: npt.NDArray[np.generic]) -> None:
    """Store an array whose damage is found when it is read."""
    if not values.size:
        group.create_dataset(name, data=values)
        return
    rows = max(1, _CHUNK // values[:1].nbytes)
    group.create_dataset(
        name, data=values, chunks=(min(rows, len(values)), *values.shape[1:]), fletcher32=True
    )


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
