"""One run a folder: a file that names the run that writes there, and keeps every other one out.

The run holds an advisory lock (``flock``) on the file, which the operating system lets go when the process
ends in whatever way: a run that was killed leaves the file, and the next one on this machine takes it over.
Where the lock of another machine cannot be seen, what stands in the file decides.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from mpi4py import MPI

from fe2.errors import InputError
from fe2.io.lock_holder import Holder, read_holder
from fe2.parallel import on_root

FILE = "run.lock"

_BEGINNING = 0.5
"""Seconds in which a run that has made the file says who it is."""

_MOST = 4096
"""Bytes that are read of the file."""

_HELD: dict[Path, _Held] = {}
"""What this process holds: within one process, runs come one after the other."""


class _Held:
    """The file of a lock that this process holds, with how many of its runs do."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor, self.count, self.process = path, descriptor, 0, os.getpid()


@contextmanager
def one_run(comm: MPI.Comm, *folders: Path) -> Iterator[None]:
    """Keep other runs out of these folders; collective.

    Raises:
        InputError: On all ranks: another run is there, the message says which.
    """
    lock = RunLock(comm, *folders)
    try:
        yield
    finally:
        lock.release()


class RunLock:
    """Keeps other runs out of some folders until it is released, forgotten, or its process ends."""

    def __init__(self, comm: MPI.Comm, *folders: Path) -> None:
        """Take the folders, which are made where they do not exist; collective.

        Raises:
            InputError: On all ranks: another run is there, or a folder cannot be written to.
        """
        paths: list[Path] = []
        self._release = weakref.finalize(self, _release, paths)
        on_root(comm, lambda: _take(folders, paths, Holder.this_process(comm.size)))

    def release(self) -> None:
        """Let other runs come, once."""
        self._release()


def _take(folders: tuple[Path, ...], taken: list[Path], here: Holder) -> None:
    for folder in folders:
        path = Path(os.path.abspath(folder)) / FILE
        if path not in _HELD:
            with _naming(folder):
                folder.mkdir(parents=True, exist_ok=True)
                _HELD[path] = _Held(path, _locked(path, here))
        _HELD[path].count += 1
        taken.append(path)


def _release(taken: list[Path]) -> None:
    while taken:
        held = _HELD[taken.pop()]
        held.count -= 1
        if not held.count and held.process == os.getpid():
            del _HELD[held.path]
            if _is(held.path, held.descriptor):
                held.path.unlink(missing_ok=True)
            os.close(held.descriptor)


def _locked(path: Path, here: Holder) -> int:
    """Descriptor of the file of a lock, which names this process."""
    while True:
        descriptor, made = _opened(path)
        free = False
        try:
            locks = _flock(descriptor, path)
            if _is(path, descriptor):
                _check_free(descriptor, path, here, made=made, locks=locks)
                free = True
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(asdict(here)).encode(), 0)
                os.fsync(descriptor)
                return descriptor
        except BaseException:
            if free:
                path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)  # another run has just ended, and its file with it


def _opened(path: Path) -> tuple[int, bool]:
    """Descriptor of the file, and whether it was made here."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags, 0o644), False


def _flock(descriptor: int, path: Path) -> bool:
    """Take the advisory lock; False where the file system knows none.

    Raises:
        InputError: Another process has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _refusal(path, _read(descriptor)) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise
        return False
    return True


def _check_free(descriptor: int, path: Path, here: Holder, *, made: bool, locks: bool) -> None:
    """Refuse a folder that another run holds, or may hold."""
    if made:
        return
    end = time.monotonic() + _BEGINNING
    while not (content := os.pread(descriptor, _MOST, 0)) and time.monotonic() < end:
        time.sleep(_BEGINNING / 10)
    if locks and not content:
        return  # its run was killed before it said who it is
    holder = _read(descriptor)
    if holder is None or not holder.is_gone(here, locks=locks):
        remote = f"; if that run is gone, as after a node has failed, remove {path}"
        raise _refusal(path, holder, remote)


def _refusal(path: Path, holder: Holder | None, addition: str = "") -> InputError:
    who = holder or "which one cannot be told"
    return InputError(
        f"{path.parent} is in use by another run ({who}): wait for it or end it, or choose another folder"
        f"{addition}"
    )


def _read(descriptor: int) -> Holder | None:
    try:
        return read_holder(json.loads(os.pread(descriptor, _MOST, 0)))
    except (ValueError, RecursionError):
        return None


def _is(path: Path, descriptor: int) -> bool:
    """True where this open file still has its name."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"results cannot be written to the folder {folder}: {error.strerror or error}"
        ) from error
