"""Shared objects that a user has registered: names ↦ files and their subroutine, in a file of the user alone.

A case file names a library by such a name, so that no file that is handed on can load code. Nor can it say
what of the library is called: the libraries that it depends on, that of C among them, have functions too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from fe2.errors import InputError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Library:
    """A registered shared object.

    Attributes:
        file: The file.
        symbol: Name of its subroutine.
    """

    file: Path
    symbol: str


def registry_file() -> Path:
    """Where names are kept: fe2/umat.toml in the user's folder of configurations."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "fe2" / "umat.toml"


def registered() -> dict[str, Library]:
    """Registered names and what they stand for.

    Raises:
        InputError: The file of names can be written by others, or is no such file.
    """
    file = registry_file()
    if not file.exists():
        return {}
    _check_owner(file)
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: no list of libraries: {error}") from error
    libraries = {}
    for name, entry in found.items():
        match entry:
            case {"file": str(path), "symbol": str(symbol)}:
                libraries[name] = Library(Path(path), symbol)
            case _:
                raise InputError(
                    f"{file}: {name} has no file and symbol: remove it, and register it anew, "
                    "`fe2 umat NAME FILE`"
                )
    return libraries


def register(name: str, library: Path, symbol: str = "umat") -> Path:
    """Register a shared object under a name, in the place of what had it before; its absolute path.

    Raises:
        InputError: The name is none, or there is no such file.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a library: letters, digits, - and _, with a letter first")
    path = library.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    file = registry_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may register at the same time
        entries = {**registered(), name: Library(path, symbol)}
        text = "".join(
            f"{key} = {{ file = {_quoted(str(entry.file))}, symbol = {_quoted(entry.symbol)} }}\n"
            for key, entry in sorted(entries.items())
        )
        temporary = file.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(file)
    return path


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def registered_library(name: str) -> Library:
    """What a registered name stands for.

    Raises:
        InputError: Nothing, or its file is not there; the message names those that are registered.
    """
    known = registered()
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise InputError(
            f"the library {name!r} is not registered (registered are: {listed}); "
            "`fe2 umat NAME FILE` registers one"
        )
    if not known[name].file.is_file():
        raise InputError(f"the library {name} was {known[name].file}, which is not there any more")
    return known[name]


def library_file(name: str) -> Path:
    """The file of a registered name, or a path itself.

    Raises:
        InputError: There is none; the message names those that are registered.
    """
    path = Path(name).expanduser()
    return path.resolve() if name not in registered() and path.is_file() else registered_library(name).file


def _check_owner(file: Path) -> None:
    found = file.stat()
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
        raise InputError(f"{file} can be written by others than you: libraries that it names are not loaded")
