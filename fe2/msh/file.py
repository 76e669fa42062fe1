"""What a mesh file holds, as arrays, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError

ENDINGS = (".msh", ".mesh", ".inp", ".vtk", ".vtu")
"""Endings of the names of mesh files: gmsh, MEDIT, Abaqus, VTK."""

NO_GROUP = -1
"""In the place of the number of a group, where an element has none."""


@dataclass(frozen=True, eq=False)
class Elements:
    """k elements of one type; one that belongs to several groups is there once for each of them.

    Attributes:
        type: meshio's name of their type, such as 'triangle6'.
        dim: Their dimension.
        nodes: Their nodes in VTK's order, as rows of the file's points, shape (k, n).
        groups: Number of the group of each from 0 on, or NO_GROUP, shape (k,).
        entities: Number of the geometrical entity (surface, volume) of each, shape (k,).
        numbers: Their numbers in the file, shape (k,).
    """

    type: str
    dim: int
    nodes: Ints
    groups: Ints
    entities: Ints
    numbers: Ints


@dataclass(frozen=True, eq=False)
class MeshFile:
    """What a mesh file holds.

    Attributes:
        path: Where it was read.
        points: Coordinates of the nodes, shape (n, 3).
        numbers: Numbers of the nodes in the file, shape (n,).
        elements: One entry for each type that occurs.
        names: Names of the groups by (dimension, number); a nameless group has its number for a name.
    """

    path: str
    points: Array
    numbers: Ints
    elements: tuple[Elements, ...]
    names: dict[tuple[int, int], str]


def rows_of(nodes: Ints, elements: Ints, numbers: Ints, where: str) -> Ints:
    """Rows of nodes that elements name by their numbers, of the shape of `nodes`.

    Args:
        nodes: Numbers of the nodes of each element, shape (k, n).
        elements: Numbers of the elements, shape (k,).
        numbers: Numbers of the nodes that there are, shape (m,).
        where: What defines them, for messages.

    Raises:
        InputError: A node is not defined, or two have the same number.
    """
    order = np.argsort(numbers, kind="stable")
    known = numbers[order]
    again = np.flatnonzero(np.diff(known) == 0)
    if len(again):
        raise InputError(f"node {known[again[0]]} is defined twice")
    at = np.minimum(np.searchsorted(known, nodes), max(len(known) - 1, 0))
    missing = known[at] != nodes if len(known) else np.ones_like(nodes, dtype=bool)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise InputError(
            f"element {elements[row]} uses node {nodes[row, column]}, which {where} does not define"
        )
    return order[at]
