"""Refuses elements that do not fit together: what a wrong number of a node does to a mesh.

DOLFINx takes for granted that a node is a vertex or stands for one edge, face or element, and that elements
which share an edge share its node. Where that is not so, it writes past the end of its arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import basix
import numpy as np

from fe2.arrays import Ints
from fe2.errors import InputError


@dataclass(frozen=True, eq=False)
class Connectivity:
    """Elements of one type and what messages call them.

    Attributes:
        cell: Name of the reference cell.
        order: Polynomial order of the geometry, 1 or 2.
        nodes: Nodes of the elements in DOLFINx's order, shape (k, n).
        numbers: Number in the file of each node.
        describe: What messages call an element, by its row.
    """

    cell: str
    order: int
    nodes: Ints
    numbers: Ints
    describe: Callable[[int], str]

    @property
    def vertices(self) -> Ints:
        """Vertices of the elements, shape (k, v)."""
        return self.nodes[:, : len(basix.topology(basix.CellType[self.cell])[0])]


@dataclass(frozen=True, eq=False)
class _Entities:
    """Edges, faces or interiors of all elements: rows of elements, sorted vertices, own node, number."""

    owners: Ints
    vertices: Ints
    middle: Ints | None
    which: Ints


def check_topology(mesh: Connectivity) -> None:
    """Refuse nodes, elements and sides that no mesh can have.

    Raises:
        InputError: An element uses a node twice, or is listed twice; a node is a vertex of one element and
            a mid-side node of another, or in the middle of two edges; an edge has two nodes in its middle; a
            side belongs to three elements.
    """
    _check_own_nodes(mesh)
    dim = len(basix.topology(basix.CellType[mesh.cell])) - 1
    parts = [_entities(mesh, d) for d in range(1, dim + 1)]
    _check_listed_once(mesh, parts[dim - 1])
    _check_sides(mesh, parts[dim - 2])
    if mesh.order > 1:
        _check_middles(mesh, parts)


def outer_sides(mesh: Connectivity) -> tuple[Ints, Ints]:
    """Sides that belong to one element only: rows of the elements, and vertices of the sides, (m, v)."""
    sides = _entities(mesh, len(basix.topology(basix.CellType[mesh.cell])) - 2)
    alone = np.bincount(sides.which)[sides.which] == 1
    return sides.owners[alone], sides.vertices[alone]


def _entities(mesh: Connectivity, dim: int) -> _Entities:
    kind = basix.CellType[mesh.cell]
    element = basix.create_element(basix.ElementFamily.P, kind, mesh.order, basix.LagrangeVariant.equispaced)
    places, own = basix.topology(kind)[dim], element.entity_dofs[dim]
    vertices = np.sort(mesh.nodes[:, np.array(places)].reshape(-1, len(places[0])), axis=1)
    middle = mesh.nodes[:, np.array(own)[:, 0]].ravel() if own[0] else None
    owners = np.repeat(np.arange(len(mesh.nodes)), len(places))
    return _Entities(owners, vertices, middle, _numbered(vertices))


def _numbered(rows: Ints) -> Ints:
    """Number of each row among the different ones; quicker than numpy.unique."""
    order = np.lexsort(rows.T)
    new = np.ones(len(rows), np.int64)
    new[1:] = (np.diff(rows[order], axis=0) != 0).any(axis=1)
    found = np.empty(len(rows), np.int64)
    found[order] = np.cumsum(new) - 1
    return found


def _check_own_nodes(mesh: Connectivity) -> None:
    ordered = np.sort(mesh.nodes, axis=1)
    again = ordered[:, 1:] == ordered[:, :-1]
    if again.any():
        row, column = np.argwhere(again)[0]
        raise InputError(
            f"{mesh.describe(row)} uses node {mesh.numbers[ordered[row, column]]} twice "
            f"({again.any(axis=1).sum()} such elements)"
        )


def _check_listed_once(mesh: Connectivity, interiors: _Entities) -> None:
    first, second = _pair(interiors.which)
    if first >= 0:
        raise InputError(
            f"{mesh.describe(second)} has the same vertices as {mesh.describe(first)}: it is listed twice"
        )


def _check_sides(mesh: Connectivity, sides: _Entities) -> None:
    counts = np.bincount(sides.which)
    if counts.max(initial=0) > 2:
        rows = np.flatnonzero(sides.which == np.argmax(counts > 2))
        nodes = ", ".join(map(str, mesh.numbers[sides.vertices[rows[0]]].tolist()))
        owners = " and ".join(mesh.describe(owner) for owner in sides.owners[rows[:3]].tolist())
        raise InputError(
            f"the side between the nodes {nodes} belongs to {len(rows)} elements, {owners}: a side has two "
            "elements at most, and a node of one of these is wrong, or the elements overlap"
        )


def _check_middles(mesh: Connectivity, parts: list[_Entities]) -> None:
    """Each edge, face and interior has one node, and each node one of them or is a vertex."""
    owner = np.full(len(mesh.numbers), -1, np.int64)
    owner[mesh.vertices] = np.arange(len(mesh.nodes))[:, None]
    middles = [part for part in parts if part.middle is not None]
    for part in middles:
        _check_free(mesh, part, owner, "is a vertex of {} and a mid-side node of {}: it can be one of them")
    owner[:] = -1
    for part in middles:
        _check_edges_agree(mesh, part)
        _check_middle_is_of_one(mesh, part)
        _check_free(mesh, part, owner, "is on an edge or a face of {}, and inside of a face or of all of {}")
        owner[part.middle] = part.owners


def _check_free(mesh: Connectivity, part: _Entities, owner: Ints, text: str) -> None:
    """Nothing else has the nodes in the middle of these entities."""
    assert part.middle is not None
    taken = owner[part.middle] >= 0
    if taken.any():
        at = int(np.argmax(taken))
        node = part.middle[at]
        elements = mesh.describe(int(owner[node])), mesh.describe(part.owners[at])
        raise InputError(f"node {mesh.numbers[node]} {text.format(*elements)}")


def _check_edges_agree(mesh: Connectivity, part: _Entities) -> None:
    """Elements that share an edge or a face share its node."""
    assert part.middle is not None
    first, second = _differing(part.which, part.middle)
    if first >= 0:
        one, two = mesh.numbers[part.middle[[first, second]]].tolist()
        raise InputError(
            f"{mesh.describe(part.owners[first])} and {mesh.describe(part.owners[second])} share an edge "
            f"or a face, whose node is {one} in the first and {two} in the second: it has to be the same"
        )


def _check_middle_is_of_one(mesh: Connectivity, part: _Entities) -> None:
    """A node stands for one edge or face."""
    assert part.middle is not None
    first, second = _differing(part.middle, part.which)
    if first >= 0:
        raise InputError(
            f"node {mesh.numbers[part.middle[first]]} is the mid-side node of two edges or faces, one of "
            f"{mesh.describe(part.owners[first])} and one of {mesh.describe(part.owners[second])}"
        )


def _pair(keys: Ints) -> tuple[int, int]:
    """The first two rows with the same key, or -1 twice."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(np.diff(keys[order]) == 0)
    return (int(order[again[0]]), int(order[again[0] + 1])) if len(again) else (-1, -1)


def _differing(keys: Ints, values: Ints) -> tuple[int, int]:
    """Two rows with the same key and different values, or -1 twice."""
    order = np.lexsort((values, keys))
    wrong = np.flatnonzero((np.diff(keys[order]) == 0) & (np.diff(values[order]) != 0))
    return (int(order[wrong[0]]), int(order[wrong[0] + 1])) if len(wrong) else (-1, -1)
