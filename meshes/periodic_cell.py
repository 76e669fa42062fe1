"""Periodic rectangular cells in gmsh: pairing of opposite faces and nodes that match to round-off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from .gmsh_model import faces_in_plane, generate, gmsh_model, inversion_error, inverted_elements, write_model
from .size_field import SizeField

FloatArray = npt.NDArray[np.float64]

GEOMETRIC_TOLERANCE = 1e-6  # relative to the cell; the geometry kernel is exact to about 1e-7
ATTEMPTS = 5  # meshes made before inverted elements are an error


def write_periodic_cell(
    path: Path,
    build: Callable[[], None],
    period: Sequence[float],
    *,
    size: float,
    order: int,
    binary: bool,
    size_field: SizeField | None = None,
) -> Path:
    """Mesh a cell from 0 to `period` with matching faces and write it.

    Where curved elements come out inverted, the mesh is made again with smaller elements there; from the
    geometry on, for gmsh's lists of periodic nodes do not survive the removal of a mesh.

    Args:
        path: File to write.
        build: Adds geometry and physical groups, with the longest edge as unit, to an empty gmsh model.
        period: Edge lengths of the cell.
        size: Greatest element size.
        order: Polynomial order of the geometry.
        binary: Whether the file is binary.
        size_field: Where elements are to be smaller, in units of the longest edge; refined where inverted.

    Returns:
        The path.

    Raises:
        RuntimeError: Opposite faces differ, elements stay inverted, or fewer than three lie along an edge.
    """
    dim, scale = len(period), max(period)
    unit = [length / scale for length in period]
    if size_field is None:
        size_field = SizeField(np.array(unit), np.empty((0, dim)), np.empty(0))
    for _ in range(ATTEMPTS):
        with gmsh_model(path.stem):
            build()
            gmsh.model.mesh.setSizeCallback(size_field)
            for axis in range(dim):
                set_periodic_faces(axis, unit)
            generate(dim, size / scale, order)
            positions, sizes = inverted_elements(dim)
            if len(positions) == 0:
                match_nodes(unit, order)
                return write_model(path, binary, scale)
        size_field.refine(positions, sizes / 2.0)
    raise inversion_error(positions * scale)


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


def match_nodes(period: Sequence[float], order: int) -> None:
    """Move the nodes of opposite faces, equal to the kernel's tolerance, onto exact images of each other."""
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    original = np.array(coordinates).reshape(-1, 3)
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
    require_three_elements(nodes, period, order)
    for index in np.flatnonzero(np.any(nodes != original, axis=1)):
        gmsh.model.mesh.setNode(tags[index], nodes[index].tolist(), [])


def require_three_elements(nodes: FloatArray, period: Sequence[float], order: int) -> None:
    """Count the elements along the edges of the cell that meet in the origin."""
    for axis in range(len(period)):
        elements = (np.sum(np.all(np.delete(nodes, axis, axis=1) == 0.0, axis=1)) - 1) // order
        if elements < 3:
            raise RuntimeError(f"only {elements} elements along axis {axis + 1}: choose a smaller size")
