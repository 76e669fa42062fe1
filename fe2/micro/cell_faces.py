"""The faces of a cell: they are plane and parallel to the axes, and nodes of opposite faces match.

Errors are exchanged between the checks, so no rank leaves a collective operation early.
"""

from __future__ import annotations

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Mask
from fe2.errors import InputError, place
from fe2.micro.cell_checks import Geometry
from fe2.micro.period_count import FEWEST, check_count
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.msh.resolution import shortest_edge
from fe2.parallel import on_every_rank

_SHARE_OF_EDGE = 0.1
"""Part of the shortest edge that the tolerance may reach."""

_ALONG = 1e-3
"""Distance from a face, relative to the size of an outer side, below which the side lies along it."""


def check_tolerance(geometry: Geometry) -> None:
    """Refuse a tolerance that is no small part of the shortest edge; collective.

    Raises:
        InputError: On all ranks.
    """
    comm, reach = geometry.mesh.comm, geometry.tolerance * geometry.period.max()
    shortest = comm.allreduce(shortest_edge(geometry.x, geometry.vertices), op=MPI.MIN)
    if geometry.tolerance > TOLERANCE and reach > _SHARE_OF_EDGE * shortest:
        raise InputError(
            f"tolerance = {geometry.tolerance:.3g}: with the period it reaches {reach:.3g}, and the shortest "
            f"edge is {shortest:.3g} long; it has to be a tenth of that at most"
        )


def check_box(geometry: Geometry) -> None:
    """Refuse a mesh that does not reach the faces of its bounding box with sides of elements; collective.

    Raises:
        InputError: On all ranks.
    """
    mesh, dim = geometry.mesh, geometry.x.shape[1]
    facet = dolfinx.cpp.mesh.cell_entity_type(mesh.topology.cell_type, dim - 1, 0)
    corners = dolfinx.cpp.mesh.cell_num_entities(facet, 0)
    for axis, side in geometry.faces:
        sides = geometry.on_face(axis, side)[geometry.vertices].sum(axis=1) >= corners
        if not mesh.comm.allreduce(int(sides.sum())):
            raise InputError(
                f"no element has a side on the face {geometry.name(axis, side)} of the box from "
                f"{place(geometry.lower)} to {place(geometry.lower + geometry.period)}: a cell is a "
                "rectangular box parallel to the axes"
            )


def check_planes(geometry: Geometry) -> None:
    """Refuse outer sides of elements that lie along a face of the box, and a little off it; collective.

    Nodes that are off a face take no part in its boundary conditions: they would be a free surface.

    Raises:
        InputError: On all ranks, with the largest distance.
    """
    mesh, dim = geometry.mesh, geometry.x.shape[1]
    mesh.topology.create_connectivity(dim - 1, dim)
    outer = dolfinx.mesh.exterior_facet_indices(mesh.topology)
    nodes = dolfinx.mesh.entities_to_geometry(mesh, dim - 1, outer).reshape(len(outer), -1)
    on_every_rank(mesh.comm, lambda: _check_planes(geometry, nodes))


def check_period(geometry: Geometry) -> None:
    """Refuse opposite faces with different nodes, and fewer than three elements in a period; collective.

    Raises:
        InputError: On all ranks.
    """
    points = np.concatenate(geometry.mesh.comm.allgather(geometry.x[_on_any_face(geometry)]))
    on_every_rank(
        geometry.mesh.comm,
        lambda: node_representatives(points, geometry.period, geometry.lower, geometry.tolerance),
    )
    for axis in range(geometry.x.shape[1]):
        check_count(axis, _elements_across(geometry, axis))


def snapped(geometry: Geometry, periodic: bool) -> Array:
    """Nodes with those near a face moved onto it, and onto their partners' places; collective.

    Args:
        geometry: A mesh that was checked.
        periodic: Whether nodes of opposite faces are to match exactly.

    Returns:
        Shape (n, d).
    """
    x = geometry.x.copy()
    for axis, side in geometry.faces:
        x[geometry.on_face(axis, side), axis] = geometry.lower[axis] + side * geometry.period[axis]
    if not periodic:
        return x
    comm, mine = geometry.mesh.comm, _on_any_face(geometry)
    parts = comm.allgather(x[mine])
    points, start = np.concatenate(parts), sum(map(len, parts[: comm.rank]))
    masters = points[node_representatives(points, geometry.period, geometry.lower, geometry.tolerance)]
    placed = masters + np.rint((points - masters) / geometry.period) * geometry.period
    x[mine] = placed[start : start + len(parts[comm.rank])]
    return x


def _on_any_face(geometry: Geometry) -> Mask:
    found = [geometry.on_face(axis, side) for axis, side in np.ndindex(len(geometry.period), 2)]
    return np.any(found, axis=0)


def _check_planes(geometry: Geometry, outer: npt.NDArray[np.int32]) -> None:
    """`outer` are the vertices of the outer sides, shape (m, v)."""
    corners = geometry.x[outer]
    size = np.ptp(corners, axis=1).max(axis=1, initial=0.0)
    for axis, side in geometry.faces:
        off = np.abs(corners[:, :, axis] - geometry.lower[axis] - side * geometry.period[axis])
        reach, farthest = geometry.tolerance * geometry.period[axis], off.max(axis=1, initial=0.0)
        wrong = (farthest < _ALONG * size) & (farthest >= reach)
        if not wrong.any():
            continue
        worst, count = float(off[wrong].max()), len(np.unique(outer[wrong][off[wrong] >= reach]))
        nodes = "1 node is" if count == 1 else f"{count} nodes are"
        node = corners[wrong].reshape(-1, corners.shape[2])[int(np.argmax(off[wrong]))]
        raise InputError(
            f"the face {geometry.name(axis, side)} is not plane: {nodes} up to {worst:.2g} off it, "
            f"such as the one at ({', '.join(f'{value:.10g}' for value in node)}), where {reach:.1g} is "
            f"admitted. Mend the mesh, or set tolerance = {1.5 * worst / geometry.period[axis]:.2g}, the "
            "distance relative to the period below which nodes are moved onto the face"
        )


def _elements_across(geometry: Geometry, axis: int) -> int:
    """Elements that the shortest chain from face to face crosses, counted up to three; collective."""
    comm = geometry.mesh.comm
    reached, goal = geometry.on_face(axis, 0), geometry.on_face(axis, 1)
    everywhere = geometry.global_nodes(np.ones(len(geometry.x), dtype=bool))
    for count in range(1, FEWEST):
        chain = geometry.vertices[reached[geometry.vertices].any(axis=1)]
        if comm.allreduce(int(goal[chain].any())):
            return count
        reached[chain.ravel()] = True
        shared = np.concatenate(comm.allgather(geometry.global_nodes(reached)))
        reached |= np.isin(everywhere, shared)
    return FEWEST
