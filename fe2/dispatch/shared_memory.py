"""Memory that the processes of a node share: anonymous files, which vanish with the last process.

A file without a name (memfd) is opened by the others through the file system of processes. It is
limited by the machine's memory only, not by the size of ``/dev/shm``, needs no collective call
to be freed, and nothing of it is left behind by a run that is killed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Self

import numpy as np

from fe2.arrays import Ints


class SharedBlock:
    """A piece of memory of one process, mapped by it and by others.

    Attributes:
        place: Where the other processes of the node find it.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        """Map an open file of that size."""
        self._descriptor = descriptor
        self.place = f"/proc/{os.getpid()}/fd/{descriptor}"
        self.memory = mmap.mmap(descriptor, size)

    @classmethod
    def create(cls, size: int) -> Self:
        """New memory, filled with zeros; pages take memory when they are first written to."""
        descriptor = os.memfd_create("fe2", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        return cls(descriptor, size)

    @classmethod
    def open(cls, place: str, size: int) -> Self:
        """Memory of another process of this node."""
        return cls(os.open(place, os.O_RDWR | os.O_CLOEXEC), size)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def fetch_and_add(self, number: int) -> int:
        """Value of the counter of that number, which is then raised by one; atomic among processes."""
        counters = self.counters
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, number)
        try:
            value = int(counters[number])
            counters[number] = value + 1
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)
        return value

    @property
    def counters(self) -> Ints:
        """The memory as integers."""
        return np.frombuffer(self.memory, dtype=np.int64)
