"""Reading TOML: missing files, files that are no text and slips in the syntax are named with their place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from fe2.case.problems import CaseFileError


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        CaseFileError: The file cannot be read, or is no TOML; the message names file and line.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CaseFileError(f"{file}: the file cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{file}: the file is no text in UTF-8 (byte {error.start})") from error
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
