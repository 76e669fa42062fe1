"""Periodic rectangular cells in gmsh: pairing of opposite faces and nodes that match to round-off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from .extrusion import extrude
from .gmsh_model import (
    element_nodes,
    faces_in_plane,
    generate,
    gmsh_model,
    inversion_error,
    inverted_elements,
    mesh_nodes,
    move_nodes,
    write_model,
)
from .size_field import SizeField

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

GEOMETRIC_TOLERANCE = 1e-6  # relative to the cell; the geometry kernel is exact to about 1e-7
ATTEMPTS = 5  # meshes made before inverted or too few elements are an error
REDUCTION = 0.8  # of the element size from one attempt to the next
FEWEST = 3  # elements between opposite faces, or neighbours across the period are the same


def write_periodic_cell(
    path: Path,
    build: Callable[[], None],
    period: Sequence[float],
    *,
    size: float,
    order: int,
    binary: bool,
    size_field: SizeField | None = None,
    adjust: Callable[[IntArray, FloatArray], FloatArray] | None = None,
    layers: tuple[float, int] | None = None,
) -> Path:
    """Mesh a cell from 0 to `period` with matching faces and write it.

    Where curved elements come out inverted, the mesh is made again with smaller elements, above all there;
    from the geometry on, for gmsh's lists of periodic nodes do not survive the removal of a mesh. So it is
    where fewer than three elements lie between opposite faces.

    Args:
        path: File to write.
        build: Adds geometry and physical groups, with the longest edge as unit, to an empty gmsh model.
        period: Edge lengths of the cell.
        size: Greatest element size.
        order: Polynomial order of the geometry.
        binary: Whether the file is binary.
        size_field: Where elements are to be smaller, in units of the longest edge; refined where inverted.
        adjust: Moves nodes, given their tags and coordinates in units of the longest edge.
        layers: Depth along the third axis, and number of layers, of a plane mesh that is extruded.

    Returns:
        The path.

    Raises:
        RuntimeError: Opposite faces differ, elements stay inverted, or fewer than three lie along an axis.
    """
    dim, scale = len(period), max(period)
    unit = [length / scale for length in period]
    if size_field is None:
        size_field = SizeField(np.array(unit), np.empty((0, dim)), np.empty(0))
    for attempt in range(ATTEMPTS):
        with gmsh_model(path.stem):
            build()
            gmsh.model.mesh.setSizeCallback(size_field)
            for axis in range(dim):
                set_periodic_faces(axis, unit)
            generate(dim, REDUCTION**attempt * size / scale, order)
            tags, before = mesh_nodes()
            nodes = matched_nodes(before, unit)
            if adjust is not None:
                nodes = matched_nodes(adjust(tags, nodes), unit)
            move_nodes(tags, before, nodes)
            positions, sizes = inverted_elements(dim)
            fewest = min(elements_across(tags, nodes, unit))
            if len(positions) == 0 and fewest >= FEWEST:
                if layers is not None:
                    extrude(layers[0] / scale, layers[1], unit)
                return write_model(path, binary, scale)
        size_field.refine(positions, sizes / 2.0)
    if len(positions) > 0:
        raise inversion_error(positions * scale)
    raise RuntimeError(f"only {fewest} elements between opposite faces of the cell: choose a smaller size")


def set_periodic_faces(axis: int, period: Sequence[float]) -> None:
    """Make every face on the far side of an axis a copy of its image on the near side."""
    shift = np.zeros(3)
    shift[axis] = period[axis]
    dim, margin = len(period), GEOMETRIC_TOLERANCE * max(period)
    near, far = (faces_in_plane(dim, axis, plane, margin) for plane in (0.0, period[axis]))
    signatures = cKDTree([face_signature(dim, tag) for tag in near])
    targets = np.array([face_signature(dim, tag) for tag in far]) - np.tile(shift, 3)
    distances, partners = signatures.query(targets)
    if sorted(partners) != list(range(len(near))) or max(distances) > 10.0 * margin:
        raise RuntimeError(f"the faces of the cell across axis {axis + 1} are no images of each other")
    affine = np.eye(4)
    affine[:3, 3] = shift
    sources = [near[partner] for partner in partners]
    gmsh.model.mesh.setPeriodic(dim - 1, far, sources, affine.ravel().tolist())


def face_signature(dim: int, tag: int) -> FloatArray:
    """Nine coordinates that tell the faces in a plane apart: bounding box and mean of the corners."""
    corners = gmsh.model.getBoundary([(dim - 1, tag)], oriented=False, recursive=True)
    centre = np.mean([gmsh.model.getValue(0, corner, []) for _, corner in corners], axis=0)
    return np.concatenate([gmsh.model.getBoundingBox(dim - 1, tag), centre])


def matched_nodes(original: FloatArray, period: Sequence[float]) -> FloatArray:
    """Nodes with those of opposite faces, equal to the kernel's tolerance, on exact images of each other."""
    nodes = original.copy()
    margin = GEOMETRIC_TOLERANCE * max(period)
    sides = []
    for axis, length in enumerate(period):
        near, far = (np.flatnonzero(np.abs(original[:, axis] - plane) < margin) for plane in (0.0, length))
        nodes[near, axis], nodes[far, axis] = 0.0, length
        sides.append((near, far))
    for axis, (near, far) in enumerate(sides):
        across = [k for k in range(3) if k != axis]
        distance, partner = cKDTree(nodes[np.ix_(near, across)]).query(nodes[np.ix_(far, across)])
        if len(near) != len(far) or len(set(partner)) != len(near) or max(distance) > margin:
            raise RuntimeError(f"the nodes of the cell's faces across axis {axis + 1} do not match")
        nodes[np.ix_(far, across)] = nodes[np.ix_(near[partner], across)]
    return nodes


def elements_across(tags: IntArray, nodes: FloatArray, period: Sequence[float]) -> list[int]:
    """Elements, counted up to FEWEST, of the shortest chain between opposite faces, for each axis."""
    dim = len(period)
    kind, elements = element_nodes(tags, dim)
    vertices = elements[:, : gmsh.model.mesh.getElementProperties(kind)[5]]
    counts = []
    for axis, length in enumerate(period):
        reached, goal = nodes[:, axis] == 0.0, nodes[:, axis] == length
        count = 0
        while count < FEWEST and not (reached & goal).any():
            reached[vertices[reached[vertices].any(axis=1)]] = True
            count += 1
        counts.append(count)
    return counts
