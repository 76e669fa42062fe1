"""Free sides that face each other across a gap too narrow for a hole: interfaces whose nodes do not match.

Two meshes of one curved interface with different nodes overlap in some places and gape in others, by the
height of the arcs over the elements' sides. Neither coincident nodes nor nodes on sides need be there.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import basix
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fe2.arrays import Array, Ints, Mask
from fe2.errors import Fe2Warning, InputError, place
from fe2.msh.interfaces import coincident_nodes, over_triangle, triangles
from fe2.msh.topology import Connectivity, outer_sides

_NARROW = 0.5
"""Width of a gap, relative to the sides at it, below which it may be an interface that does not match."""

_TOUCHING = 0.02
"""Width below which it is one."""

_OPPOSING = -0.5
"""Cosine of the angle of the outward normals of a side and of a node that face each other."""

_INSIDE = 1e-3
"""Depth, relative to the side, from which on a node lies inside of an element."""


@dataclass(frozen=True, eq=False)
class Facing:
    """Nodes of free sides, each in front of a free side of another surface or behind it.

    Attributes:
        nodes: The nodes, shape (k,).
        elements: Rows of the elements with the sides, shape (k,).
        touching: Whether a node lies inside of the element, or nearly on the side, shape (k,).
        surface: Connected free surface of each node of the mesh, -1 where there is none, shape (n,).
    """

    nodes: Ints
    elements: Ints
    touching: Mask
    surface: Ints

    def of(self, chosen: Mask) -> Facing:
        """Some of the pairs."""
        return Facing(self.nodes[chosen], self.elements[chosen], self.touching[chosen], self.surface)

    def along_surfaces(self) -> Facing:
        """The pairs on surfaces most of whose nodes face others: no tips of notches."""
        sizes = np.bincount(self.surface[self.surface >= 0])
        facing = np.bincount(self.surface[np.unique(self.nodes)], minlength=len(sizes))
        return self.of((facing > 0.5 * sizes)[self.surface[self.nodes]])


def facing_sides(mesh: Connectivity, points: Array) -> Facing:
    """The free sides of a mesh that face each other within half of their size.

    Args:
        mesh: The elements, before nodes are joined.
        points: Places of all nodes, shape (n, 3).
    """
    owners, sides = outer_sides(mesh)
    centres, normals, radius = _planes(mesh, points, owners, sides)
    at_sides = csr_array(
        (np.ones(sides.size), (sides.ravel(), np.repeat(np.arange(len(sides)), sides.shape[1]))),
        shape=(len(points), len(sides)),
    )
    node, side = _near(points, np.unique(sides), centres, radius)
    foreign = (mesh.nodes[owners[side]] != node[:, None]).all(axis=1)
    opposing = np.einsum("ki,ki->k", _unit(at_sides @ normals)[node], normals[side]) < _OPPOSING
    node, side = node[foreign & opposing], side[foreign & opposing]
    size = np.full(len(points), np.inf)
    np.minimum.at(size, sides, 2 * radius[:, None])
    size = np.minimum(size[node], 2 * radius[side])
    height = np.einsum("ki,ki->k", points[node] - centres[side], normals[side])
    over = _over(points[node], points[sides[side]])
    inside = _inside(mesh, points, owners[side], points[node], _INSIDE * size)
    gap = over & (height > -_INSIDE * size) & (height < _NARROW * size)
    touching = inside | (gap & (height < _TOUCHING * size))
    neighbours = csr_array(at_sides.T @ at_sides)
    apart = at_sides[node].multiply(neighbours[side]).sum(axis=1) == 0
    kept = (inside | gap) & apart
    _, label = connected_components(at_sides @ at_sides.T, directed=False)
    surface = np.where(np.isin(np.arange(len(points)), sides), label, -1)
    return Facing(node[kept], owners[side[kept]], touching[kept], surface)


def refuse_mismatch(mesh: Connectivity, points: Array, facing: Facing, masters: Ints) -> None:
    """Refuse interfaces whose nodes do not match, and warn of gaps that may be some.

    Args:
        mesh: The elements.
        points: Places of all nodes, shape (n, 3).
        facing: What faces each other in the mesh.
        masters: What :func:`fe2.msh.interfaces.joined_nodes` found, where nodes are joined.

    Raises:
        InputError: Nodes lie inside of elements of the other side, or nearly on their sides.

    Warns:
        Fe2Warning: Most of a surface faces another across a gap below half of the size of its elements.
    """
    joined, along = coincident_nodes(masters), facing.along_surfaces()
    open_ = facing.of(~joined[facing.nodes])
    touching = open_.of(open_.touching)
    narrow = along.of(~joined[along.nodes])
    found = touching if len(touching.nodes) else narrow
    if not len(found.nodes):
        return
    count = len(np.unique(np.concatenate((touching.nodes, narrow.nodes))))
    together = len(np.unique(masters[facing.nodes[joined[facing.nodes]]]))
    beside = f", beside {together} places that were joined," if together else ""
    text = (
        f"the interface does not match: {count} nodes of free sides{beside} face elements of another free "
        f"side within half of its size without a common node, node {mesh.numbers[found.nodes[0]]} at "
        f"{place(points[found.nodes[0]])} and {mesh.describe(int(found.elements[0]))} among them: the "
        "two sides do not hold together there. Mesh both at once, in gmsh after fragmenting the volumes "
        "(fragment, Coherence)"
    )
    if len(touching.nodes):
        raise InputError(f"{text}; merge = false says that a crack is meant")
    warnings.warn(f"{text}; a slot that is meant is left as it is", Fe2Warning, stacklevel=2)


def _planes(mesh: Connectivity, points: Array, owners: Ints, sides: Ints) -> tuple[Array, Array, Array]:
    """Centres, outward unit normals, and radii of sides."""
    corners = points[sides]
    centres = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1, initial=0.0)
    outward = centres - points[mesh.vertices[owners]].mean(axis=1)
    first = corners[:, 1] - corners[:, 0]
    if sides.shape[1] == 2:
        along = _unit(first)
        normal = outward - np.einsum("ki,ki->k", outward, along)[:, None] * along
    else:
        normal = np.cross(first, corners[:, 2] - corners[:, 0])
        normal *= np.sign(np.einsum("ki,ki->k", normal, outward))[:, None]
    return centres, _unit(normal), radius


def _near(points: Array, nodes: Ints, centres: Array, radius: Array) -> tuple[Ints, Ints]:
    """Pairs of a node and a side whose distance is within the reach of a gap."""
    reach = radius * np.sqrt(1 + (2 * _NARROW) ** 2)
    found = cKDTree(points[nodes]).query_ball_point(centres, reach)
    side = np.repeat(np.arange(len(centres)), list(map(len, found)))
    return (nodes[np.concatenate(found).astype(int)] if len(side) else nodes[:0]), side


def _over(x: Array, corners: Array) -> Mask:
    """Whether points (k, 3) lie over sides with the corners (k, v, 3)."""
    if corners.shape[1] > 2:
        found: Mask = np.any([over_triangle(x, corners[:, three]) for three in triangles(corners)], axis=0)
        return found
    along = corners[:, 1] - corners[:, 0]
    share = np.einsum("ki,ki->k", x - corners.mean(axis=1), _unit(along))
    return np.abs(share) <= 0.5 * np.linalg.norm(along, axis=1) * (1 + 1e-6)


def _inside(mesh: Connectivity, points: Array, rows: Ints, x: Array, depth: Array) -> Mask:
    """Whether points (k, 3) lie inside of the elements of these rows, `depth` from each of their sides."""
    topology = basix.topology(basix.CellType[mesh.cell])
    result = np.ones(len(x), dtype=bool)
    for local in topology[len(topology) - 2]:
        centres, normals, _ = _planes(mesh, points, rows, mesh.vertices[rows][:, local])
        result &= np.einsum("ki,ki->k", x - centres, normals) < -depth
    return result


def _unit(vectors: Array) -> Array:
    """Vectors of length one; zero where they have none."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
