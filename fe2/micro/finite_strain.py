"""Mechanics at finite strain in a cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.displacement_pressure import check_pressures, displacement_pressure_form
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.phase_rve import mechanical_rve, phase_rve
from fe2.micro.phases import element_degree
from fe2.micro.rve import RVE
from fe2.physics.finite_strain import finite_strain_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw, isochoric_phases


def finite_strain(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    incompressible: Collection[str] = (),
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element at finite strain, in the plane in plane strain.

    .. math:: \int_Y P(F, \ldots) : \nabla v\,\mathrm{d}X = 0, \qquad F = 1 + H = 1 + \nabla u

    on the undeformed cell. The macroscopic gradient is H, the flux is the mean first Piola–Kirchhoff
    stress P, both in row-wise components.

    A nearly incompressible phase, from a Poisson's ratio of about 0.49, locks with displacements alone.
    With a pressure field of its own (Taylor–Hood elements) it does not.

    Args:
        cell: The geometry, undeformed.
        laws: A law for each phase, by name; they see the nine components of H.
        boundary: "periodic", "linear" (displacement) or "uniform_flux" (nominal traction), or a
            BoundaryCondition.
        degree: Degree of the Lagrange element of the displacement; by default that of the mesh, and 2,
            which is the lowest, beside pressures, whose elements are one degree lower.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        incompressible: Phases with a pressure field of their own; their laws are
            `SplitHyperelasticLaw`, as those of fe2 are.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    kinematics = finite_strain_kinematics(cell.dim)
    if incompressible:
        kinematics = replace(kinematics, isochoric=isochoric_phases(laws))
        check_pressures(cell, kinematics, laws, incompressible, degree)

        def form(part: Cell, kinematics: Kinematics, laws: Mapping[str, PhaseLaw]) -> CellForm:
            return displacement_pressure_form(
                part,
                kinematics,
                laws,
                [name for name in incompressible if name in part.names],
                periodic=boundary == "periodic",
                degree=degree,
                quadrature_degree=quadrature_degree,
            )

        return mechanical_rve(
            cell,
            kinematics,
            laws,
            form,
            boundary=boundary,
            degree=degree or max(2, element_degree(cell, None)),
            constrained=True,
            options=options,
        )
    return phase_rve(
        cell,
        kinematics,
        laws,
        boundary=boundary,
        degree=degree,
        quadrature_degree=quadrature_degree,
        options=options,
    )
