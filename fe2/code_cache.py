"""The folder of compiled code: the user's own, where nobody else can put anything, and with room in it.

What lies there is loaded into the process. It is ``fe2-UID`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``, so
that several users can share what stands above it, in a container for example.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import stat
import tempfile
from pathlib import Path

from fe2.errors import InputError

_ROOM = 2**20
"""Bytes that have to be free: the code of one form takes some hundred thousand."""

_CURE = "set XDG_CACHE_HOME to a folder that is yours and can be written to"


def cache_folder() -> Path:
    """Folder of compiled code for this machine's kind of processor, which is made where it does not exist.

    Raises:
        InputError: It cannot be made, or others could put code there.
    """
    folder = _root() / f"{platform.machine()}-{_processor()}"
    try:
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, exist_ok=True)
            _check_own(path)
    except OSError as error:
        raise InputError(
            f"the folder of compiled code, {folder}, cannot be made: {error.strerror or error}; {_CURE}"
        ) from error
    return folder


def check_cache() -> None:
    """See that code can be compiled into the folder, before long work.

    Raises:
        InputError: It cannot be made, it cannot be written to, its file system is full, or others could put
            code there.
    """
    check_room(cache_folder())


def check_room(folder: Path) -> None:
    """See that there is room in a folder of compiled code.

    Raises:
        InputError: It cannot be written to, or its file system is full.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        raise unusable(folder, error) from error


def unusable(folder: Path, error: OSError) -> InputError:
    """What to do where the folder of compiled code cannot be written to."""
    return InputError(
        f"compiled code cannot be written to {folder}: {error.strerror or error}; make room there, or {_CURE}"
    )


def _root() -> Path:
    try:
        above = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # neither HOME nor an entry in the list of users
        raise InputError(f"there is no home folder to keep compiled code in; {_CURE}") from error
    return above / f"fe2-{os.getuid()}"


def _check_own(path: Path) -> None:
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path} holds compiled code and is no folder; remove it, or {_CURE}")
    if found.st_uid != os.getuid():
        raise InputError(
            f"{path} belongs to the user {found.st_uid} and not to {os.getuid()}: code from there is not "
            f"loaded; {_CURE}"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            f"{path} can be written to by others: code from there is not loaded; remove it, or {_CURE}"
        )


@functools.cache
def _processor() -> str:
    """What tells a kind of processor from others."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return hashlib.sha256(platform.processor().encode()).hexdigest()[:12]
    wanted = ("flags", "Features", "model name", "CPU part")
    text = "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
