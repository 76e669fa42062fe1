r"""Stokes flow through the pores of a cell.

.. math::

    r(v, p; \varphi, q) = -\int_{Y_f} \mu\,\nabla v : \nabla\varphi + \nabla p\cdot\varphi + v\cdot\nabla q
        \,\mathrm{d}x

with the velocity v, which vanishes at the walls, and the pressure p = g·x + fluctuation. Its derivative is
symmetric and indefinite; at equilibrium the residual of the affine pressures is :math:`-|Y|\langle v\rangle`,
the flux. Velocities of degree k and pressures of degree k - 1 (Taylor–Hood).

The fluid passes through facets only. The pressure is discontinuous at first and is glued together across
facets, in the box and through the period, so that pores that touch in a corner know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import basix.ufl
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import ufl
from dolfinx import fem
from scipy.sparse.csgraph import connected_components
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.facet_pairs import FacetPairs, facet_pairs
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.micro.phases import PhaseTerms, default_quadrature_degree, element_degree
from fe2.micro.rve import RVE
from fe2.micro.subcell import Subcell, flowing_part
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.physics.pore_flow import Solid, StokesFlow, pore_flow_kinematics, with_pore_space

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_STABILIZATION = 1e-4
"""Weight of the pressure's hourglass on voxels, relative to its natural stiffness h²/μ; see `_hourglass`."""

_AT_ONCE = 20_000
"""Facets whose degrees of freedom are compared at once, which bounds the memory."""


def pore_flow(
    cell: Cell,
    laws: Mapping[str, PhaseLaw | None],
    *,
    boundary: str = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element for slow flow through a pore space.

    The flux is :math:`s = -\langle v\rangle = (k/\mu)\,\nabla p`, the opposite of the seepage velocity, so
    that the macroscopic form is ``dot(law.flux, gradient(q))``. ``rve.homogenize().effective`` is the
    permeability k.

    Facets of the pores that are not joined to other pores, directly or through the period, are walls.
    Pores that are not connected with their own periodic images are left out:
    ``rve.homogenize().properties["isolated"]`` says how much that was, and ``["percolates"]`` along which
    axes something flows.

    Args:
        cell: The geometry.
        laws: :class:`StokesFlow` for phases that are pore, all of one viscosity; phases with
            :class:`Solid`, with None or without a law are grains.
        boundary: "periodic", the only boundary condition of pore flow.
        degree: Degree of the velocity, 2 or more; that of the mesh, but at least 2, by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, nothing flows in any direction, or an option is not
            admissible.
    """
    degree = max(2, element_degree(cell, None)) if degree is None else degree
    _check(cell, boundary, degree)
    pores, viscosity = _fluid(cell, laws)
    part = flowing_part(cell, pores, through_facets=True)
    kinematics = with_pore_space(
        pore_flow_kinematics(cell.dim),
        viscosity=viscosity,
        porosity=sum(cell.volume_fractions[name] for name in pores),
        isolated=part.isolated,
        percolates=part.percolates,
    )
    quadrature = quadrature_degree or default_quadrature_degree(cell, degree)
    form = _form(part, kinematics, viscosity, degree, quadrature, cell)
    return RVE(part.cell, form, boundary=boundary, options=options)


def _check(cell: Cell, boundary: str, degree: int) -> None:
    if boundary != "periodic":
        raise InputError(f"boundary = {boundary!r} is not admissible in pore flow; it must be periodic")
    least = max(2, element_degree(cell, None))
    if degree < least:
        raise InputError(f"degree = {degree} is not admissible in pore flow; here it must be {least} or more")
    if degree > 2 and cell.mesh.topology.cell_name() == "hexahedron":
        raise InputError(f"degree = {degree} is not admissible in pore flow on hexahedra; it must be 2")
    if cell.whole:  # faces that do not match would count as walls
        node_representatives(cell.mesh.geometry.x, cell.period)


def _fluid(cell: Cell, laws: Mapping[str, PhaseLaw | None]) -> tuple[list[str], float]:
    """Phases in which a fluid flows, and its viscosity."""
    if unknown := [name for name in laws if name not in cell.names]:
        raise InputError(f"a law is given for {unknown[0]!r}, but the cell's phases are {sorted(cell.names)}")
    viscosities: dict[str, float] = {}
    for name in cell.names:
        law = laws.get(name)
        if isinstance(law, StokesFlow):
            viscosities[name] = law.viscosity
        elif not (law is None or isinstance(law, Solid)):
            raise InputError(
                f"the law of phase {name!r} is a {type(law).__name__}; in pore flow it is StokesFlow or Solid"
            )
    if not viscosities:
        raise InputError("nothing flows in the cell: all of its phases are solid")
    if len(set(viscosities.values())) > 1:
        raise InputError(
            f"one fluid fills the pores, but the viscosities of the phases differ: {viscosities}"
        )
    return list(viscosities), next(iter(viscosities.values()))


def _form(
    part: Subcell, kinematics: Kinematics, viscosity: float, degree: int, quadrature: int, whole: Cell
) -> CellForm:
    cell, mesh = part.cell, part.cell.mesh
    shape = mesh.basix_cell()
    velocity = basix.ufl.element("Lagrange", shape, degree, shape=(cell.dim,))
    pressure = basix.ufl.element("Lagrange", shape, degree - 1, discontinuous=True)
    space = fem.functionspace(mesh, basix.ufl.mixed_element([velocity, pressure]))
    unknown = fem.Function(space, name="u")
    v, p = ufl.split(unknown)
    w, q = ufl.split(ufl.TestFunction(space))
    terms = PhaseTerms(
        cell=cell, kinematics=kinematics, unknown=unknown, field=p, test=q, quadrature=quadrature
    )
    mu = fem.Constant(mesh, viscosity)
    work = -mu * ufl.inner(ufl.grad(v), ufl.grad(w)) - ufl.dot(ufl.grad(p), w) - ufl.dot(v, ufl.grad(q))
    for phase in cell.names:
        terms.add_work(phase, work, -v, None)
    algebra = _Algebra(part, space)
    form = replace(terms.form(algebra.modes, algebra.fixed), copies=algebra.copies, saddle_point=True)
    if mesh.topology.cell_name() != "hexahedron" or whole.grid is None:
        return form
    edge = float(np.min(cell.period / np.array(whole.grid)))
    hourglass = _hourglass(cell, p, q, fem.Constant(mesh, edge**2 / viscosity))
    return replace(form, residual=form.residual + hourglass)


def _hourglass(cell: Cell, p: Expr, q: Expr, scale: fem.Constant) -> ufl.Form:
    r"""A small energy of the part of the pressure's gradient that is not its mean over the voxel.

    .. math:: \tau \int (\nabla p - \overline{\nabla p})\cdot(\nabla q - \overline{\nabla q})\,\mathrm{d}x

    In a channel one voxel wide, the velocities of a triquadratic element do not see the pressure xy.
    Affine pressures have no such part: flux and conservation of mass are left alone. The mean of the
    gradient of a trilinear pressure is its value in the centre.
    """
    dx = ufl.Measure("dx", domain=cell.mesh, subdomain_data=cell.phases)
    everywhere, slopes = tuple(range(len(cell.names))), ufl.dot(ufl.grad(p), ufl.grad(q))
    full, centre = (
        dx(everywhere, metadata={"quadrature_degree": n, "quadrature_rule": "default"}) for n in (4, 1)
    )
    return _STABILIZATION * scale * (slopes * full - slopes * centre)


@dataclass(frozen=True, eq=False)
class _Algebra:
    """Modes, fixed degrees of freedom and copies of a velocity and a discontinuous pressure."""

    part: Subcell
    space: fem.FunctionSpace

    @cached_property
    def _fields(self) -> list[tuple[fem.FunctionSpace, Ints]]:
        """Velocity and pressure: their spaces, and degrees of freedom by node, shape (n, components)."""
        collapsed = (self.space.sub(i).collapse() for i in range(2))
        return [(f, np.asarray(at, dtype=np.int64).reshape(-1, f.dofmap.index_map_bs)) for f, at in collapsed]

    @cached_property
    def _pairs(self) -> FacetPairs:
        cell = self.part.cell
        return facet_pairs(cell, np.arange(len(cell.phases.values), dtype=np.int32))

    def _nodes(self, field: fem.FunctionSpace) -> Array:
        nodes: Array = field.tabulate_dof_coordinates()[:, : self.part.cell.dim]
        return nodes

    @property
    def modes(self) -> Array:
        """Affine pressures."""
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
        fixed[v[self._at_walls]] = True
        moves = ~np.all(self._at_walls[velocity.dofmap.list], axis=1)
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
    def _at_walls(self) -> Mask:
        """Nodes of the velocity at walls, and their periodic images."""
        velocity = self._fields[0][0]
        nodes = fem.locate_dofs_topological(velocity, self.part.cell.dim - 1, self._pairs.walls)
        masters = self._velocity_masters
        return np.isin(masters, masters[nodes])

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
