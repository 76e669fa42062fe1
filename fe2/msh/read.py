"""Reads a mesh file of any format that fe2 knows, by the ending of its name."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from fe2.errors import InputError
from fe2.msh.file import MeshFile
from fe2.msh.gmsh_file import parse_gmsh

_LARGEST = 1e100
"""Largest coordinate: the third power of differences has to be a number in double precision."""


def read_mesh_file(path: str | PathLike[str]) -> MeshFile:
    """Read a .msh file of gmsh, version 4.1 or 2.2, text or binary.

    Where it has no groups at all, the geometrical entities (surfaces, volumes) are, by their numbers.

    Raises:
        InputError: The file is missing, truncated or damaged; the message names the file and the reason.
    """
    path = fspath(path)
    try:
        file = parse_gmsh(path, _content(Path(path)))
        _check_points(file)
    except InputError as error:
        raise InputError(f"{path}: {_printable(str(error))}") from error
    if not file.names and not any(part.groups.any() for part in file.elements):
        file = replace(file, elements=tuple(replace(part, groups=part.entities) for part in file.elements))
    for part in file.elements:
        for number in np.unique(part.groups[part.groups != 0]).tolist():
            file.names.setdefault((part.dim, number), str(number))
    return file


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise InputError("the mesh cannot be read: it is no regular file")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"the mesh cannot be read: {reason}") from error


def _printable(text: str) -> str:
    """A message that repeats what a damaged file holds, fit for a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _check_points(file: MeshFile) -> None:
    wrong = ~(np.abs(file.points) < _LARGEST).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"node {file.numbers[row]} has the coordinates {file.points[row].tolist()}: finite numbers below "
            f"{_LARGEST:g} are needed"
        )
