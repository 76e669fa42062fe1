"""Cook's membrane with every fibre of a square array in it: what a two-scale computation stands for."""

from __future__ import annotations

import math
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from . import parameters
from .checks import checked_output
from .exact_fraction import volume_of
from .gmsh_model import (
    add_group,
    element_nodes,
    generate,
    gmsh_model,
    inversion_error,
    inverted_elements,
    mesh_nodes,
    move_nodes,
    write_model,
)
from .periodic_cell import ATTEMPTS
from .size_field import SizeField

FloatArray = npt.NDArray[np.float64]


def cook_membrane_resolved(
    path: str | Path,
    *,
    spacing: float = 4.0,
    fraction: float = 0.3,
    width: float = 48.0,
    left: float = 44.0,
    right: float = 16.0,
    size: float | None = None,
    order: int = 2,
    binary: bool = False,
) -> Path:
    r"""Cook's membrane filled with a square array of fibres, which its boundary cuts.

    A corner of the array's cells lies at the origin, the lower left corner of the membrane. The radius is
    that of :func:`~fe2_meshes.square_array.square_array`,

    .. math:: r = a \sqrt{f / \pi}, \qquad f < \pi / 4.

    Groups are the phases "matrix" and "fibre", and the sides "left", "right", "bottom" and "top". The sides
    cut fibres, so that their fraction in the membrane is not f. Nodes of a fibre that no side comes near are
    moved outwards, as those of the array's cell are, so that its elements have the fraction f of its cell.
    Where the boundary cuts off so little that curved elements come out inverted, elements are made smaller.

    Args:
        path: File to write, ending in .msh.
        spacing: Distance a of neighbouring fibres, the edge length of the array's cell.
        fraction: Volume fraction f of the fibres in the array, below pi/4.
        width: Distance of the two vertical sides.
        left: Length of the left side.
        right: Length of the right side.
        size: Target element size; a twelfth of the spacing by default.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path)
    size = parameters.cook_membrane_resolved(
        spacing=spacing, fraction=fraction, width=width, left=left, right=right, size=size, order=order
    )
    size /= spacing
    radius = math.sqrt(fraction / math.pi)
    corners = np.array([(0.0, 0.0), (width, left), (width, left + right), (0.0, left)]) / spacing
    centres = fibre_centres(corners, radius)
    refined = SizeField(3.0 * corners.max(axis=0), np.empty((0, 2)), np.empty(0))
    for attempt in range(ATTEMPTS):
        with gmsh_model(path.stem):
            # in units of the spacing, because the geometry kernel's tolerance is absolute
            fibres = add_composite(corners, centres, radius)
            if attempt > 0:
                gmsh.model.mesh.setSizeCallback(refined)
            generate(2, size, order)
            fill_circles(fibres, corners, radius, size)
            positions, sizes = inverted_elements(2)
            if len(positions) == 0:
                return write_model(path, binary, spacing)
        refined.refine(positions, sizes / 2.0)
    raise inversion_error(positions * spacing)


def fibre_centres(corners: FloatArray, radius: float) -> FloatArray:
    """Centres of the fibres of the unit array that reach into a convex polygon, shape (n, 2)."""
    counts = np.ceil(corners.max(axis=0)).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(-1, count) for count in counts), indexing="ij"), axis=-1)
    centres: FloatArray = grid.reshape(-1, 2) + 0.5
    return centres[distance_outside(centres, corners) < radius]


def distance_outside(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Largest distance of points, shape (n, 2), from the edges of a convex polygon, negative inside of it."""
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.column_stack((edges[:, 1], -edges[:, 0])) / np.linalg.norm(edges, axis=1)[:, None]
    distances = np.einsum("kei,ei->ke", points[:, None, :] - corners, normals)
    return np.asarray(distances.max(axis=1))


def fill_circles(fibres: list[int], corners: FloatArray, radius: float, size: float) -> None:
    """Stretch each fibre that no side comes near until its elements have the area of the circle.

    Nodes beside a fibre follow, less and less over a distance of `size`, or up to the border of the cell.
    """
    tags, nodes = mesh_nodes()
    width = min(size, 0.5 - radius)
    cells = np.floor(nodes[:, :2]).astype(int)
    stretches = np.zeros(cells.max(axis=0) + 1)
    for fibre in fibres:
        kind, elements = element_nodes(tags, 2, fibre)
        cell = cells[elements[0, 0]]
        if distance_outside(cell[None] + 0.5, corners) < -(radius + width):
            area = volume_of(kind, elements, 2)(nodes)
            stretches[tuple(cell)] = math.sqrt(math.pi * radius**2 / area) - 1.0
    offset = nodes[:, :2] - cells - 0.5
    share = np.clip(1.0 - (np.linalg.norm(offset, axis=1) - radius) / width, 0.0, 1.0)
    moved = nodes.copy()
    moved[:, :2] += (share * stretches[tuple(cells.T)])[:, None] * offset
    move_nodes(tags, nodes, moved)


def add_composite(corners: FloatArray, centres: FloatArray, radius: float) -> list[int]:
    """Cut the membrane with the fibres and name phases and sides; returns the tags of the fibres' pieces."""
    kernel = gmsh.model.occ
    points = [kernel.addPoint(*corner, 0.0) for corner in corners]
    lines = [kernel.addLine(points[k], points[(k + 1) % 4]) for k in range(4)]
    membrane = kernel.addPlaneSurface([kernel.addCurveLoop(lines)])
    discs = [kernel.addDisk(*centre, 0.0, radius, radius) for centre in centres]
    _, (inside, *pieces) = kernel.fragment([(2, membrane)], [(2, disc) for disc in discs])
    fibres = {piece for found in pieces for piece in found}
    kernel.remove(sorted(fibres - set(inside)), recursive=True)
    kernel.synchronize()
    add_group(2, [tag for _, tag in inside if (2, tag) not in fibres], "matrix")
    in_fibres = [tag for _, tag in inside if (2, tag) in fibres]
    add_group(2, in_fibres, "fibre")
    for k, name in enumerate(("bottom", "right", "top", "left")):
        add_group(1, curves_on_line(corners[k], corners[(k + 1) % 4]), name)
    return in_fibres


def curves_on_line(start: FloatArray, end: FloatArray) -> list[int]:
    """Tags of the model's curves whose ends and middle lie on a line."""
    along = (end - start) / np.linalg.norm(end - start)
    normal, margin = np.array([-along[1], along[0]]), 1e-6 * float(np.linalg.norm(end - start))
    tags = []
    for _, tag in gmsh.model.getEntities(1):
        low, high = (bounds[0] for bounds in gmsh.model.getParametrizationBounds(1, tag))
        places = gmsh.model.getValue(1, tag, [low, (low + high) / 2.0, high])
        points = np.array(places).reshape(3, 3)[:, :2]
        if np.abs((points - start) @ normal).max() < margin:
            tags.append(tag)
    return tags
