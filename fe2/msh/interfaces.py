"""Interfaces that are not joined: nodes that are there twice, and nodes that hang on a side of an element.

Two meshes put side by side do not hold together where their nodes only coincide: the interface is a crack,
and nothing else shows it. A crack that is meant looks the same, so the user has to say so.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError, place
from fe2.msh.topology import Connectivity, outer_sides

_NEAR = 1e-3
"""Distance of two nodes, relative to the shortest edge at them, below which they coincide.

Nodes of a mesh that holds together are joined by edges, or farther apart than their edges are long: only
across a gap can they be as near as that."""

_ON_SIDE = 1e-4
"""Distance from a side, relative to its size, below which a node lies on it."""


def joined_nodes(mesh: Connectivity, points: Array) -> Ints:
    """The node that stands for each node of a mesh: the first of those that coincide with it, shape (n,).

    Args:
        mesh: The elements.
        points: Places of all nodes, shape (n, 3).
    """
    used = np.unique(mesh.nodes)
    masters = np.arange(len(points))
    reach = _NEAR * _shortest_edges(mesh, points)[used]
    distance, _ = cKDTree(points[used]).query(points[used], k=2)
    near = used[distance[:, 1] < reach]
    if len(near):
        reach = reach[distance[:, 1] < reach]
        found = cKDTree(points[near]).query_ball_point(points[near], reach)
        rows, columns = (
            np.repeat(np.arange(len(near)), list(map(len, found))),
            np.concatenate(found).astype(int),
        )
        _, group = connected_components(coo_array((np.ones(len(rows)), (rows, columns))), directed=False)
        _, first = np.unique(group, return_index=True)
        masters[near] = near[first][group]
    return masters


def coincident_nodes(masters: Ints) -> Mask:
    """Nodes that coincide with others, shape (n,)."""
    again = np.flatnonzero(masters != np.arange(len(masters)))
    return np.isin(np.arange(len(masters)), np.concatenate((again, masters[again])))


def refuse_coincident(mesh: Connectivity, points: Array, masters: Ints, *, matching: bool) -> None:
    """Refuse nodes that are there twice.

    Args:
        mesh: The elements.
        points: Places of all nodes, shape (n, 3).
        masters: What :func:`joined_nodes` found.
        matching: Whether most nodes of their interfaces coincide, so that joining them closes these.

    Raises:
        InputError: There are some; the message has their number, two of them by number, and their place.
    """
    again = np.flatnonzero(masters != np.arange(len(masters)))
    if not len(again):
        return
    apart = np.linalg.norm(points[again] - points[masters[again]], axis=1)
    one, two = mesh.numbers[[masters[again[0]], again[0]]].tolist()
    exactly = f", up to {apart.max():.2g} apart" if apart.max() > 0 else ""
    cure = (
        "merge = true joins them, merge = false says that a crack is meant; in gmsh, fragment the volumes "
        "before they are meshed"
        if matching
        else "Other nodes of this interface do not coincide, so that joining would leave it open: fragment "
        "the volumes before they are meshed (gmsh: fragment, Coherence); merge = false says that a crack "
        "is meant"
    )
    raise InputError(
        f"{len(again)} nodes coincide with others{exactly}, between {place(points[again].min(axis=0))} and "
        f"{place(points[again].max(axis=0))}, the nodes {one} and {two} at {place(points[again[0]])} among "
        f"them: the elements on both sides share no nodes and do not hold together. {cure}"
    )


def refuse_hanging(mesh: Connectivity, points: Array) -> None:
    """Refuse nodes that lie on a side of an element without belonging to it.

    Raises:
        InputError: There are some.
    """
    owners, sides = outer_sides(mesh)
    corners = points[sides]
    centres = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    outer = np.unique(sides)
    found = cKDTree(points[outer]).query_ball_point(centres, radius)
    side = np.repeat(np.arange(len(sides)), list(map(len, found)))
    node = outer[np.concatenate(found).astype(int)] if len(side) else outer[:0]
    foreign = (mesh.nodes[owners[side]] != node[:, None]).all(axis=1)
    side, node = side[foreign], node[foreign]
    with np.errstate(divide="ignore", invalid="ignore"):  # sides without an extent have no points
        on_side = _on_polygon(points[node], corners[side])
    if on_side.any():
        first = int(np.argmax(on_side))
        raise InputError(
            f"node {mesh.numbers[node[first]]} at {place(points[node[first]])} lies on a side of "
            f"{mesh.describe(int(owners[side[first]]))} without belonging to it "
            f"({len(np.unique(node[on_side]))} such nodes): the meshes on both sides do not fit together and "
            "do not hold together. Mesh both at once, in gmsh after fragmenting the volumes; merge = false "
            "says that a crack is meant"
        )


def refuse_cracked_faces(used: Array, points: Array, masters: Ints) -> None:
    """Refuse cracks that reach the box around the mesh: matching nodes of faces by place would close them.

    Args:
        used: Places of the nodes that elements use, shape (m, 3).
        points: Places of all nodes, shape (n, 3).
        masters: What :func:`joined_nodes` found.

    Raises:
        InputError: A node of a face is there twice.
    """
    again = points[masters != np.arange(len(masters))]
    lower, upper = used.min(axis=0), used.max(axis=0)
    near = _NEAR * (upper - lower)  # nothing in the direction normal to a plane mesh
    wrong = ((np.abs(again - lower) < near) | (np.abs(again - upper) < near)).any(axis=1)
    if wrong.any():
        raise InputError(
            f"a crack reaches the faces of the cell, at {place(again[np.argmax(wrong)])}: periodic "
            "conditions would close it there. Let it end inside of the cell, or choose boundary = "
            "linear or uniform_flux"
        )


def _shortest_edges(mesh: Connectivity, points: Array) -> Array:
    """Shortest distance of two vertices of the elements at each node, halved where edges have a middle."""
    corners = points[mesh.vertices]
    first, second = np.triu_indices(corners.shape[1], 1)
    shortest = np.full(len(corners), np.inf)
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        shortest = np.minimum(shortest, np.linalg.norm(corners[:, i] - corners[:, j], axis=1))
    at_nodes = np.full(len(points), np.inf)
    np.minimum.at(at_nodes, mesh.nodes, shortest[:, None] / mesh.order)
    return at_nodes


def _on_polygon(x: Array, corners: Array) -> Mask:
    """Whether points (k, 3) lie on segments, triangles or quadrilaterals with the corners (k, v, 3)."""
    if corners.shape[1] == 2:
        along = corners[:, 1] - corners[:, 0]
        share = np.einsum("ki,ki->k", x - corners[:, 0], along) / np.einsum("ki,ki->k", along, along)
        off = np.linalg.norm(x - corners[:, 0] - share[:, None] * along, axis=1)
        return (off < _ON_SIDE * np.linalg.norm(along, axis=1)) & (share > 0) & (share < 1)
    return np.any([_in_triangle(x, corners[:, three]) for three in triangles(corners)], axis=0)


def triangles(corners: Array) -> list[list[int]]:
    """Triangles that cover a side with the corners (k, v, 3).

    Of a quadrilateral these are all of three corners: their order is not known.
    """
    count = corners.shape[1]
    return [[0, 1, 2]] if count == 3 else [[j for j in range(count) if j != i] for i in range(count)]


def _in_triangle(x: Array, corners: Array) -> Mask:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    height = np.abs(np.einsum("ki,ki->k", x - corners[:, 0], normal)) / area
    return over_triangle(x, corners) & (height < _ON_SIDE * np.sqrt(area))


def over_triangle(x: Array, corners: Array) -> Mask:
    """Whether points (k, 3) lie over or under triangles with the corners (k, 3, 3)."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal, away = np.cross(a, b), x - corners[:, 0]
    square = np.einsum("ki,ki->k", normal, normal)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing lies over a triangle without an area
        s = np.einsum("ki,ki->k", np.cross(away, b), normal) / square
        t = np.einsum("ki,ki->k", np.cross(a, away), normal) / square
    return (s > -_ON_SIDE) & (t > -_ON_SIDE) & (s + t < 1 + _ON_SIDE)
