"""Refuses meshes that are no cell of a microstructure, naming the element or node and its coordinates.

Errors are exchanged between the checks, so no rank leaves a collective operation early.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError, place
from fe2.micro.element_geometry import extreme_determinants, volumes
from fe2.micro.periodicity import TOLERANCE
from fe2.msh.resolution import round_off, shortest_edge
from fe2.parallel import on_every_rank

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
        tolerance: Distance from a face, relative to the period, below which a node is on it.
        beyond: Whether the period reaches beyond the mesh along each axis, shape (d,).
    """

    mesh: dolfinx.mesh.Mesh[np.float64]
    x: Array
    vertices: npt.NDArray[np.int32]
    lower: Array
    period: Array
    labels: Ints | None
    tolerance: float
    beyond: Mask

    @classmethod
    def of(
        cls, mesh: dolfinx.mesh.Mesh[np.float64], labels: Ints | None, tolerance: float = TOLERANCE
    ) -> Geometry:
        """Look at a mesh; collective. Far from the origin the tolerance is at least the round-off."""
        x = mesh.geometry.x[:, : mesh.topology.dim]
        beyond = np.full((1, x.shape[1]), np.inf)
        lower = np.min(mesh.comm.allgather(np.concatenate((x, beyond)).min(axis=0)), axis=0)
        upper = np.max(mesh.comm.allgather(np.concatenate((x, -beyond)).max(axis=0)), axis=0)
        count = dolfinx.cpp.mesh.cell_num_entities(mesh.topology.cell_type, 0)
        vertices, period = mesh.geometry.dofmaps[0][:, :count], upper - lower
        if period.min() > 0:
            tolerance = max(tolerance, 8 * round_off(np.stack((lower, upper))) / float(period.min()))
        return cls(mesh, x, vertices, lower, period, labels, tolerance, np.zeros(len(period), dtype=bool))

    def with_period(self, period: Array) -> Geometry:
        """The mesh in the middle of a box with the edge lengths `period`, which may reach beyond it.

        Raises:
            InputError: There is not one length for each axis, or the mesh is longer.
        """
        if period.shape != self.period.shape or not (np.isfinite(period) & (period > 0)).all():
            raise InputError(f"period = {period.tolist()}: {len(self.period)} positive lengths are needed")
        short = period < self.period * (1 - self.tolerance)
        if short.any():
            axis = int(np.argmax(short))
            raise InputError(
                f"period = {period.tolist()}: the mesh is {self.period[axis]:.8g} long along {'xyz'[axis]}, "
                "from its first node to its last, and a cell holds all of its mesh"
            )
        beyond = period > self.period * (1 + self.tolerance)
        period = np.where(beyond, period, self.period)
        return replace(self, lower=self.lower - (period - self.period) / 2, period=period, beyond=beyond)

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
        return np.abs(self.x[:, axis] - position) < self.tolerance * self.period[axis]

    @property
    def faces(self) -> list[tuple[int, int]]:
        """Axis and side (0: lower, 1: upper) of the faces that the mesh reaches."""
        return [(axis, side) for axis in range(len(self.period)) for side in (0, 1) if not self.beyond[axis]]

    def name(self, axis: int, side: int) -> str:
        """What messages call a face."""
        return f"{'xyz'[axis]} = {self.lower[axis] + side * self.period[axis]:.6g}"

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
    step, shortest = round_off(geometry.x), shortest_edge(geometry.x, geometry.vertices)
    spare = geometry.x.shape[1] * mesh.comm.allreduce(geometry.tolerance + 8 * step / shortest, op=MPI.MAX)
    if filled > box * (1 + spare):
        raise InputError(
            f"the elements' volumes sum to {filled:.8g}, more than the {box:.8g} of the box around them: "
            "elements overlap, fold over one another, or are listed twice. Volumes that lie in one another, "
            "such as an inclusion in a whole box, have to be fragmented before they are meshed "
            "(gmsh: fragment, Coherence)"
        )


def _check_shapes(geometry: Geometry, lowest: Array, highest: Array) -> None:
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
