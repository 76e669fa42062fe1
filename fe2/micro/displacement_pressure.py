r"""The cell form with a pressure field for each nearly incompressible phase.

.. math::

    r(u, p; v, q) = \sum_i \int_{Y_i} P_i(\nabla u, p_i) : \nabla v
        + \left(\theta(J) - \frac{p_i}{K_i}\right) q_i\,\mathrm{d}X

is the derivative of a potential, so the stiffness stays symmetric, though not positive definite. The
macroscopic modes act on u alone. Displacements of degree k and pressures of degree k - 1 are
continuous within a phase (Taylor–Hood), which is stable; across an interface the pressure jumps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.periodicity import node_representatives
from fe2.micro.phases import PhaseTerms, check_phases, default_quadrature_degree, element_degree
from fe2.physics.hyperelasticity import SplitHyperelasticLaw
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.subspaces import subspace


def displacement_pressure_form(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    incompressible: Collection[str],
    *,
    periodic: bool,
    degree: int | None = None,
    quadrature_degree: int | None = None,
) -> CellForm:
    """Form of a cell some of whose phases have a pressure, which :func:`check_pressures` has accepted.

    Args:
        cell: The geometry.
        kinematics: Finite strain.
        laws: A law for each phase, by name.
        incompressible: Names of the phases that have a pressure.
        periodic: Whether pressures are periodic, as the displacements are.
        degree: Degree of the displacement, 2 or more; that of the mesh, but at least 2, by default.
        quadrature_degree: Degree of the quadrature rule.
    """
    degree = _degree(cell, degree)
    phases = [name for name in cell.names if name in incompressible]
    shape, mesh = cell.mesh.basix_cell(), cell.mesh
    displacement = basix.ufl.element("Lagrange", shape, degree, shape=(cell.dim,))
    pressure = basix.ufl.element("Lagrange", shape, degree - 1)
    space = fem.functionspace(mesh, basix.ufl.mixed_element([displacement, *[pressure] * len(phases)]))
    unknown = fem.Function(space, name="u")
    field, *pressures = ufl.split(unknown)
    test, *test_pressures = ufl.split(ufl.TestFunction(space))
    terms = PhaseTerms(
        cell=cell,
        kinematics=kinematics,
        block=kinematics.block(),
        unknown=unknown,
        gradient=kinematics.block().local(field),
        test_gradient=kinematics.block().local(test),
        quadrature=quadrature_degree or default_quadrature_degree(cell, degree),
    )
    for phase in cell.names:
        law = laws[phase]
        if phase in phases:
            number = phases.index(phase)
            _add_with_pressure(terms, phase, law, pressures[number], test_pressures[number])
        else:
            terms.add(phase, law)
    return terms.form(_modes(cell, kinematics, space), _outside(cell, space, phases, periodic))


def _add_with_pressure(terms: PhaseTerms, phase: str, law: PhaseLaw, pressure: Expr, test: Expr) -> None:
    symbolic = terms.symbolic(phase, law)
    stress, equation = symbolic.mixed_flux(terms.gradient, pressure)
    work = ufl.dot(stress, terms.test_gradient) + equation * test
    gradient = ufl.variable(terms.gradient)
    terms.add_work(phase, work, stress, ufl.diff(symbolic.flux(gradient, {}, terms.dt), gradient))


def _degree(cell: Cell, degree: int | None) -> int:
    return max(2, element_degree(cell, None)) if degree is None else degree


def check_pressures(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    incompressible: Collection[str],
    degree: int | None,
) -> None:
    """Refuse laws, phases or a degree that do not fit the cell.

    Raises:
        InputError: Something does not fit; the message names it.
    """
    degree = _degree(cell, degree)
    check_phases(cell, kinematics, laws, degree)
    for name in incompressible:
        if name not in cell.names:
            known = ", ".join(cell.names)
            raise InputError(f"phase {name!r} is said to be incompressible; the cell's phases are {known}")
        for law in laws[name].materials:
            if not isinstance(law, SplitHyperelasticLaw):
                raise InputError(
                    f"phase {name!r} is said to be incompressible, but its law, a {type(law).__name__}, has "
                    "no energy of the volume apart: it has to be a SplitHyperelasticLaw"
                )
            if not law.volumetric_modulus > 0.0:
                raise InputError(
                    f"phase {name!r} is said to be incompressible, but the volumetric modulus of its law is "
                    f"{law.volumetric_modulus:g}; it must be positive"
                )
    if degree < 2:
        raise InputError(
            f"degree = {degree} is not stable beside a pressure in {', '.join(incompressible)}; "
            "it must be 2 or more"
        )


def _modes(cell: Cell, kinematics: Kinematics, space: fem.FunctionSpace) -> npt.NDArray[np.float64]:
    part, positions = subspace(space, 0)
    modes = np.zeros((space.dofmap.index_map.size_local, kinematics.size))
    nodes = part.tabulate_dof_coordinates()[:, : cell.dim]
    modes[positions] = kinematics.modes(nodes).reshape(-1, kinematics.size)
    return modes


def _outside(
    cell: Cell, space: fem.FunctionSpace, phases: list[str], periodic: bool
) -> npt.NDArray[np.bool_]:
    """Pressures at nodes away from their phase: neither they nor their periodic copies are unknowns."""
    outside = np.zeros(space.dofmap.index_map.size_local, dtype=bool)
    for number, phase in enumerate(phases, start=1):
        part, positions = subspace(space, number)
        x = part.tabulate_dof_coordinates()[:, : cell.dim]
        masters = np.arange(len(x))
        if periodic:
            masters = node_representatives(x, cell.period, partners=cell.whole)
        within = np.zeros(len(x), dtype=bool)
        within[masters[part.dofmap.list[cell.cells_of(phase)].reshape(-1)]] = True
        outside[positions] = ~within[masters]
    return outside
