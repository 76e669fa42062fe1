"""Small-strain mechanics in a cell."""

from __future__ import annotations

from collections.abc import Mapping

from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.newton import NewtonOptions
from fe2.micro.phase_rve import phase_rve
from fe2.micro.rve import RVE
from fe2.physics.law import PhaseLaw
from fe2.physics.small_strain import small_strain_kinematics


def small_strain(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element in small strain, in the plane in plane strain.

    .. math:: \int_Y \sigma(\varepsilon(u), \ldots) : \varepsilon(v)\,\mathrm{d}x = 0

    Args:
        cell: The geometry.
        laws: A law for each phase, by name; strain and stress in Mandel components.
        boundary: "periodic", "linear" (displacement) or "uniform_flux" (traction), or a BoundaryCondition.
        degree: Degree of the Lagrange element of the displacement, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    return phase_rve(
        cell,
        small_strain_kinematics(cell.dim),
        laws,
        boundary=boundary,
        degree=degree,
        quadrature_degree=quadrature_degree,
        options=options,
    )
