"""Reads MEDIT's .mesh files, text: keywords with a number of entries and the entries, each with a reference.

The format: github.com/LoicMarechal/libMeshb, "The Gamma Mesh Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.msh.file import NO_GROUP, Elements, MeshFile
from fe2.msh.text_numbers import text_numbers, whole

_TYPES = {
    "Edges": ("line", 1, 2),
    "Triangles": ("triangle", 2, 3),
    "Quadrilaterals": ("quad", 2, 4),
    "Tetrahedra": ("tetra", 3, 4),
    "Pyramids": ("pyramid", 3, 5),
    "Prisms": ("wedge", 3, 6),
    "Hexahedra": ("hexahedron", 3, 8),
    "Hexaedra": ("hexahedron", 3, 8),
}
"""Type, dimension and number of nodes by keyword."""


def parse_medit(path: str, data: bytes) -> MeshFile:
    """What a .mesh file holds; references are the labels, and the reference 0 of sides is none.

    Args:
        path: Where it was read.
        data: Its content.

    Raises:
        InputError: The file is damaged, or no text file of MEDIT.
    """
    if not data.lstrip().startswith(b"MeshVersionFormatted"):
        raise InputError("not a .mesh file of MEDIT in text: it does not begin with MeshVersionFormatted")
    sections = dict(_sections(data))
    dim = int(np.append(whole("Dimension", sections.get("Dimension", np.zeros(0))), 0)[0])
    if dim not in (2, 3) or "Vertices" not in sections:
        raise InputError("Dimension 2 or 3 and Vertices are needed: the file is truncated or holds no mesh")
    vertices = _table("Vertices", sections["Vertices"], dim + 1)
    points = np.zeros((len(vertices), 3))
    points[:, :dim] = vertices[:, :dim]
    elements, first = [], 1
    for keyword, (type_, of_dim, width) in _TYPES.items():
        if keyword not in sections:
            continue
        table = whole(keyword, _table(keyword, sections[keyword], width + 1))
        number = np.arange(first, first + len(table))
        first += len(table)
        nodes, groups = table[:, :-1] - 1, table[:, -1]
        _check(keyword, nodes, len(points), groups)
        if of_dim < dim:
            groups = np.where(groups == 0, NO_GROUP, groups)
        if len(table):
            elements.append(Elements(type_, of_dim, nodes, groups, np.abs(groups), number))
    return MeshFile(path, points, np.arange(1, len(points) + 1), tuple(elements), {})


def _sections(data: bytes) -> Iterator[tuple[str, Array]]:
    """Keywords that are known, and the numbers behind each."""
    text = re.sub(rb"#[^\n]*", b"", data)
    keywords = list(re.finditer(rb"(?<!\S)[A-Za-z]\w*", text))
    seen = set()
    for keyword, following in zip(keywords, [*keywords[1:], None], strict=True):
        name = keyword[0].decode("ascii", "replace")
        if name.endswith(("P2", "Q2")):
            raise InputError(f"{name}: elements of second order are not read from .mesh files")
        if name in seen and name in _TYPES:
            raise InputError(f"{name} is there twice")
        seen.add(name)
        if name in ("Dimension", "Vertices", *_TYPES):
            end = len(text) if following is None else following.start()
            yield name, text_numbers(name, text[keyword.end() : end])


def _table(name: str, values: Array, width: int) -> Array:
    if len(values) == 0 or len(values) - 1 != values[0] * width:
        promised = f"{values[0]:g}" if len(values) else "no"
        raise InputError(f"{name} promises {promised} entries and does not hold them")
    return values[1:].reshape(-1, width)


def _check(keyword: str, nodes: Ints, count: int, groups: Ints) -> None:
    wrong = ((nodes < 0) | (nodes >= count)).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        used = (nodes[row] + 1).tolist()
        raise InputError(f"element {row + 1} of {keyword} has the nodes {used}, of {count} that there are")
    if (groups < 0).any():
        raise InputError(f"the reference {groups.min()} in {keyword} is negative")
