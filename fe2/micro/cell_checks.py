"""Refuses meshes that are no cell of a microstructure, naming the element or node and its coordinates.

Errors are exchanged between the checks, so no rank leaves a collective operation early.
"""

from __future__ import annotations

from dataclasses import dataclass

import dolfinx.mesh
import numpy as np
import numpy.typing as npt

from fe2.errors import InputError, place
from fe2.micro.element_geometry import extreme_determinants, volumes
from fe2.micro.period_count import FEWEST, check_count
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.parallel import on_every_rank

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DEGENERATE = 1e-10
"""Jacobian determinant, relative to the element's extent, below which an element is degenerate."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """This rank's part of a mesh, and the box around the whole of it.

    Attributes:
        mesh: The mesh.
        x: Nodes, shape (n, d).
        vertices: Vertices of the elements and ghosts as rows of x, shape (k, v).
        lower: Lower corner of the bounding box of the whole mesh, shape (d,).
        period: Its edge lengths, shape (d,).
        labels: Number in the file and geometrical entity of each element, shape (k, 2), or None.
    """

    mesh: dolfinx.mesh.Mesh[np.float64]
    x: Floats
    vertices: npt.NDArray[np.int32]
    lower: Floats
    period: Floats
    labels: Ints | None

    @classmethod
    def of(cls, mesh: dolfinx.mesh.Mesh[np.float64], labels: Ints | None) -> Geometry:
        """Look at a mesh; collective."""
        x = mesh.geometry.x[:, : mesh.topology.dim]
        beyond = np.full((1, x.shape[1]), np.inf)
        lower = np.min(mesh.comm.allgather(np.concatenate((x, beyond)).min(axis=0)), axis=0)
        upper = np.max(mesh.comm.allgather(np.concatenate((x, -beyond)).max(axis=0)), axis=0)
        count = dolfinx.cpp.mesh.cell_num_entities(mesh.topology.cell_type, 0)
        return cls(mesh, x, mesh.geometry.dofmaps[0][:, :count], lower, upper - lower, labels)

    def describe(self, element: int) -> str:
        """What messages call an element."""
        kind, at = self.mesh.topology.cell_type.name, place(self.x[self.vertices[element]].mean(axis=0))
        if self.labels is None:
            return f"{kind} {self.mesh.topology.original_cell_index[element]} at {at}"
        number, entity = self.labels[element]
        return f"{kind} {number} of {'surface' if self.x.shape[1] == 2 else 'volume'} {entity} at {at}"

    def on_face(self, axis: int, side: int) -> Mask:
        """Nodes on the lower (side 0) or upper (side 1) face normal to an axis."""
        position = self.lower[axis] + side * self.period[axis]
        return np.abs(self.x[:, axis] - position) < TOLERANCE * self.period[axis]

    def global_nodes(self, mask: Mask) -> Ints:
        """Numbers, valid on all ranks, of the nodes of a mask over this rank's nodes."""
        return self.mesh.geometry.index_map().local_to_global(np.flatnonzero(mask).astype(np.int32))


def check_elements(geometry: Geometry) -> None:
    """Refuse elements that are degenerate, inside out in part, inverted, or overlap; collective.

    DOLFINx takes the absolute value of the Jacobian determinant, and its own meshes mix both signs.
    So does gmsh between surfaces, but never within one: there another sign is an inverted element.

    Raises:
        InputError: On all ranks.
    """
    mesh = geometry.mesh
    lowest, highest = extreme_determinants(mesh)
    on_every_rank(mesh.comm, lambda: _check_shapes(geometry, lowest, highest))
    if geometry.labels is not None:
        entities, which = np.unique(geometry.labels[:, 1], return_inverse=True)
        balance = np.bincount(which, np.sign(lowest), len(entities))
        total: dict[int, float] = {}
        for part in mesh.comm.allgather(dict(zip(entities.tolist(), balance.tolist(), strict=True))):
            for entity, signs in part.items():
                total[entity] = total.get(entity, 0.0) + signs
        majority = np.array([1.0 if total[entity] >= 0 else -1.0 for entity in entities.tolist()])[which]
        on_every_rank(mesh.comm, lambda: _check_signs(geometry, np.sign(lowest) == majority))
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    filled, box = mesh.comm.allreduce(volumes(mesh)[:owned].sum()), np.prod(geometry.period)
    if filled > box * (1 + TOLERANCE):
        raise InputError(
            f"the elements' volumes sum to {filled:.8g}, more than the {box:.8g} of the box around them: "
            "elements overlap, fold over one another, or are listed twice"
        )


def check_box(geometry: Geometry) -> None:
    """Refuse a mesh that does not reach the faces of its bounding box with sides of elements; collective.

    Raises:
        InputError: On all ranks.
    """
    mesh, dim = geometry.mesh, geometry.x.shape[1]
    facet = dolfinx.cpp.mesh.cell_entity_type(mesh.topology.cell_type, dim - 1, 0)
    corners = dolfinx.cpp.mesh.cell_num_entities(facet, 0)
    for axis, side in np.ndindex(dim, 2):
        sides = geometry.on_face(axis, side)[geometry.vertices].sum(axis=1) >= corners
        if not mesh.comm.allreduce(int(sides.sum())):
            face = f"{'xyz'[axis]} = {geometry.lower[axis] + side * geometry.period[axis]:.6g}"
            raise InputError(
                f"no element has a side on the face {face} of the box from {place(geometry.lower)} to "
                f"{place(geometry.lower + geometry.period)}: a cell is a rectangular box parallel to the axes"
            )


def check_period(geometry: Geometry) -> None:
    """Refuse opposite faces with different nodes, and fewer than three elements in a period; collective.

    Raises:
        InputError: On all ranks.
    """
    mesh, dim = geometry.mesh, geometry.x.shape[1]
    faces = np.any([geometry.on_face(axis, side) for axis, side in np.ndindex(dim, 2)], axis=0)
    points = np.concatenate(mesh.comm.allgather(geometry.x[faces]))
    on_every_rank(mesh.comm, lambda: node_representatives(points, geometry.period, geometry.lower))
    for axis in range(dim):
        check_count(axis, _elements_across(geometry, axis))


def _check_shapes(geometry: Geometry, lowest: Floats, highest: Floats) -> None:
    turned = lowest * highest < 0
    if turned.any():
        raise InputError(
            f"{geometry.describe(int(np.argmax(turned)))} is inverted in part: its Jacobian determinant "
            f"changes sign inside it ({turned.sum()} such elements). Curved edges need small elements, or "
            "gmsh's Mesh.HighOrderOptimize = 2"
        )
    flat = np.minimum(np.abs(lowest), np.abs(highest)) < _DEGENERATE
    if flat.any():
        raise InputError(
            f"{geometry.describe(int(np.argmax(flat)))} is degenerate: its Jacobian determinant is zero "
            f"({flat.sum()} such elements)"
        )


def _check_signs(geometry: Geometry, alike: Mask) -> None:
    if not alike.all():
        raise InputError(
            f"{geometry.describe(int(np.argmin(alike)))} is inverted: its nodes run the other way round than "
            f"those of most elements there ({(~alike).sum()} such elements)"
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
