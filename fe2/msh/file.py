"""What a mesh file holds, as arrays, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Elements:
    """k elements of one type; one that belongs to several groups is there once for each of them.

    Attributes:
        type: meshio's name of their type, such as 'triangle6'.
        dim: Their dimension.
        nodes: Their nodes in VTK's order, as rows of the file's points, shape (k, n).
        groups: Number of the physical group of each, 0 where it has none, shape (k,).
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
    points: Floats
    numbers: Ints
    elements: tuple[Elements, ...]
    names: dict[tuple[int, int], str]
