"""Reads a mesh file of any format that fe2 knows, by the ending of its name."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

import numpy as np

from fe2.errors import InputError
from fe2.msh.abaqus_file import parse_abaqus
from fe2.msh.file import NO_GROUP, MeshFile
from fe2.msh.gmsh_file import parse_gmsh
from fe2.msh.medit_file import parse_medit
from fe2.msh.vtk_file import parse_vtk

_LARGEST = 1e100
"""Largest coordinate: the third power of differences has to be a number in double precision."""

_MOST = 2**31
"""Bound of the numbers of groups, which DOLFINx holds in four bytes."""


def read_mesh_file(path: str | PathLike[str], labels: str | None = None) -> MeshFile:
    """Read a mesh: gmsh's .msh, MEDIT's .mesh, Abaqus's .inp, VTK's .vtk and .vtu.

    Args:
        path: The file.
        labels: Name of the cell data of a .vtk or .vtu file that are the labels of its elements.

    Raises:
        InputError: The file is missing, truncated or damaged; the message names the file and the reason.
    """
    path = fspath(path)
    try:
        file = _parse(path, _content(Path(path)), labels)
        _check_points(file)
    except InputError as error:
        raise InputError(f"{path}: {_printable(str(error))}") from error
    for part in file.elements:
        for number in np.unique(part.groups[part.groups != NO_GROUP]).tolist():
            if number >= _MOST:
                raise InputError(f"{path}: the group or label {number} is too large; the bound is 2^31")
            file.names.setdefault((part.dim, number), str(number))
    return file


def _parse(path: str, data: bytes, labels: str | None) -> MeshFile:
    ending = Path(path).suffix.lower()
    if ending in (".vtk", ".vtu"):
        return parse_vtk(path, data, labels)
    if labels is not None:
        raise InputError(f"labels = {labels!r} names cell data of .vtk and .vtu files; {ending} has none")
    if ending == ".mesh":
        return parse_medit(path, data)
    if ending == ".inp":
        return parse_abaqus(path, data)
    return parse_gmsh(path, data)


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
