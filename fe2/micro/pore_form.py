r"""The form of a flow through pores.

.. math::

    r(v, p; \varphi, q) = -\int_{Y_f} \mu\,\nabla v : \nabla\varphi
        + \frac\rho2\,\big[(v\cdot\nabla)v\cdot\varphi - (v\cdot\nabla)\varphi\cdot v\big]
        + \nabla p\cdot\varphi + v\cdot\nabla q \,\mathrm{d}x

with the velocity v, which vanishes at the walls, and the pressure p = g·x + fluctuation. At equilibrium the
residual of the affine pressures is :math:`-|Y|\langle v\rangle`, the flux. Velocities have degree k and
pressures degree k - 1 (Taylor–Hood).

Inertia stands in its skew-symmetric form (Temam 1968), in which it does no work, whatever the mesh: the
power :math:`s\cdot g` is what viscosity dissipates, and along the gradient the correction to Darcy's law
begins with the third power of the velocity, as in the continuum (Mei & Auriault 1991; Firdaouss, Guermond
& Le Quéré 1997).

Where the fluid slips, the viscous stress is :math:`\tau = 2\mu\,\varepsilon(v)`, walls pull with
:math:`(\mu/\ell)\,v_t`, and :math:`v\cdot n = 0` is held by the degrees of freedom on walls along the axes
and by Nitsche's method on all others (Freund & Stenberg 1995).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.element_geometry import volumes
from fe2.micro.form import CellForm
from fe2.micro.phases import PhaseTerms
from fe2.micro.pore_dofs import PoreDofs
from fe2.micro.subcell import Subcell
from fe2.physics.kinematics import Kinematics
from fe2.physics.pore_flow import NewtonianFluid

_STABILIZATION = 1e-4
"""Weight of the pressure's hourglass on voxels, relative to its natural stiffness h²/μ; see `_hourglass`."""

_NITSCHE = 4.0
"""Weight of the normal velocity at oblique walls, times the square of the degree, relative to μ/h."""

_HINT = "The mesh is too coarse in some throat of the pores: refine it"


@dataclass(frozen=True, eq=False)
class PoreForm:
    """Puts the form together.

    Attributes:
        part: The pores.
        fluid: What fills them.
        kinematics: Names of gradient and flux, with or without the pressure itself.
        degree: Degree of the velocity.
        quadrature: Degree of the quadrature rule.
        grid: Numbers of voxels along each axis of the whole cell, where it is an image.
    """

    part: Subcell
    fluid: NewtonianFluid
    kinematics: Kinematics
    degree: int
    quadrature: int
    grid: tuple[int, ...] | None

    def form(self) -> CellForm:
        """The form.

        Raises:
            InputError: There are no walls.
        """
        if not len(self._dofs.walls):
            raise InputError("nothing holds the fluid in the cell: its pores have no walls")
        cell, v, w = self.part.cell, self._fields[0], self._tests[0]
        terms = PhaseTerms(
            cell=cell,
            kinematics=self.kinematics,
            block=self.kinematics.block("pressure_gradient"),
            unknown=self._unknown,
            gradient=ufl.grad(self._fields[1]),
            test_gradient=ufl.grad(self._tests[1]),
            quadrature=self.quadrature,
        )
        flux = -v
        for phase in cell.names:
            terms.add_work(phase, self._work(v, w), flux, None)
            if self.fluid.slips:
                terms.demand(phase, {"pressure": terms.values["pressure"]})
        modes = np.pad(self._dofs.modes, ((0, 0), (self.kinematics.size - cell.dim, 0)))
        form = terms.form(modes, self._dofs.fixed)
        residual = form.residual
        if self.fluid.slips:
            residual += self._walls(v, w, terms.values["pressure"])
        if self.grid is not None and cell.mesh.topology.cell_name() == "hexahedron":
            residual += self._hourglass()
        return replace(
            form,
            laws=dict.fromkeys(cell.names, self.fluid),
            residual=residual,
            copies=self._dofs.copies,
            symmetric=not (self.fluid.density or self.fluid.slips),
            saddle_point=True,
            singular_hint=_HINT,
            weights=(1.0, self.fluid.viscosity / float(np.max(cell.period))),
        )

    @cached_property
    def _unknown(self) -> fem.Function:
        shape = self.part.cell.mesh.basix_cell()
        velocity = basix.ufl.element("Lagrange", shape, self.degree, shape=(self.part.cell.dim,))
        pressure = basix.ufl.element("Lagrange", shape, self.degree - 1, discontinuous=True)
        space = fem.functionspace(self.part.cell.mesh, basix.ufl.mixed_element([velocity, pressure]))
        return fem.Function(space, name="u")

    @cached_property
    def _dofs(self) -> PoreDofs:
        return PoreDofs(self.part, self._unknown.function_space, self.fluid.slips)

    @cached_property
    def _fields(self) -> tuple[Expr, ...]:
        return ufl.split(self._unknown)

    @cached_property
    def _tests(self) -> tuple[Expr, ...]:
        return ufl.split(ufl.TestFunction(self._unknown.function_space))

    @cached_property
    def _viscosity(self) -> fem.Constant:
        return fem.Constant(self.part.cell.mesh, self.fluid.viscosity)

    def _stress(self, v: Expr) -> Expr:
        """Viscous stress; where the fluid sticks to all walls its transposed part does not count."""
        strain = ufl.sym(ufl.grad(v)) if self.fluid.slips else 0.5 * ufl.grad(v)
        return 2.0 * self._viscosity * strain

    def _work(self, v: Expr, w: Expr) -> Expr:
        p, q = self._fields[1], self._tests[1]
        work = ufl.inner(self._stress(v), ufl.grad(w)) + ufl.dot(ufl.grad(p), w) + ufl.dot(v, ufl.grad(q))
        if self.fluid.density:
            rho = fem.Constant(self.part.cell.mesh, self.fluid.density)
            work += 0.5 * rho * (ufl.dot(ufl.grad(v) * v, w) - ufl.dot(ufl.grad(w) * v, v))
        return -work

    def _walls(self, v: Expr, w: Expr, pressure: Expr) -> ufl.Form:
        r"""What walls do along which the fluid slips.

        .. math:: -\int_\Gamma \frac{\mu p}{C}\,v_t\cdot\varphi_t - (n\cdot\tau(v)\,n)\,\varphi_n
            - (n\cdot\tau(\varphi)\,n)\,v_n + \frac{\gamma\mu}{h}\,v_n\varphi_n\,\mathrm{d}a

        The last three terms act on oblique walls, number 2; on the others :math:`v_n = \varphi_n = 0`.
        """
        cell, mesh = self.part.cell, self.part.cell.mesh
        walls, number = self._dofs.walls, np.isin(self._dofs.walls, self._dofs.oblique_walls).astype(np.int32)
        order = np.argsort(walls)
        tags = dmesh.meshtags(mesh, cell.dim - 1, walls[order], number[order] + 1)
        ds = ufl.Measure(
            "ds", domain=mesh, subdomain_data=tags, metadata={"quadrature_degree": 2 * self.degree}
        )
        n, mu = ufl.FacetNormal(mesh), self._viscosity
        v_n, w_n = ufl.dot(v, n), ufl.dot(w, n)
        slip = fem.Constant(mesh, self.fluid.slip_length_times_pressure)
        pull = mu * pressure / slip * (ufl.dot(v, w) - v_n * w_n)
        edge = fem.Function(fem.functionspace(mesh, ("Discontinuous Lagrange", 0)))
        edge.x.array[:] = volumes(mesh) ** (1.0 / cell.dim)
        normal = _NITSCHE * self.degree**2 * mu / edge * v_n * w_n
        normal -= ufl.dot(n, self._stress(v) * n) * w_n + ufl.dot(n, self._stress(w) * n) * v_n
        return -(pull * ds((1, 2)) + normal * ds(2))

    def _hourglass(self) -> ufl.Form:
        r"""A small energy of the part of the pressure's gradient that is not its mean over the voxel.

        .. math:: \tau \int (\nabla p - \overline{\nabla p})\cdot(\nabla q - \overline{\nabla q})\,\mathrm{d}x

        In a channel one voxel wide, the velocities of a triquadratic element do not see the pressure xy.
        Affine pressures have no such part: flux and conservation of mass are left alone. The mean of the
        gradient of a trilinear pressure is its value in the centre.
        """
        cell, p, q = self.part.cell, self._fields[1], self._tests[1]
        edge = float(np.min(cell.period / np.array(self.grid)))
        scale = fem.Constant(cell.mesh, edge**2 / self.fluid.viscosity)
        dx = ufl.Measure("dx", domain=cell.mesh, subdomain_data=cell.phases)
        everywhere, slopes = tuple(range(len(cell.names))), ufl.dot(ufl.grad(p), ufl.grad(q))
        full, centre = (
            dx(everywhere, metadata={"quadrature_degree": n, "quadrature_rule": "default"}) for n in (4, 1)
        )
        return _STABILIZATION * scale * (slopes * full - slopes * centre)
