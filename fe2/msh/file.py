"""Reads gmsh's .msh files with meshio, which unlike gmsh's own module needs no system libraries.

meshio lets pass that a section does not end, keeps one of two groups that have the same name in different
dimensions, and speaks of its own arrays where it fails. So the sections are looked at here first.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ADVICE = "Write it anew with gmsh: Mesh.MshFileVersion = 4.1 (or 2.2) and Mesh.SaveParametric = 0"


@dataclass(frozen=True, eq=False)
class Elements:
    """k elements of one type; one that belongs to several groups is there once for each of them.

    Attributes:
        type: meshio's name of their type, such as 'triangle6'.
        dim: Their dimension.
        nodes: Their nodes in VTK's order, as rows of the file's points, shape (k, n).
        groups: Number of the physical group of each, 0 where it has none, shape (k,).
        entities: Number of the geometrical entity (surface, volume) of each, shape (k,).
        numbers: Their places among all elements of the file, from 1 on, shape (k,). gmsh numbers its
            elements in the same way.
    """

    type: str
    dim: int
    nodes: Ints
    groups: Ints
    entities: Ints
    numbers: Ints


@dataclass(frozen=True, eq=False)
class MshFile:
    """What a .msh file holds.

    Attributes:
        path: Where it was read.
        points: Coordinates of the nodes, shape (n, 3).
        elements: One entry for each type that occurs.
        names: Names of the physical groups by (dimension, number); a nameless group has its number for
            a name.
    """

    path: str
    points: Floats
    elements: tuple[Elements, ...]
    names: dict[tuple[int, int], str]


def read_msh(path: str | PathLike[str]) -> MshFile:
    """Read a .msh file of version 4.1 or 2.2, text or binary.

    Raises:
        InputError: The file is missing, truncated, or meshio cannot read it; the message names the file
            and the reason.
    """
    path = fspath(path)
    try:
        sections = _sections(Path(path).read_bytes())
        mesh = _read_with_meshio(path)
        elements = tuple(_elements(mesh))
    except OSError as error:
        raise InputError(f"{path}: the mesh cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    names = _group_names(sections.get("PhysicalNames", b""))
    for part in elements:
        for number in np.unique(part.groups[part.groups != 0]).tolist():
            names.setdefault((part.dim, number), str(number))
    return MshFile(path, mesh.points, elements, names)


def _sections(data: bytes) -> dict[str, bytes]:
    """Names and contents of the sections `$Name ... $EndName`."""
    if not data.startswith(b"$MeshFormat"):
        raise InputError("not a .msh file: it does not begin with $MeshFormat")
    sections, at = {}, 0
    while at >= 0:
        name = data[at + 1 : at + 80].partition(b"\n")[0].strip().decode("ascii", "replace")
        end = data.find(f"$End{name}".encode(), at)
        if end < 0:
            raise InputError(f"section ${name} has no $End{name}: the file is truncated")
        sections[name] = data[at + 1 + len(name) : end]
        at = data.find(b"$", end + 4 + len(name))
    for required in ("MeshFormat", "Nodes", "Elements"):
        if required not in sections:
            raise InputError(f"section ${required} is missing: the file is truncated or holds no mesh")
    version = sections["MeshFormat"].strip().partition(b" ")[0].decode("ascii", "replace")
    if version not in ("4.1", "2.2"):
        raise InputError(f"version {version} of the format is not read. {_ADVICE}")
    return sections


def _group_names(section: bytes) -> dict[tuple[int, int], str]:
    """Names of the physical groups by (dimension, number), from lines that meshio could read."""
    lines = [line.split(maxsplit=2) for line in section.decode().splitlines()]
    return {(int(row[0]), int(row[1])): row[2].strip().strip('"') for row in lines if len(row) == 3}


def _read_with_meshio(path: str) -> Any:
    """What meshio reads; what it raises or prints becomes an error."""
    import meshio  # slow, and only those who read a mesh need it

    console = io.StringIO()
    try:
        # meshio.read() would try other formats of this suffix too, print, and end the program.
        with redirect_stderr(console), warnings.catch_warnings():
            warnings.filterwarnings("error", "string or file could not be read", DeprecationWarning)
            mesh = meshio.gmsh.read(path)
    except Exception as error:  # a damaged file may raise any
        if "'gmsh:physical'" in str(error):
            raise InputError(
                "some elements belong to a physical group and others to none, which meshio cannot read. In "
                "gmsh, give every element a group, or set Mesh.SaveAll = 0 to leave the others out"
            ) from error
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise InputError(f"meshio cannot read it: {reason}. {_ADVICE}") from error
    printed = " ".join(console.getvalue().split())
    if printed and "tag data" not in printed:  # tags of partitions, which nothing here needs
        raise InputError(f"meshio cannot read it: {printed}. {_ADVICE}")
    finite = np.isfinite(mesh.points).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(f"node {row + 1} has the coordinates {mesh.points[row].tolist()}")
    return mesh


def _elements(mesh: Any) -> Iterator[Elements]:
    """All elements by type; `mesh` is given their numbers."""
    ends = np.cumsum([len(block.data) for block in mesh.cells])
    mesh.cell_data["number"] = np.split(np.arange(1, 1 + sum(map(len, mesh.cells))), ends[:-1])
    dims = {block.type: block.dim for block in mesh.cells}
    data, sets = mesh.cell_data_dict, mesh.cell_sets_dict
    for type_, nodes in mesh.cells_dict.items():
        numbers = data["number"][type_]
        undefined = (nodes < 0).any(axis=1)
        if undefined.any():
            number = numbers[np.argmax(undefined)]
            raise InputError(f"element {number} uses a node that $Nodes does not define")
        none = np.zeros(len(nodes), np.int64)
        entities = data.get("gmsh:geometrical", {}).get(type_, none)
        groups = np.abs(data.get("gmsh:physical", {}).get(type_, none))  # negative: reversed orientation
        # Version 2.2 lists an element once for each group; of 4.1 meshio gives the first, and sets by name.
        rows, members = [np.arange(len(nodes))], [groups]
        for name, (number, _) in mesh.field_data.items():
            more = sets.get(name, {}).get(type_, rows[0][:0])
            rows.append(more[groups[more] != number].astype(np.int64))
            members.append(np.full(len(rows[-1]), number))
        row, group = np.concatenate(rows), np.concatenate(members)
        yield Elements(type_, dims[type_], nodes[row].astype(np.int64), group, entities[row], numbers[row])
