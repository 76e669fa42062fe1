"""Degrees of freedom of a flow through pores: what walls hold, what facets join, what is pinned.

The fluid passes through facets only. The pressure is discontinuous at first and is glued together across
facets, in the box and through the period, so that pores that touch in a corner know nothing of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from dolfinx import fem
from dolfinx import mesh as dmesh
from scipy.sparse.csgraph import connected_components

from fe2.arrays import Array, Ints, Mask
from fe2.micro.facet_pairs import FacetPairs, facet_pairs
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.micro.subcell import Subcell
from fe2.subspaces import subspaces

_AT_ONCE = 20_000
"""Facets whose degrees of freedom are compared at once, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class PoreDofs:
    """Modes, fixed degrees of freedom and copies of a velocity and a discontinuous pressure.

    Attributes:
        part: The pores.
        space: Space of the mixed unknown.
        slips: Whether walls along the axes hold the normal component of the velocity alone. Walls that
            are oblique or curved hold nothing then: that is left to the form.
    """

    part: Subcell
    space: fem.FunctionSpace
    slips: bool

    @cached_property
    def _fields(self) -> list[tuple[fem.FunctionSpace, Ints]]:
        """The fields: their spaces, and degrees of freedom by node, shape (n, components)."""
        return [(f, at.reshape(-1, f.dofmap.index_map_bs)) for f, at in subspaces(self.space)]

    @cached_property
    def _pairs(self) -> FacetPairs:
        cell = self.part.cell
        return facet_pairs(cell, np.arange(len(cell.phases.values), dtype=np.int32))

    def _nodes(self, field: fem.FunctionSpace) -> Array:
        nodes: Array = field.tabulate_dof_coordinates()[:, : self.part.cell.dim]
        return nodes

    @property
    def modes(self) -> Array:
        """Affine pressures, shape (N, dim)."""
        pressure, at = self._fields[1]
        modes = np.zeros((self.space.dofmap.index_map.size_local, self.part.cell.dim))
        modes[at[:, 0]] = self._nodes(pressure)
        return modes

    @property
    def copies(self) -> Ints:
        """Velocities copy those at the same point of the medium, pressures those across a facet."""
        copies = np.arange(self.space.dofmap.index_map.size_local)
        for (_, at), masters in zip(self._fields, (self._velocity_masters, self._glued), strict=True):
            copies[at] = at[masters]
        return copies

    @property
    def fixed(self) -> Mask:
        """Velocities at walls, a pressure in each part, and pressures at which no velocity works."""
        (velocity, v), (pressure, p) = self._fields
        fixed = np.zeros(self.space.dofmap.index_map.size_local, dtype=bool)
        fixed[v[self._held]] = True
        moves = ~np.all(self._held[velocity.dofmap.list], axis=(1, 2))
        driven = np.isin(self._glued, self._glued[pressure.dofmap.list[moves]])
        fixed[p[~driven]] = True
        distance = np.linalg.norm(self._nodes(pressure) + self.part.cell.period / 2, axis=1)
        for number in range(self.part.parts):
            # the node that the boundary condition would choose where there is one part
            nodes = np.unique(pressure.dofmap.list[self.part.part_of_cell == number])
            nodes = nodes[driven[nodes]]
            fixed[p[nodes[np.argmin(distance[nodes])]]] = True
        return fixed

    @cached_property
    def _velocity_masters(self) -> Ints:
        cell = self.part.cell
        return node_representatives(self._nodes(self._fields[0][0]), cell.period, partners=False)

    @cached_property
    def walls(self) -> npt.NDArray[np.int32]:
        """Facets of the walls."""
        return self._pairs.walls

    @cached_property
    def oblique_walls(self) -> npt.NDArray[np.int32]:
        """Facets of the walls that are not perpendicular to an axis."""
        oblique: npt.NDArray[np.int32] = self.walls[self._axis_of_wall < 0]
        return oblique

    @cached_property
    def _axis_of_wall(self) -> Ints:
        """The axis to which each wall facet is perpendicular, or -1."""
        mesh, dim = self.part.cell.mesh, self.part.cell.dim
        nodes = dmesh.entities_to_geometry(mesh, dim - 1, self.walls)
        flat = np.ptp(mesh.geometry.x[nodes][:, :, :dim], axis=1) < TOLERANCE * self.part.cell.period.max()
        return np.where(np.any(flat, axis=1), np.argmax(flat, axis=1), -1)

    @cached_property
    def _held(self) -> Mask:
        """Components of the velocity that walls hold, and their periodic images, shape (nodes, dim)."""
        velocity, dim = self._fields[0][0], self.part.cell.dim
        held, masters = np.zeros((len(self._velocity_masters), dim), dtype=bool), self._velocity_masters
        for axis in range(dim):
            facets = self.walls[self._axis_of_wall == axis] if self.slips else self.walls
            nodes = fem.locate_dofs_topological(velocity, dim - 1, facets)
            held[:, axis] = np.isin(masters, masters[nodes])
        return held

    @cached_property
    def _glued(self) -> Ints:
        """Master of each pressure: they are the same where facets join them."""
        pressure = self._fields[1][0]
        x, dofs, pairs = self._nodes(pressure), pressure.dofmap.list, self._pairs
        links = [np.zeros((0, 2), dtype=np.int64)]
        for start in range(0, len(pairs.cells), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            links.append(self._same_points(x, dofs[pairs.cells[rows]], pairs.shift[rows]))
        ends = np.vstack(links)
        graph = sp.coo_matrix((np.ones(len(ends)), ends.T), shape=(len(x), len(x)))
        _, group = connected_components(graph, directed=False)
        _, first = np.unique(group, return_index=True)
        masters: Ints = first[group].astype(np.int64)
        return masters

    def _same_points(self, x: Array, dofs: Ints, shift: Ints) -> Ints:
        """Pairs of nodes of two mesh cells, dofs of shape (n, 2, k), that lie that many periods apart."""
        period = self.part.cell.period
        same = np.ones((len(dofs), dofs.shape[2], dofs.shape[2]), dtype=bool)
        for axis, length in enumerate(period):
            first, second = x[dofs[:, 0], axis], x[dofs[:, 1], axis] + shift[:, axis, None] * length
            same &= np.abs(first[:, :, None] - second[:, None, :]) < TOLERANCE * period.max()
        pair, one, other = np.nonzero(same)
        return np.column_stack([dofs[pair, 0, one], dofs[pair, 1, other]])
