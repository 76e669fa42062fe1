"""Reading TOML: missing files, files that are no text and slips in the syntax are named with their place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from fe2.case.problems import CaseFileError

_LARGEST = 10_000_000
"""Bytes of a case file, at most."""


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        CaseFileError: The file cannot be read, or is no TOML; the message names file and line.
    """
    try:
        with file.open("rb") as content:
            data = content.read(_LARGEST + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{file}: the file is no text in UTF-8 (byte {error.start})") from error
    except (OSError, ValueError) as error:
        raise CaseFileError(
            f"{file}: the file cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if len(data) > _LARGEST:
        raise CaseFileError(f"{file}: the file has more than {_LARGEST} bytes: it is no case file")
    return parse_toml(text, file)


def parse_toml(text: str, file: Path) -> dict[str, Any]:
    """The tables of a TOML text.

    Args:
        text: The text.
        file: The file it comes from, for messages.

    Raises:
        CaseFileError: The text is no TOML; the message names file and line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CaseFileError(f"{file}: not a TOML file: {error}") from error
    except (RecursionError, ValueError) as error:
        raise CaseFileError(f"{file}: the file cannot be understood: {error}") from error
