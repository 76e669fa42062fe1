"""Shared objects that a user has registered: names ↦ paths, in a file of the user alone.

A case file names a library by such a name, so that no file that is handed on can load code.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

from fe2.errors import InputError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def registry_file() -> Path:
    """Where names are kept: fe2/umat.toml in the user's folder of configurations."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "fe2" / "umat.toml"


def registered() -> dict[str, Path]:
    """Registered names and their files.

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
    if wrong := next((name for name, path in found.items() if not isinstance(path, str)), None):
        raise InputError(f"{file}: {wrong} is no path; `fe2 umat NAME FILE` writes lines that are right")
    return {name: Path(path) for name, path in found.items()}


def register(name: str, library: Path) -> Path:
    """Register a shared object under a name, in the place of what had it before; its absolute path.

    Raises:
        InputError: The name is none, or there is no such file.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a library: letters, digits, - and _, with a letter first")
    path = library.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    file, lines = registry_file(), {**registered(), name: path}
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = "".join(f"{key} = {json.dumps(str(value))}\n" for key, value in sorted(lines.items()))
    temporary = file.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o600)
    temporary.replace(file)
    return path


def library_of(name: str, *, registered_only: bool = False) -> Path:
    """The file of a registered name, or a path itself.

    Args:
        name: The name, or a path.
        registered_only: Whether a path is refused.

    Raises:
        InputError: There is none; the message names those that are registered.
    """
    known = registered()
    if name in known:
        if not known[name].is_file():
            raise InputError(f"the library {name} was {known[name]}, which is not there any more")
        return known[name]
    path = Path(name).expanduser()
    if not registered_only and path.is_file():
        return path.resolve()
    listed = ", ".join(sorted(known)) or "none"
    raise InputError(
        f"the library {name!r} is not registered (registered are: {listed}); "
        "`fe2 umat NAME FILE` registers one"
    )


def _check_owner(file: Path) -> None:
    found = file.stat()
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
        raise InputError(f"{file} can be written by others than you: libraries that it names are not loaded")
