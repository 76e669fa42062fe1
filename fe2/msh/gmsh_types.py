"""gmsh's types of elements, and rows of elements as its files list them."""

from __future__ import annotations

from typing import NamedTuple

from fe2.arrays import Ints
from fe2.errors import InputError
from fe2.msh.gmsh_sections import ADVICE


class Type(NamedTuple):
    """A type of elements: meshio's name, dimension, number of nodes."""

    name: str
    dim: int
    nodes: int


TYPES = {
    1: Type("line", 1, 2),
    2: Type("triangle", 2, 3),
    3: Type("quad", 2, 4),
    4: Type("tetra", 3, 4),
    5: Type("hexahedron", 3, 8),
    6: Type("wedge", 3, 6),
    7: Type("pyramid", 3, 5),
    8: Type("line3", 1, 3),
    9: Type("triangle6", 2, 6),
    10: Type("quad9", 2, 9),
    11: Type("tetra10", 3, 10),
    12: Type("hexahedron27", 3, 27),
    13: Type("wedge18", 3, 18),
    14: Type("pyramid14", 3, 14),
    15: Type("vertex", 0, 1),
    16: Type("quad8", 2, 8),
    17: Type("hexahedron20", 3, 20),
    18: Type("wedge15", 3, 15),
    19: Type("pyramid13", 3, 13),
    21: Type("triangle10", 2, 10),
    23: Type("triangle15", 2, 15),
    26: Type("line4", 1, 4),
    27: Type("line5", 1, 5),
    29: Type("tetra20", 3, 20),
    30: Type("tetra35", 3, 35),
    36: Type("quad16", 2, 16),
    37: Type("quad25", 2, 25),
    92: Type("hexahedron64", 3, 64),
    93: Type("hexahedron125", 3, 125),
}
"""Types by gmsh's numbers."""

VTK_ORDER = {
    "tetra10": [0, 1, 2, 3, 4, 5, 6, 7, 9, 8],
    "hexahedron27": [
        *[0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 9, 16, 18, 19, 17, 10, 12, 14, 15],
        *[22, 23, 21, 24, 20, 25, 26],
    ],
}
"""Places, in gmsh's order, of an element's nodes in VTK's order, where they differ."""


class Rows(NamedTuple):
    """Elements of one type: numbers, groups and entities of shape (k,), numbers of their nodes (k, n)."""

    type: int
    numbers: Ints
    groups: Ints
    entities: Ints
    nodes: Ints


def type_of(number: int) -> Type:
    """A type by gmsh's number.

    Raises:
        InputError: There is no such type.
    """
    if number not in TYPES:
        raise InputError(f"elements of gmsh's type {number} are not known. {ADVICE}")
    return TYPES[number]
