"""A plane periodic mesh as layers of tetrahedra along the third axis.

Each triangle becomes a prism in every layer and each prism three tetrahedra, whose diagonals rise from the
lesser to the greater of the triangle's vertices (Dompierre et al. 1999). Vertices that are periodic images
of each other count as one, so that the diagonals of opposite faces agree. Curved triangles of second order
are reproduced exactly: the volume of a phase is its area times the depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import gmsh
import numpy as np
import numpy.typing as npt

from .gmsh_model import add_group, element_nodes, mesh_nodes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Vertices (of the sorted triangle, level) of the three tetrahedra of a prism.
TETRAHEDRA = (
    ((0, 0), (1, 0), (2, 0), (2, 1)),
    ((0, 0), (1, 0), (1, 1), (2, 1)),
    ((0, 0), (0, 1), (1, 1), (2, 1)),
)
TRIANGLE_EDGES = ((0, 1), (1, 2), (2, 0))
TETRAHEDRON_EDGES = ((0, 1), (1, 2), (0, 2), (0, 3), (2, 3), (1, 3))  # gmsh's order


def extrude(depth: float, layers: int, period: Sequence[float]) -> None:
    """Replace the plane mesh of the current model by its extrusion from 0 to `depth`.

    Args:
        depth: Length along the third axis.
        layers: Number of layers of elements.
        period: Edge lengths of the plane cell, whose opposite sides carry the same nodes.
    """
    tags, plane = mesh_nodes()
    groups = []
    for dim, group in gmsh.model.getPhysicalGroups(2):
        surfaces = gmsh.model.getEntitiesForPhysicalGroup(dim, group)
        parts = [element_nodes(tags, 2, surface)[1] for surface in surfaces]
        groups.append((gmsh.model.getPhysicalName(dim, group), np.concatenate(parts)))
    order = 1 if groups[0][1].shape[1] == 3 else 2
    numbers = image_numbers(plane[:, :2], period)
    levels = layers * order + 1
    nodes = np.tile(plane, (levels, 1))
    nodes[:, 2] = np.repeat(depth * np.arange(levels) / (levels - 1), len(plane))
    gmsh.model.removePhysicalGroups()
    gmsh.model.mesh.clear()
    gmsh.model.removeEntities(gmsh.model.getEntities(2), recursive=True)
    for number, (name, triangles) in enumerate(groups, start=1):
        gmsh.model.addDiscreteEntity(3, number)
        if number == 1:
            gmsh.model.mesh.addNodes(3, number, np.arange(1, len(nodes) + 1), nodes.ravel())
        elements = stacked(tetrahedra(triangles, numbers, order, len(plane)), layers, order * len(plane))
        gmsh.model.mesh.addElementsByType(number, 4 if order == 1 else 11, [], (elements + 1).ravel())
        add_group(3, [number], name)


def image_numbers(nodes: FloatArray, period: Sequence[float]) -> IntArray:
    """A number for each node, which its periodic images share."""
    wrapped = np.where(nodes == np.array(period), 0.0, nodes)
    _, numbers = np.unique(wrapped, axis=0, return_inverse=True)
    return numbers.reshape(-1)


def tetrahedra(triangles: IntArray, numbers: IntArray, order: int, count: int) -> IntArray:
    """Nodes of the tetrahedra of the lowest layer, where node i of level k is i + k `count`."""
    between = np.empty((len(triangles), 3, 3), dtype=np.int64)  # the node between two vertices
    for vertex in range(3):
        between[:, vertex, vertex] = triangles[:, vertex]
    if order == 2:
        for middle, (low, high) in enumerate(TRIANGLE_EDGES, start=3):
            between[:, low, high] = between[:, high, low] = triangles[:, middle]
    ranks = np.argsort(numbers[triangles[:, :3]], axis=1)
    rows = np.arange(len(triangles))[:, None, None]
    between = between[rows, ranks[:, :, None], ranks[:, None, :]]
    even = np.linalg.det(np.eye(3)[ranks]) > 0.0
    blocks = []
    for number, corners in enumerate(TETRAHEDRA):
        for selected, right in ((even, number != 1), (~even, number == 1)):
            ends = corners if right else (corners[1], corners[0], *corners[2:])
            pairs = [(end, end) for end in ends]
            pairs += [(ends[i], ends[j]) for i, j in TETRAHEDRON_EDGES] if order == 2 else []
            columns = [
                between[selected, i, j] + (k + level) * order // 2 * count for (i, k), (j, level) in pairs
            ]
            blocks.append(np.column_stack(columns))
    return np.concatenate(blocks)


def stacked(elements: IntArray, layers: int, shift: int) -> IntArray:
    """The elements of one layer in all layers, whose nodes are `shift` apart."""
    return (elements[None] + shift * np.arange(layers)[:, None, None]).reshape(-1, elements.shape[1])
